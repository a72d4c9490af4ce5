"""Calls over HTTP: to the platform, which is trusted, and to receivers, whom strangers chose.

Both keep to one deadline for everything, from the look-up of the name to the last byte of the
answer, and read no more of an answer than is kept. Nobody is redirected, no cookie is kept, and
nothing is taken from the environment: no proxy, no .netrc, no other certificates.

How the connections see to that: adapters/connections.py. Why so and not otherwise:
docs/decisions/0003-outgoing-http.md.
"""

import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from http.client import HTTPException, IncompleteRead
from ipaddress import ip_address
from urllib.parse import urlsplit

from requests import PreparedRequest, Response, Session
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError, HTTPError, InvalidHeader

from chalicelib.adapters.connections import (
    AddressRefused,
    Call,
    TooMuch,
    Transport,
    in_hand,
    new_session,
    tls_trusting,
)
from chalicelib.domain.account import Header, Key, PlatformAuth
from chalicelib.domain.address import (
    AddressPolicy,
    Endpoint,
    Refusal,
    judge_url,
    why_not_address,
)
from chalicelib.domain.networks import Address
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply
from chalicelib.domain.signing import iws_headers
from chalicelib.errors import Misconfigured
from chalicelib.operations.ports import Clock

Resolve = Callable[[str, int], Sequence[Address]]

#: How much of a receiver's answer is read; only its status is looked at.
MAX_RECEIVER_ANSWER_BYTES = 64 * 1024
#: How much of a body is unpacked before the time that is left is looked at again.
_PIECE_BYTES = 16 * 1024

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
        header: Callable[[], Header | None],
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
        self._session = new_session(Transport(connections, tls_trusting(certificates)))

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
        call = Call(
            whom="the platform",
            seconds=self._timeout_seconds,
            find_addresses=self._find_addresses,
        )
        request = _post(self._origin + target, headers, body, len(body))
        return _make(call, self._session, request, MAX_ANSWER_BYTES, unpacks=True)

    def _credentials(self, target: str, body: bytes, key: Key) -> Mapping[str, str] | None:
        """The headers that prove whose call it is; None: the key has no live secret."""
        if self._auth is not PlatformAuth.IWS:
            header = self._header()
            return dict([header] if header else [])
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
        self._tls = tls_trusting(certificates)

    def post(
        self, url: str, *, headers: Mapping[str, str], body: Sequence[bytes], timeout_seconds: float
    ) -> Reply | NoReply:
        """One POST to an address we are willing to call, answered or not within the time-out in
        all. Never raises. Where one of a name's addresses is refused, none of them is called."""
        endpoint = judge_url(url, self._policy)
        if isinstance(endpoint, Refusal):
            return _refused("the callback's address " + "; ".join(endpoint.reasons))
        call = Call(
            whom="the receiver",
            seconds=timeout_seconds,
            find_addresses=partial(self._find_addresses, endpoint),
        )
        sent = {**headers, "Accept-Encoding": "identity", "Connection": "close"}
        with closing(new_session(Transport(1, self._tls))) as session:
            request = _post(endpoint.url, sent, body, sum(map(len, body)))
            return _make(call, session, request, MAX_RECEIVER_ANSWER_BYTES, unpacks=False)

    def _find_addresses(self, endpoint: Endpoint) -> Sequence[Address]:
        if endpoint.address is not None:
            return [endpoint.address]
        addresses = self._resolve(endpoint.host, endpoint.port)
        for address in addresses:
            kind = why_not_address(address, self._policy)
            if kind:
                raise AddressRefused(kind)
        return addresses


def _make(
    call: Call, session: Session, request: PreparedRequest, most: int, *, unpacks: bool
) -> Reply | NoReply:
    try:
        with (
            in_hand(call),
            session.send(request, stream=True, allow_redirects=False, proxies={}) as response,
        ):
            call.has_head = True
            return _read(response, most, unpacks=unpacks)
    except AddressRefused as error:
        return _refused(f"the callback's address leads to {error}")
    except (OSError, HTTPError, HTTPException, ValueError) as error:
        return NoReply(reason=_in_words(error, call))


def _read(response: Response, most: int, *, unpacks: bool) -> Reply:
    """The answer as far as it is kept; asking for one byte more tells whether it went on."""
    if not unpacks:
        response.raw.headers.discard("Content-Encoding")
    body = _read_body(response, most + 1)
    return Reply(
        status=response.status_code,
        body=body[:most],
        is_cut=len(body) > most,
        declared_bytes=_declared_bytes(response.headers),
        retry_after=response.headers.get("Retry-After"),
    )


def _read_body(response: Response, most: int) -> bytes:
    """The first bytes of the body, counted unpacked: no more of it is unpacked than asked for.
    Only the read that finds nothing sees that the body is whole, and lets the connection go."""
    body = b""
    while len(body) < most:
        piece = response.raw.read(min(most - len(body), _PIECE_BYTES), decode_content=True)
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
    (ssl.SSLEOFError, "the connection was closed before the answer was complete"),
    (ssl.SSLError, "no TLS connection to {call.whom}: {reason}"),
    (TimeoutError, "no answer within {call.seconds:g} seconds"),
    (socket.gaierror, "the name of {call.whom} does not resolve"),
    (ConnectionRefusedError, "no connection to {call.whom}: connection refused"),
    (ConnectionError, "the connection was closed before the answer was complete"),
    (TooMuch, "the answer was not complete after {call.received_bytes} bytes"),
    (IncompleteRead, "the answer broke off"),
    (HTTPException, "the answer is not HTTP"),
    (InvalidHeader, "the answer is not HTTP"),
    (DecodeError, "the answer's compression cannot be read"),
)


def _in_words(error: Exception, call: Call) -> str:
    """Why there is no answer. The texts of exceptions are not shown: some hold the URL."""
    for cause in _causes(error):
        for kind, words in _WORDS:
            if isinstance(cause, kind):
                return words.format(error=cause, call=call, reason=_reason(cause))
        if isinstance(cause, OSError) and cause.strerror:
            return f"no connection to {call.whom}: {cause.strerror.lower()}"
    return f"no answer from {call.whom}: {type(error).__name__}"


def _reason(error: BaseException) -> str:
    """OpenSSL's TLSV1_ALERT_PROTOCOL_VERSION and the like as words."""
    reason = getattr(error, "reason", None) or "unknown reason"
    return str(reason).replace("_", " ").lower()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception, and those it was made of by the layers it came through."""
    if error is not None:
        yield error
        yield from _causes(error.__cause__)
        yield from _causes(error.__context__)


def _post(
    url: str, headers: Mapping[str, str], body: bytes | Sequence[bytes], size_bytes: int
) -> PreparedRequest:
    """A request made by hand. requests would parse and quote its URL once more, in its own way,
    and add what the session and the environment hold."""
    request = PreparedRequest()
    request.method = "POST"
    request.url = url
    request.headers = CaseInsensitiveDict(
        {"User-Agent": _USER_AGENT, **headers, "Content-Length": str(size_bytes)}
    )
    request.body = body  # type: ignore[assignment]  # urllib3 sends blocks one by one
    return request


def _canonical(address: str) -> str:
    """The operator's address in plain ASCII, so that what is signed is what is sent."""
    request = PreparedRequest()
    try:
        request.prepare_url(address, None)
    except RequestException as error:
        raise Misconfigured(f"PLATFORM_ADDRESS must be an address to call: {error}") from error
    return request.url or ""
