"""`make hostile`: run every hostile script of the tests against platform and receiver clients, on
the real clock.

Each call has one second and must end within 1.2 seconds, as the script's own entry says; a flood
may also be cut off by the deadline before it reaches the limit. The ordinary tests play the same
scripts on a clock that only the scripts move."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chalicelib.domain.outcome import NoReply, Reply
from tests.adapters.hostile_scripts import (
    LATE,
    NO_TLS_SCRIPTS,
    SCRIPTS,
    TLS_SCRIPTS,
    TOO_MUCH,
    Playing,
    Script,
    played,
)
from tests.adapters.http_servers import (
    NAME,
    Certificates,
    Server,
    a_platform,
    a_receiver,
    call,
    leading_to,
    post,
)

SECONDS = 1.0
MOST_SECONDS = 1.2 * SECONDS
#: What one second of a script takes here: 20 of them fit into a call.
PACE = 0.05
#: More than fits into the buffers between two sockets.
UPLOAD = bytes(30_000_000)

Ask = Callable[[str, bytes, str], Reply | NoReply]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One script, and the client that meets it."""

    name: str
    script: Script
    scheme: str
    server_has_tls: bool


def cases() -> Iterator[Case]:
    for name, script in SCRIPTS.items():
        yield Case(name=name, script=script, scheme="http", server_has_tls=False)
    for name, script in {**SCRIPTS, **TLS_SCRIPTS}.items():
        yield Case(name=name, script=script, scheme="https", server_has_tls=True)
    for name, script in NO_TLS_SCRIPTS.items():
        yield Case(name=name, script=script, scheme="https", server_has_tls=False)


def ask_as_platform(address: str, body: bytes, certificates: str) -> Reply | NoReply:
    platform = a_platform(
        address,
        timeout_seconds=SECONDS,
        resolve=leading_to("127.0.0.1"),
        certificates=certificates,
    )
    return call(platform, body)


def ask_as_receiver(address: str, body: bytes, certificates: str) -> Reply | NoReply:
    return post(a_receiver(certificates=certificates), address, body=body, seconds=SECONDS)


def describe(reply: Reply | NoReply) -> str:
    return reply.reason if isinstance(reply, NoReply) else f"HTTP {reply.status}"


def is_as_said(script: Script, found: str) -> bool:
    outcomes = (script.outcome, LATE) if script.outcome is TOO_MUCH else (script.outcome,)
    return found.startswith(outcomes)


def meet(case: Case, ask: Ask, certificates: Certificates) -> tuple[str, float]:
    """Make the call, and return its outcome and duration."""
    playing = Playing(case.script, certificates if case.server_has_tls else None)
    with Server(played(playing, pace=PACE)) as server:
        address = f"{case.scheme}://{NAME}:{server.port}"
        body = UPLOAD if case.script.uploads else b"{}"
        began_at = time.monotonic()
        reply = ask(address, body, str(certificates.authority))
        return describe(reply), time.monotonic() - began_at


def main() -> int:
    faults = slowest = count = 0.0
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates.in_folder(Path(folder))
        for case in cases():
            for ask in (ask_as_platform, ask_as_receiver):
                found, took = meet(case, ask, certificates)
                is_good = is_as_said(case.script, found) and took <= MOST_SECONDS
                count, slowest = count + 1, max(slowest, took)
                faults += not is_good
                if not is_good or "--all" in sys.argv:
                    over = f"{case.scheme}, {ask.__name__.removeprefix('ask_as_')}"
                    print(f"{took:6.2f} s  {case.name} ({over}): {found}", flush=True)
    print(
        f"{count:.0f} calls, {faults:.0f} faults, the slowest took {slowest:.2f} of {SECONDS:g} s"
    )
    return faults > 0


if __name__ == "__main__":
    sys.exit(main())
