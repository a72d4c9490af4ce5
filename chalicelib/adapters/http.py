"""HTTP calls: to the platform, which is trusted, and to receivers, whose addresses callers choose.

One deadline covers everything from the name lookup to the last byte of the answer, and no more of
an answer is read than is kept. There are no redirects and no cookies, and nothing is taken from the
environment: no proxy, no .netrc, no other certificates.

The limits on time and bytes are in adapters/calls.py; which connection a call gets is decided in
adapters/connections.py. Why it is done this way: docs/decisions/0003-outgoing-http.md.
"""

import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property, partial
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from chalicelib.adapters.answers import Answer, NotHttp
from chalicelib.adapters.calls import (
    STEP_BYTES,
    STOPWATCH,
    AddressRefused,
    Call,
    NotInTheClear,
    Stopwatch,
    TooMuch,
)
from chalicelib.adapters.connections import Connections
from chalicelib.adapters.unpacking import CannotUnpack, Read, unpacking
from chalicelib.adapters.wires import tls_trusting
from chalicelib.domain.account import Header, Key, PlatformAuth
from chalicelib.domain.address import (
    DEFAULT_PORTS,
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

#: How many bytes of a receiver's answer are read; only its status counts.
MAX_RECEIVER_ANSWER_BYTES = 64 * 1024

_JSON = "application/json"
_USER_AGENT = "batchback"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: What a path keeps besides letters and digits: RFC 3986, section 3.3, and existing encodings.
_SENT_AS_THEY_ARE = "/%:@!$&'()*+,;=-._~"


def resolve(host: str, port: int) -> list[Address]:
    """Return all addresses of a name, as the system resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(sockaddr[0]) for *_, sockaddr in found]


_PLATFORM_HEADERS = {
    "User-Agent": _USER_AGENT,
    "Accept": _JSON,
    "Accept-Encoding": "gzip",
    "Content-Type": _JSON,
}


class HttpPlatform:
    """Calls the platform over connections that are kept and reused, from any number of threads."""

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
        stopwatch: Stopwatch = STOPWATCH,
    ) -> None:
        endpoint = _read_address(address)
        self._prefix = endpoint.target
        self._find_addresses = partial(resolve, endpoint.host, endpoint.port)
        self._auth = auth
        self._read_header = header
        self._header: Header | None = None
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._stopwatch = stopwatch
        self._open = partial(
            _connections,
            endpoint,
            certificates,
            keep=connections,
            now=lambda: clock.now().timestamp(),
        )

    def prepare(self) -> None:
        """See the port. The fixed header is read again when it is due."""
        self._header = self._read_header()

    @cached_property
    def _connections(self) -> Connections:
        """Created at the first call, so that a function that makes no calls does not read the
        certificates."""
        return self._open()

    def call(
        self,
        *,
        namespace: str,
        action: str,
        body: bytes,
        idempotency_key: str,
        traceparent: str | None,
        key: Key,
    ) -> Reply | NoReply:
        """Make one POST, which takes at most the job timeout in total. Never raises."""
        if not _NAME.fullmatch(namespace) or not _NAME.fullmatch(action):
            return NoReply(reason="the namespace or the action is not a name", is_final=True)
        target = f"{self._prefix}/api/1.0/{namespace}?action={action}"
        credentials = self._credentials(target, body, key)
        if credentials is None:
            return NoReply(reason="the key has no secret to sign with", is_final=True)
        ids = {"Idempotency-Key": idempotency_key}
        if traceparent is not None:
            ids["traceparent"] = traceparent
        headers = {**_PLATFORM_HEADERS, **ids, **credentials}
        call = Call(
            whom="the platform",
            account=key.account,
            seconds=self._timeout_seconds,
            find_addresses=self._find_addresses,
            stopwatch=self._stopwatch,
        )
        answer = self._connections.post(call, target, headers, [body])
        return _make(call, answer, MAX_ANSWER_BYTES, body_counts=True)

    def _credentials(self, target: str, body: bytes, key: Key) -> Mapping[str, str] | None:
        """Return the headers that authenticate the call; None if the key has no live secret."""
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
    """Calls the receivers of callbacks. Each delivery has its own connection, so that receivers
    share nothing."""

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        certificates: str | None = None,
        resolve: Resolve = resolve,
        stopwatch: Stopwatch = STOPWATCH,
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._stopwatch = stopwatch
        self._certificates = certificates

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        private_headers: Mapping[str, str],
        body: Sequence[bytes],
        timeout_seconds: float,
    ) -> Reply | NoReply:
        """See the port. If one of a name's addresses is refused, none of them is called."""
        endpoint = judge_url(url, self._policy)
        if isinstance(endpoint, Refusal):
            return _refused("the callback's address " + "; ".join(endpoint.reasons))
        call = Call(
            whom="the receiver",
            seconds=timeout_seconds,
            find_addresses=partial(
                self._find_addresses, endpoint, is_private=len(private_headers) > 0
            ),
            stopwatch=self._stopwatch,
        )
        sent = {
            "User-Agent": _USER_AGENT,
            **headers,
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        connections = _connections(endpoint, self._certificates, keep=0)
        answer = connections.post(call, endpoint.target, _with(private_headers, sent), body)
        return _make(call, answer, MAX_RECEIVER_ANSWER_BYTES, body_counts=False)

    def _find_addresses(self, endpoint: Endpoint, *, is_private: bool) -> Sequence[Address]:
        addresses = self._addresses(endpoint)
        is_readable = is_private and endpoint.scheme != "https"
        if is_readable and not all(map(self._policy.allows, addresses)):
            raise NotInTheClear
        return addresses

    def _addresses(self, endpoint: Endpoint) -> Sequence[Address]:
        if endpoint.address is not None:
            return [endpoint.address]
        addresses = self._resolve(endpoint.host, endpoint.port)
        if any(why_not_address(address, self._policy) for address in addresses):
            raise AddressRefused
        return addresses


#: Added to every request when it is composed.
_OF_EVERY_REQUEST = frozenset({"host", "content-length", "transfer-encoding"})


def _with(private: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Return our headers and those private ones that do not repeat a name, in any spelling."""
    taken = {*map(str.lower, ours)} | _OF_EVERY_REQUEST
    return {
        **ours,
        **{name: value for name, value in private.items() if name.lower() not in taken},
    }


def _connections(
    endpoint: Endpoint, certificates: str | None, *, keep: int, now: Callable[[], float] = time.time
) -> Connections:
    tls = tls_trusting(certificates) if endpoint.scheme == "https" else None
    return Connections(host=endpoint.host, port=endpoint.port, tls=tls, keep=keep, now=now)


def _make(
    call: Call, posted: AbstractContextManager[Answer], most: int, *, body_counts: bool
) -> Reply | NoReply:
    try:
        with posted as answer:
            return _read(call, answer, most, body_counts=body_counts)
    except AddressRefused as refused:
        return _refused(refused.reason)
    except (OSError, NotHttp, EOFError, CannotUnpack, ValueError) as error:
        return NoReply(reason=_describe(error, call))


def _read(call: Call, answer: Answer, most: int, *, body_counts: bool) -> Reply:
    """Read as much of the answer as is kept, plus one byte to find out whether it continues. If the
    body counts, it is unpacked, and a body that may have been cut on the way is refused."""
    encodings = answer.fields["content-encoding"]
    read: Read = answer.read
    if body_counts:
        read = unpacking(",".join(encodings), read, call.seconds_left)
    body = _read_body(read, most + 1)
    if body_counts and answer.may_be_cut:
        raise EOFError
    return Reply(
        status=answer.status,
        body=body[:most],
        is_cut=len(body) > most,
        declared_bytes=None if encodings else answer.length,
        retry_after=next(iter(answer.fields["retry-after"]), None),
    )


def _read_body(read: Read, most: int) -> bytes:
    """Read the first bytes of the body, counted unpacked; no more than that is unpacked. Only a
    read that finds nothing detects the end of the body, after which the connection can be kept."""
    body = bytearray()
    while len(body) < most:
        piece = read(min(most - len(body), STEP_BYTES))
        if not piece:
            break
        body += piece
    return bytes(body)


def _refused(reason: str) -> NoReply:
    return NoReply(reason=reason, is_final=True)


#: What went wrong, the most specific first.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "the TLS certificate was not accepted: {error.verify_message}"),
    (ssl.SSLEOFError, "the connection was closed before the answer was complete"),
    (ssl.SSLZeroReturnError, "the connection was closed before the answer was complete"),
    (ssl.SSLSyscallError, "the connection was closed before the answer was complete"),
    (ssl.SSLError, "no TLS connection to {call.whom}: {reason}"),
    (TimeoutError, "no answer within {call.seconds:g} seconds"),
    (socket.gaierror, "the name of {call.whom} does not resolve"),
    (ConnectionRefusedError, "no connection to {call.whom}: connection refused"),
    (ConnectionError, "the connection was closed before the answer was complete"),
    (TooMuch, "the answer was not complete after {call.received_bytes} bytes"),
    (EOFError, "the answer broke off"),
    (NotHttp, "the answer is not HTTP"),
    (CannotUnpack, "the answer's compression cannot be read"),
)


def _describe(error: Exception, call: Call) -> str:
    """Say why there is no answer. The texts of exceptions are not shown, because some contain the
    URL."""
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words.format(error=error, call=call, reason=_reason(error))
    if isinstance(error, OSError) and error.strerror:
        return f"no connection to {call.whom}: {error.strerror.lower()}"
    return f"no answer from {call.whom}: {type(error).__name__}"


def _reason(error: BaseException) -> str:
    """Return OpenSSL's reason, such as TLSV1_ALERT_PROTOCOL_VERSION, as words."""
    reason = getattr(error, "reason", None) or "unknown reason"
    return str(reason).replace("_", " ").lower()


def _read_address(address: str) -> Endpoint:
    """Return the operator's address in plain ASCII, so that what is signed is what is sent."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError) as error:
        raise Misconfigured(
            f"PLATFORM_ADDRESS must be an http or https address: {error}"
        ) from error
    path = quote(parts.path.rstrip("/"), safe=_SENT_AS_THEY_ARE)
    return Endpoint(scheme=parts.scheme, host=host, port=port, target=path)
