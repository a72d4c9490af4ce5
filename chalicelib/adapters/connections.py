"""Connections for the call in hand: where they may go, and how much time and data they may take.

    Connections ── _Socket, _TlsSocket    know the call in hand
                └─ _Answer                http.client's reading of what comes

A new connection goes to an address of the call in hand and nowhere else. Before each read and
write its socket asks that call for the time that is left, and after each read it tells what came.
A connection is one call's at a time; it outlives the call where the answer was read to its end.
Why not otherwise: docs/decisions/0003-outgoing-http.md.

This module does not know what is sent, to whom, or what an answer means.
"""

import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTP_PORT, HTTPS_PORT, HTTPException, HTTPResponse
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import certifi

from chalicelib.domain.networks import Address

#: What may come before the body, announcements of the answer included; curl's limit is like it.
MAX_HEAD_BYTES = 300_000
#: What may come in all: the longest body that is kept, in chunks of a few bytes.
MAX_RECEIVED_BYTES = 4_000_000
#: A body up to this is sent in one go with the headers: a system call and a packet less.
_SENT_TOGETHER_BYTES = 32_768


class AddressRefused(Exception):
    """A name leads to an address that is not called. It says of what kind the address is, and
    not which it is: callers see this, and must not learn what only our resolver knows."""


class TooMuch(OSError):
    """More came than belongs to any answer, and the answer was not complete."""


@dataclass(slots=True, kw_only=True)
class Call:
    """A request on its way: where its connection may go, and what it may take."""

    #: The other side, in a sentence.
    whom: str
    seconds: float
    find_addresses: Callable[[], Sequence[Address]]
    started_at: float = field(default_factory=time.monotonic)
    received_bytes: int = 0
    #: Whether the answer's headers have come.
    has_head: bool = False

    def seconds_left(self) -> float:
        """More than none; TimeoutError where none are."""
        left = self.started_at + self.seconds - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def count(self, received_bytes: int) -> int:
        """Takes note of what was read. http.client takes headers that break off for all of them,
        and reads some nonsense without end, so here is where that ends."""
        if not received_bytes and not self.has_head:
            raise ConnectionAbortedError
        self.received_bytes += received_bytes
        if self.received_bytes > (MAX_RECEIVED_BYTES if self.has_head else MAX_HEAD_BYTES):
            raise TooMuch
        return received_bytes

    def addresses(self) -> Sequence[Address]:
        """Where the connection may go. A name server that dawdles cannot be interrupted, so it is
        asked by a thread that is left behind when the time is over."""
        answers: SimpleQueue[Sequence[Address] | Exception] = SimpleQueue()
        try:
            Thread(target=self._look_up, args=[answers], daemon=True).start()
        except RuntimeError:
            raise OSError(0, "there is no thread left to look its name up") from None
        try:
            answer = answers.get(timeout=self.seconds_left())
        except Empty:
            raise TimeoutError from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _look_up(self, answers: "SimpleQueue[Sequence[Address] | Exception]") -> None:
        try:
            answers.put(self.find_addresses())
        except (OSError, ValueError, AddressRefused) as error:
            answers.put(error)


#: A call that nothing more is read for.
_OVER = Call(whom="nobody", seconds=0, find_addresses=list)


class Connections:
    """Connections to one server, for any number of threads. Up to `keep` are kept for the calls to
    come."""

    def __init__(self, *, host: str, port: int, tls: ssl.SSLContext | None, keep: int) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._keep = keep
        self._kept: deque[_AnySocket] = deque()
        weakref.finalize(self, _close_all, self._kept)

    @contextmanager
    def post(
        self, call: Call, target: str, headers: Mapping[str, str], body: Sequence[bytes]
    ) -> Iterator[HTTPResponse]:
        """The answer to one POST of a body in blocks, tried once; whoever asked reads the answer's
        body. A ValueError where target or headers hold what no line does."""
        head = self._head(target, headers, sum(map(len, body)))
        connection = self._take(call)
        may_be_kept = False
        try:
            _send(connection, head, body)
            with _Answer(connection) as answer:
                answer.begin()
                call.has_head = True
                yield answer
                may_be_kept = answer.isclosed() and not answer.will_close
        finally:
            if may_be_kept and len(self._kept) < self._keep:
                self._kept.append(connection)
            else:
                connection.close()

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
        is_default = self._port == (HTTPS_PORT if self._tls else HTTP_PORT)
        return host if is_default else f"{host}:{self._port}"

    def _take(self, call: Call) -> "_AnySocket":
        """The connection that was used last, if nothing has happened on it since; or a new one."""
        with suppress(IndexError):
            while not _is_silent(kept := self._kept.pop()):
                kept.close()
            kept.call = call
            return kept
        connection = _connect(call, self._port)
        return _secured(connection, self._host, self._tls) if self._tls else connection


def _close_all(connections: "deque[_AnySocket]") -> None:
    for connection in connections:
        connection.close()


def _send(connection: "_AnySocket", head: bytes, body: Sequence[bytes]) -> None:
    """Whoever goes before all is sent may have answered all the same: 410 needs no body."""
    with suppress(BrokenPipeError, ConnectionResetError):
        if len(body) == 1 and len(body[0]) <= _SENT_TOGETHER_BYTES:
            connection.sendall(head + body[0])
        else:
            for block in (head, *body):
                connection.sendall(block)


def _is_silent(connection: "_AnySocket") -> bool:
    """Whether the other side has neither closed it nor said anything unasked."""
    if isinstance(connection, _TlsSocket) and connection.pending():
        return False
    connection.settimeout(0)
    try:
        socket.socket.recv(connection, 1, socket.MSG_PEEK)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


class _Answer(HTTPResponse):
    """http.client's reading of an answer to a POST, where it is too trusting."""

    def __init__(self, connection: "_AnySocket") -> None:
        super().__init__(connection, method="POST")
        self._connection = connection

    def begin(self) -> None:
        """Of two lengths one is wrong. Where one is told that does not count, or an encoding that
        http.client does not know, the next answer may be anywhere: the connection is not used
        again. 204 and 304 have no body, whatever they tell (RFC 9112, section 6.3)."""
        super().begin()
        if self.length == 0:
            self.chunked = False
        if len(self.headers.get_all("Transfer-Encoding", [])) > self.chunked:
            self.will_close = True
        fields = self.headers.get_all("Content-Length", [])
        lengths = {length.strip() for told in fields for length in told.split(",")}
        if len(lengths) > 1 and not self.chunked:
            raise HTTPException("lengths that differ")
        if (self.chunked or self.length == 0) and lengths - {"0"}:
            self.will_close = True

    def _close_conn(self) -> None:
        """What was read beyond the end, which goes with the reader, was no answer of its own: the
        connection is not used again. With no time left, the reader shows what it has."""
        self._connection.call = _OVER
        with suppress(OSError):
            if self.fp.peek():
                self.will_close = True
        super()._close_conn()  # type: ignore[misc]

    def _read_status(self) -> tuple[str, int, str]:
        """Passes over whatever announces an answer (RFC 9110, section 15.2), as http.client does
        with 100 alone."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, 100 if 100 <= status < 200 else status, reason

    def _read_next_chunk_size(self) -> int:
        """http.client would take a chunk of -1 bytes for all there is, and read for ever."""
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise HTTPException("a chunk of a negative size")
        return size


def _connect(call: Call, port: int) -> "_Socket":
    """A connection to the first address of the call that takes one; each gets its share of the
    time that is left."""
    addresses = call.addresses()
    if not addresses:
        raise OSError(0, "there is no address")
    for place, address in enumerate(addresses[:-1]):
        with suppress(OSError):
            return _connect_to(address, port, call, call.seconds_left() / (len(addresses) - place))
    return _connect_to(addresses[-1], port, call, call.seconds_left())


def _connect_to(address: Address, port: int, call: Call, seconds: float) -> "_Socket":
    connection = _Socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    connection.call = call
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(seconds)
        connection.connect((str(address), port))
    except OSError:
        connection.close()
        raise
    return connection


def _secured(connection: "_Socket", host: str, tls: ssl.SSLContext) -> "_TlsSocket":
    """The same connection over TLS. What is checked is the name, and not the address."""
    secured = tls.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    assert isinstance(secured, _TlsSocket)  # noqa: S101 - as `tls_trusting` has it
    secured.call = connection.call
    try:
        secured.do_handshake()
    except OSError:
        secured.close()
        raise
    return secured


class _Socket(socket.socket):
    """Each of its reads and writes is over when the call in hand is."""

    call: Call

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(self.call.seconds_left())
        return self.call.count(super().recv_into(*arguments, **options))

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(self.call.seconds_left())
        super().sendall(*arguments)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS. One handshake, however many messages it takes, is one wait."""

    call: Call

    def do_handshake(self, *arguments: Any) -> None:
        self.settimeout(self.call.seconds_left())
        super().do_handshake(*arguments)

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(self.call.seconds_left())
        return self.call.count(super().recv_into(*arguments, **options))

    def send(self, *arguments: Any) -> int:
        self.settimeout(self.call.seconds_left())
        return super().send(*arguments)


_AnySocket = _Socket | _TlsSocket


@cache
def tls_trusting(certificates: str | None) -> ssl.SSLContext:
    """TLS as a client that checks certificate and name; reading the certificates takes 20 ms and
    more, so once. Not ssl.create_default_context: that looks into the environment for
    certificates, and for a file to write keys to."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.hostname_checks_common_name = False
    tls.load_verify_locations(certificates or certifi.where())
    tls.sslsocket_class = _TlsSocket
    return tls
