"""Connections to one server: which call may reuse one, and when a new one is made.

    Connections ── Wire, TlsWire    adapters/wires.py: bytes, in the call's time and limit
                └─ Answer           adapters/answers.py: HTTP/1.1

Why it is done this way: docs/decisions/0003-outgoing-http.md.

This module does not know what is sent, to whom, or what an answer means.
"""

import ssl
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from chalicelib.adapters.answers import Answer, NotHttp
from chalicelib.adapters.calls import STEP_BYTES, Call
from chalicelib.adapters.wires import Wire, connect
from chalicelib.domain.dataclass import dataclass

#: Older connections are not used again. NAT gateways silently drop idle ones after 350 s, load
#: balancers close them after 60 s by default, and Lambda may freeze a container.
MAX_AGE_SECONDS = 50
#: A body up to this size is sent together with the headers, which saves a system call and a packet.
_SENT_TOGETHER_BYTES = 32_768
_DEFAULT_PORTS = {True: 443, False: 80}


@dataclass(slots=True, kw_only=True)
class _Connection:
    wire: Wire
    made_at: float
    #: Whether the other side has received every request completely.
    is_intact: bool = True


class Connections:
    """Connections to one server, for any number of threads. Up to `keep` are kept for later calls
    of the same account, so that a late answer can only ever reach its own account."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        keep: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._keep = keep
        self._now = now
        self._kept: deque[_Connection] = deque()
        weakref.finalize(self, _close_all, self._kept)

    @contextmanager
    def post(
        self, call: Call, target: str, headers: Mapping[str, str], body: Sequence[bytes]
    ) -> Iterator[Answer]:
        """Yield the answer to one POST, whose body is in blocks; the caller reads the answer's
        body. Raises ValueError if target or headers contain characters that a line cannot.

        If a kept connection dies before any part of the answer has arrived, the POST is sent once
        more on a new one. So use it only for requests that may be sent twice, such as those with an
        Idempotency-Key."""
        head = self._head(target, headers, sum(map(len, body)))
        connection, answer = self._ask(call, _blocks(head, body))
        try:
            yield answer
        finally:
            self._put_back(connection, answer)

    def _head(self, target: str, headers: Mapping[str, str], length: int) -> bytes:
        lines = [
            f"POST {target} HTTP/1.1",
            f"Host: {self._authority}",
            *(f"{name}: {value}" for name, value in headers.items()),
            f"Content-Length: {length}",
        ]
        if not all(map(str.isprintable, lines)):
            raise ValueError("a header must not hold control characters")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    @property
    def _authority(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        is_default = self._port == _DEFAULT_PORTS[self._tls is not None]
        return host if is_default else f"{host}:{self._port}"

    def _ask(self, call: Call, blocks: Sequence[bytes]) -> tuple[_Connection, Answer]:
        kept = self._take(call)
        answer = kept and self._ask_kept(kept, blocks)
        if kept and answer:
            return kept, answer
        wire = connect(call, self._host, self._port, self._tls)
        connection, answer = _Connection(wire=wire, made_at=self._now()), Answer(wire.receive)
        _exchange(connection, answer, blocks)
        return connection, answer

    def _ask_kept(self, kept: _Connection, blocks: Sequence[bytes]) -> Answer | None:
        """Return the answer, or None if the connection has died meanwhile. The others may have died
        too, so none of them is used again."""
        answer = Answer(kept.wire.receive)
        try:
            _exchange(kept, answer, blocks)
        except OSError:
            if answer.has_begun:
                raise
            _close_all(self._kept)
            kept.wire.call.seconds_left()
            return None
        return answer

    def _take(self, call: Call) -> _Connection | None:
        """Return the connection that was used last, if it may be used again."""
        with suppress(IndexError):
            while not self._serves(kept := self._kept.pop(), call):
                kept.wire.close()
            kept.wire.call = call
            return kept
        return None

    def _serves(self, kept: _Connection, call: Call) -> bool:
        return (
            kept.wire.call.account == call.account
            and 0 <= self._now() - kept.made_at < MAX_AGE_SECONDS
            and kept.wire.is_silent()
        )

    def _put_back(self, connection: _Connection, answer: Answer) -> None:
        may_be_kept = connection.is_intact and answer.may_be_followed
        if may_be_kept and len(self._kept) < self._keep:
            self._kept.append(connection)
        else:
            connection.wire.close()


def _close_all(connections: deque[_Connection]) -> None:
    with suppress(IndexError):
        while True:
            connections.pop().wire.close()


def _blocks(head: bytes, body: Sequence[bytes]) -> Sequence[bytes]:
    if len(body) == 1 and len(body[0]) <= _SENT_TOGETHER_BYTES:
        return [head + body[0]]
    return [head, *body]


def _exchange(connection: _Connection, answer: Answer, blocks: Sequence[bytes]) -> None:
    """Send the request and read the answer's head."""
    try:
        connection.is_intact = _send(connection.wire, answer, blocks)
        answer.read_head()
        connection.wire.call.has_head = True
    except (OSError, NotHttp):
        connection.wire.close()
        raise


def _send(wire: Wire, answer: Answer, blocks: Sequence[bytes]) -> bool:
    """Send the request, and return whether all of it was sent. The other side may answer or close
    earlier; even after closing, its answer may be there, such as a 410 without a body."""
    with suppress(BrokenPipeError, ConnectionResetError):
        for step in _steps(blocks):
            wire.put(step)
            while not wire.push():
                if answer.comes_early():
                    return False
        return True
    return False


def _steps(blocks: Sequence[bytes]) -> Iterator[memoryview]:
    for block in blocks:
        view = memoryview(block)
        for start in range(0, len(view), STEP_BYTES):
            yield view[start : start + STEP_BYTES]
