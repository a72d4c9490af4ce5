"""Every hostile script against both adapters, on a clock that only the scripts move: each call ends
by its deadline and within its limit of bytes. `make hostile` runs them on the real clock."""

import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from chalicelib.adapters.calls import MAX_RECEIVED_BYTES, STEP_BYTES
from chalicelib.domain.outcome import NoReply, Reply
from tests.adapters.hostile_scripts import (
    LATE,
    NO_TLS_SCRIPTS,
    SCRIPTS,
    TLS_SCRIPTS,
    Playing,
    Script,
    ScriptedTime,
)
from tests.adapters.http_servers import (
    NAME,
    Certificates,
    a_platform,
    a_receiver,
    call,
    leading_to,
    post,
)

SECONDS = 10.0
#: More than fits in the buffers between two sockets.
UPLOAD = bytes(30_000_000)

Ask = Callable[[str, bytes, dict[str, Any]], Reply | NoReply]


def ask_as_platform(address: str, body: bytes, options: dict[str, Any]) -> Reply | NoReply:
    resolve = leading_to("127.0.0.1")
    return call(a_platform(address, timeout_seconds=SECONDS, resolve=resolve, **options), body)


def ask_as_receiver(address: str, body: bytes, options: dict[str, Any]) -> Reply | NoReply:
    return post(a_receiver(**options), f"{address}/hook", body=body, seconds=SECONDS)


both_ways = pytest.mark.parametrize("ask", [ask_as_platform, ask_as_receiver])


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> dict[socket.socket, int]:
    """How much was read from each socket."""
    counts: dict[socket.socket, int] = {}
    receive = socket.socket.recv

    def note(self: socket.socket, *arguments: int) -> bytes:
        data = receive(self, *arguments)
        counts[self] = counts.get(self, 0) + len(data)
        return data

    monkeypatch.setattr(socket.socket, "recv", note)
    return counts


def play(
    ask: Ask,
    script: Script,
    received: dict[socket.socket, int],
    certificates: Certificates,
    *,
    scheme: str,
    server_has_tls: bool,
) -> None:
    with closing(ScriptedTime(Playing(script, certificates if server_has_tls else None))) as time:
        began_at = time.now()
        reply = ask(
            f"{scheme}://{NAME}:{time.port}",
            UPLOAD if script.uploads else b"{}",
            {"stopwatch": time, "certificates": str(certificates.authority)},
        )
        took = time.now() - began_at
        count = sum(bytes_ for each, bytes_ in received.items() if not time.has(each))
        assert time.visits == 1
    assert outcome(reply).startswith(script.outcome)
    assert took <= SECONDS
    assert took == SECONDS or script.outcome is not LATE
    assert count <= MAX_RECEIVED_BYTES + STEP_BYTES


def outcome(reply: Reply | NoReply) -> str:
    return reply.reason if isinstance(reply, NoReply) else f"HTTP {reply.status}"


def of(scripts: dict[str, Script]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("script", scripts.values(), ids=scripts)


@both_ways
@of(SCRIPTS)
def test_calls_in_the_clear_keep_their_limits(
    ask: Ask, script: Script, received: dict[socket.socket, int], certificates: Certificates
) -> None:
    play(ask, script, received, certificates, scheme="http", server_has_tls=False)


@both_ways
@of({**SCRIPTS, **TLS_SCRIPTS})
def test_calls_over_tls_keep_their_limits(
    ask: Ask, script: Script, received: dict[socket.socket, int], certificates: Certificates
) -> None:
    play(ask, script, received, certificates, scheme="https", server_has_tls=True)


@both_ways
@of(NO_TLS_SCRIPTS)
def test_calls_that_expect_tls_keep_their_limits(
    ask: Ask, script: Script, received: dict[socket.socket, int], certificates: Certificates
) -> None:
    play(ask, script, received, certificates, scheme="https", server_has_tls=False)
