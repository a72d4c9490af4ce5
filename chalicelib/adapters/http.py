"""Calls over HTTP: to the platform, which is trusted, and to receivers, whom strangers chose.

Both keep to one deadline for everything, from the look-up of the name to the last byte of the
answer, and read no more of an answer than is kept. Nobody is redirected, no cookie is kept, and
nothing is taken from the environment: no proxy, no .netrc, no other certificates.

    requests.Session ── _Transport ── urllib3's pools ── _HttpConnection ── _Socket
                                                         _HttpsConnection ── _TlsSocket

A new connection goes to an address of the call in hand and nowhere else, and before each read and
write a socket asks the call in hand for the time that is left. Connections outlive calls, so the
call in hand is known by thread (`_in_hand`), not by connection. Why not otherwise:
docs/decisions/0003-outgoing-http.md.
"""

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from http.client import HTTPException, IncompleteRead
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import certifi
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import DecodeError, HTTPError

from chalicelib.domain.account import Key, PlatformAuth
from chalicelib.domain.address import (
    Address,
    AddressPolicy,
    Endpoint,
    Refusal,
    judge_url,
    why_not_address,
)
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply
from chalicelib.domain.signing import iws_headers
from chalicelib.errors import Misconfigured
from chalicelib.operations.ports import Clock

Resolve = Callable[[str, int], Sequence[Address]]

#: How much of a receiver's answer is read; only its status is looked at.
MAX_RECEIVER_ANSWER_BYTES = 64 * 1024

_JSON = "application/json"
_USER_AGENT = "batchback"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SIZE = re.compile(r"[0-9]{1,18}")


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a name, as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(sockaddr[0]) for *_, sockaddr in found]


class HttpPlatform:
    """The platform, over connections that are kept and used again, by any number of threads."""

    def __init__(
        self,
        *,
        address: str,
        auth: PlatformAuth,
        header: tuple[str, str] | None,
        timeout_seconds: float,
        clock: Clock,
        connections: int,
        certificates: str | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        base = urlsplit(_canonical(address))
        self._origin = f"{base.scheme}://{base.netloc}"
        self._prefix = base.path.rstrip("/")
        self._find_addresses = partial(resolve, base.hostname or "", base.port or 0)
        self._auth = auth
        self._header = header
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._session = _new_session(_Transport(connections, _tls_trusting(certificates)))

    def call(
        self, *, namespace: str, action: str, body: bytes, idempotency_key: str, key: Key
    ) -> Reply | NoReply:
        """One POST, answered or not within the job time-out in all. Never raises."""
        if not _NAME.fullmatch(namespace) or not _NAME.fullmatch(action):
            return NoReply(reason="the namespace or the action is not a name", is_final=True)
        target = f"{self._prefix}/api/1.0/{namespace}?action={action}"
        credentials = self._credentials(target, body, key)
        if credentials is None:
            return NoReply(reason="the key has no secret to sign with", is_final=True)
        headers = {
            "Accept": _JSON,
            "Accept-Encoding": "gzip",
            "Content-Type": _JSON,
            "Idempotency-Key": idempotency_key,
            **credentials,
        }
        call = _Call(
            whom="the platform",
            seconds=self._timeout_seconds,
            find_addresses=self._find_addresses,
            max_answer_bytes=MAX_ANSWER_BYTES,
            unpacks=True,
        )
        return _make(call, self._session, _post(self._origin + target, headers, body))

    def _credentials(self, target: str, body: bytes, key: Key) -> Mapping[str, str] | None:
        """The headers that prove whose call it is; None: the key has no live secret."""
        if self._auth is not PlatformAuth.IWS:
            return dict([self._header] if self._header else [])
        now = self._clock.now()
        secrets = key.live_secrets(now)
        if not secrets:
            return None
        return iws_headers(
            key=key.key, secret=secrets[0], target=target, body=body, now=now, content_type=_JSON
        )


class HttpReceiver:
    """Receivers of callbacks. Each delivery has a session of its own: strangers share nothing."""

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        certificates: str | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._tls = _tls_trusting(certificates)

    def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, timeout_seconds: float
    ) -> Reply | NoReply:
        """One POST to an address we are willing to call, answered or not within the time-out in
        all. Never raises. Where one of a name's addresses is refused, none of them is called."""
        endpoint = judge_url(url, self._policy)
        if isinstance(endpoint, Refusal):
            return _refused("the callback's address " + "; ".join(endpoint.reasons))
        call = _Call(
            whom="the receiver",
            seconds=timeout_seconds,
            find_addresses=partial(self._find_addresses, endpoint),
            max_answer_bytes=MAX_RECEIVER_ANSWER_BYTES,
            unpacks=False,
        )
        sent = {**headers, "Accept-Encoding": "identity", "Connection": "close"}
        with closing(_new_session(_Transport(1, self._tls))) as session:
            return _make(call, session, _post(endpoint.url, sent, body))

    def _find_addresses(self, endpoint: Endpoint) -> Sequence[Address]:
        if endpoint.address is not None:
            return [endpoint.address]
        addresses = self._resolve(endpoint.host, endpoint.port)
        for address in addresses:
            kind = why_not_address(address, self._policy)
            if kind:
                raise _AddressRefused(kind)
        return addresses


class _AddressRefused(Exception):
    """A name leads to an address that is not called. It says of what kind the address is, and
    not which it is: callers see this, and must not learn what only our resolver knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A request on its way: where its connection may go, and how long it may last."""

    #: The other side, in a sentence.
    whom: str
    seconds: float
    find_addresses: Callable[[], Sequence[Address]]
    max_answer_bytes: int
    #: Whether a compressed answer is read as what it holds.
    unpacks: bool
    started_at: float = field(default_factory=time.monotonic)

    def seconds_left(self) -> float:
        """More than none; TimeoutError where none are."""
        left = self.started_at + self.seconds - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

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
        except (OSError, ValueError, _AddressRefused) as error:
            answers.put(error)


_in_hand: ContextVar[_Call] = ContextVar("_in_hand")


def _make(call: _Call, session: Session, request: PreparedRequest) -> Reply | NoReply:
    token = _in_hand.set(call)
    try:
        with session.send(request, stream=True, allow_redirects=False, proxies={}) as response:
            return _read(response, call)
    except _AddressRefused as error:
        return _refused(f"the callback's address leads to {error}")
    except (OSError, HTTPError, HTTPException, ValueError) as error:
        return NoReply(reason=_in_words(error, call))
    finally:
        _in_hand.reset(token)


def _read(response: Response, call: _Call) -> Reply:
    """The answer as far as it is kept; asking for one byte more tells whether it went on."""
    most = call.max_answer_bytes
    body = _read_body(response, most + 1, unpack=call.unpacks)
    return Reply(
        status=response.status_code,
        body=body[:most],
        is_cut=len(body) > most,
        declared_bytes=_declared_bytes(response.headers),
        retry_after=response.headers.get("Retry-After"),
    )


def _read_body(response: Response, most: int, *, unpack: bool) -> bytes:
    """The first bytes of the body, counted unpacked: no more of it is unpacked than asked for.
    Only the read that finds nothing sees that the body is whole, and lets the connection go."""
    body = b""
    while len(body) < most:
        piece = response.raw.read(most - len(body), decode_content=unpack)
        if not piece:
            break
        body += piece
    return body


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    """The size of the body, where Content-Length says that and not the size of something else."""
    size = headers.get("Content-Length", "")
    if "Content-Encoding" in headers or "Transfer-Encoding" in headers:
        return None
    return int(size) if _SIZE.fullmatch(size) else None


def _refused(reason: str) -> NoReply:
    return NoReply(reason=reason, is_final=True)


#: What went wrong, from the most telling to the least.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "the TLS certificate was not accepted: {error.verify_message}"),
    (ssl.SSLError, "no TLS connection to {call.whom}: {error.reason}"),
    (TimeoutError, "no answer within {call.seconds:g} seconds"),
    (socket.gaierror, "the name of {call.whom} does not resolve"),
    (ConnectionRefusedError, "no connection to {call.whom}: connection refused"),
    (ConnectionError, "the connection was closed before the answer was complete"),
    (IncompleteRead, "the answer broke off"),
    (HTTPException, "the answer is not HTTP"),
    (DecodeError, "the answer's compression cannot be read"),
)


def _in_words(error: Exception, call: _Call) -> str:
    """Why there is no answer. The texts of exceptions are not shown: some hold the URL."""
    for cause in _causes(error):
        for kind, words in _WORDS:
            if isinstance(cause, kind):
                return words.format(error=cause, call=call)
        if isinstance(cause, OSError) and cause.strerror:
            return f"no connection to {call.whom}: {cause.strerror.lower()}"
    return f"no answer from {call.whom}: {type(error).__name__}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception, and those it was made of by the layers it came through."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _post(url: str, headers: Mapping[str, str], body: bytes) -> PreparedRequest:
    """A request made by hand. requests would parse and quote its URL once more, in its own way,
    and add what the session and the environment hold."""
    request = PreparedRequest()
    request.method = "POST"
    request.url = url
    request.headers = CaseInsensitiveDict(
        {"User-Agent": _USER_AGENT, **headers, "Content-Length": str(len(body))}
    )
    request.body = body
    return request


def _canonical(address: str) -> str:
    """The operator's address in plain ASCII, so that what is signed is what is sent."""
    request = PreparedRequest()
    try:
        request.prepare_url(address, None)
    except RequestException as error:
        raise Misconfigured(f"PLATFORM_ADDRESS must be an address to call: {error}") from error
    return request.url or ""


def _new_session(transport: "_Transport") -> Session:
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


class _Transport(HTTPAdapter):
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


class _HttpConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self.port)


class _HttpsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self.port)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _connect(port: int) -> socket.socket:
    """A connection to the first address of the call in hand that takes one. Each gets its share of
    the time that is left."""
    call = _in_hand.get()
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
        self.settimeout(_in_hand.get().seconds_left())
        return super().recv_into(*arguments, **options)

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(_in_hand.get().seconds_left())
        super().sendall(*arguments)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS. One handshake, however many messages it takes, is one wait."""

    def do_handshake(self, *arguments: Any) -> None:
        self.settimeout(_in_hand.get().seconds_left())
        super().do_handshake(*arguments)

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(_in_hand.get().seconds_left())
        return super().recv_into(*arguments, **options)

    def send(self, *arguments: Any) -> int:
        self.settimeout(_in_hand.get().seconds_left())
        return super().send(*arguments)


@cache
def _tls_trusting(certificates: str | None) -> ssl.SSLContext:
    """TLS as a client that checks certificate and name; reading the certificates takes 20 ms and
    more, so once. Not ssl.create_default_context: that looks into the environment for
    certificates, and for a file to write keys to."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.hostname_checks_common_name = False
    tls.load_verify_locations(certificates or certifi.where())
    tls.sslsocket_class = _TlsSocket
    return tls
