"""Connections for the call in hand: where they may go, and how much time and data they may take.

    requests.Session ── Transport ── urllib3's pools ── _HttpConnection ── _Socket
                                                        _HttpsConnection ── _TlsSocket

A new connection goes to an address of the call in hand and nowhere else. Before each read and
write a socket asks the call in hand for the time that is left, and after each read it tells what
came. Connections outlive calls, so the call in hand is known by thread (`in_hand`), not by
connection. Why not otherwise: docs/decisions/0003-outgoing-http.md.

This module does not know what is sent, to whom, or what an answer means.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException, HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import certifi
from requests import Response, Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from chalicelib.domain.networks import Address

#: What may come before the body, announcements of the answer included; curl's limit is like it.
MAX_HEAD_BYTES = 300_000
#: What may come in all: the longest body that is kept, in chunks of a few bytes.
MAX_RECEIVED_BYTES = 4_000_000


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
        Thread(target=self._look_up, args=[answers], daemon=True).start()
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


_in_hand: ContextVar[Call] = ContextVar("_in_hand")


@contextmanager
def in_hand(call: Call) -> Iterator[None]:
    """Makes this the call that the connections of this thread ask."""
    token = _in_hand.set(call)
    try:
        yield
    finally:
        _in_hand.reset(token)


def new_session(transport: "Transport") -> Session:
    """A session that takes nothing from the environment and keeps nothing."""
    session = _Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("http://", transport)
    session.mount("https://", transport)
    return session


class _Session(Session):
    """A session that does not know redirects. Where it is only told not to follow them, requests
    still reads the whole body of each, however long, to prepare the request after it."""

    def get_redirect_target(self, resp: Response) -> None:  # noqa: ARG002 - the name is requests'
        return None


class Transport(HTTPAdapter):
    """requests' way into urllib3, there with our connections and our TLS. It tries once."""

    def __init__(self, connections: int, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__(pool_connections=1, pool_maxsize=connections)

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,  # noqa: FBT001, FBT002 - requests' signature
        **options: Any,
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._tls, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def close(self) -> None:
        """Closes the connections at once. urllib3's manager leaves that to the garbage collector,
        and then a receiver may wait long for the end of its connection."""
        for key in self.poolmanager.pools.keys():  # noqa: SIM118 - it is no dictionary
            self.poolmanager.pools[key].close()
        super().close()

    def cert_verify(self, *_: Any) -> None:
        """Nothing to do: the TLS context has its certificates. requests would have them loaded
        again for each connection, which takes longer than a call."""


class _Answer(HTTPResponse):
    """http.client's reading of an answer, where it is too trusting."""

    def begin(self) -> None:
        """Where a length is told that does not count, the next answer may be anywhere
        (RFC 9112, section 6.3): the connection is not used again."""
        super().begin()
        if (self.chunked or self.length == 0) and self.headers.get("Content-Length", "0") != "0":
            self.will_close = True

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


class _HttpConnection(HTTPConnection):
    response_class = _Answer

    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HttpsConnection(HTTPSConnection):
    response_class = _Answer

    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _connect(connection: HTTPConnection) -> socket.socket:
    """A connection to the first address of the call in hand that takes one. Its errors come as
    urllib3's own: others it takes for those of a connection that is there."""
    try:
        return _connect_to_first(_in_hand.get(), connection.port)
    except OSError as error:
        raise NewConnectionError(connection, "no connection") from error


def _connect_to_first(call: Call, port: int) -> socket.socket:
    """Each address gets its share of the time that is left."""
    addresses = call.addresses()
    if not addresses:
        raise OSError(0, "there is no address")
    for place, address in enumerate(addresses[:-1]):
        with suppress(OSError):
            return _connect_to(address, port, call.seconds_left() / (len(addresses) - place))
    return _connect_to(addresses[-1], port, call.seconds_left())


def _connect_to(address: Address, port: int, seconds: float) -> socket.socket:
    connection = _Socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(seconds)
        connection.connect((str(address), port))
    except OSError:
        connection.close()
        raise
    return connection


class _Socket(socket.socket):
    """Each of its reads and writes is over when the call in hand is."""

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        call = _in_hand.get()
        self.settimeout(call.seconds_left())
        return call.count(super().recv_into(*arguments, **options))

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(_in_hand.get().seconds_left())
        super().sendall(*arguments)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS. One handshake, however many messages it takes, is one wait."""

    def do_handshake(self, *arguments: Any) -> None:
        self.settimeout(_in_hand.get().seconds_left())
        super().do_handshake(*arguments)

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        call = _in_hand.get()
        self.settimeout(call.seconds_left())
        return call.count(super().recv_into(*arguments, **options))

    def send(self, *arguments: Any) -> int:
        self.settimeout(_in_hand.get().seconds_left())
        return super().send(*arguments)


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
