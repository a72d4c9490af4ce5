"""One signed request to the service, and its answer: no word of batches.

What comes back is the service's JSON, Refused or Unreachable.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from batchback import strict_json
from batchback.errors import Refused, Unreachable
from batchback.signing import iws_headers

if TYPE_CHECKING:
    import requests

#: To connect, and between two pieces of the answer: API Gateway itself gives up after 29 seconds.
TIMEOUT_SECONDS = (10.0, 35.0)

_API = "/api/1.0"
#: The API's own path, and the namespace of a call after it.
_PASTED_PATH = re.compile(r"/api/1\.0(/\w*)?/?$")
_CONTENT_TYPE = "application/json; charset=utf-8"
#: What stands between the client and the service answers so: the service itself never does.
_OF_A_GATEWAY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
#: A connection that nobody used for so long may be dead: gateways and firewalls forget it silently.
_IDLE = timedelta(seconds=30)
_KEY = re.compile(r"[!-9;-~]{1,256}")
#: What every HTTP library sends as the same bytes.
_SECRET = re.compile(r"[!-~]([ -~]*[!-~])?")
_LONGEST_NUMBER = 9


class Transport:
    """Reaches one service with one key; ValueError at once if the address, the key or the secret
    cannot be one."""

    def __init__(
        self,
        address: str,
        key: str,
        secret: str,
        *,
        session: "requests.Session | None",
        now: Callable[[], datetime],
    ) -> None:
        self._address = _checked_address(address)
        self._key = _checked_key(key)
        self._secret = _checked_secret(secret)
        self._session = session or _new_session(self._address)
        self._session_is_ours = session is None
        self._now = now
        self._used_at = now()

    def close(self) -> None:
        """Of a session of the caller's own that is up to the caller."""
        if self._session_is_ours:
            self._session.close()

    def ask(
        self,
        namespace: str,
        action: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        *,
        parse_float: Callable[[str], Any],
        may_repeat: bool,
    ) -> dict[str, Any]:
        """The answer. `may_repeat` if the service does nothing twice when it gets the same again:
        then it gets that if the connection ends without an answer."""
        target = f"{_API}/{namespace}?action={action}"
        sent = strict_json.dump(body).encode()
        tries = 2 if may_repeat else 1
        response = self._post(target, sent, {**self._signed(target, sent), **headers}, tries)
        return self._answer_of(response, parse_float)

    def unreachable(self, what: str) -> Unreachable:
        """The failure of a call that somebody else has answered, or nobody."""
        return Unreachable(f"{self._address}: {what}")

    def _signed(self, target: str, body: bytes) -> dict[str, str]:
        """Signed over the path without what the address has before it (a stage, a mount point):
        a gateway takes that off, and the service accepts the rest everywhere."""
        return iws_headers(
            key=self._key,
            secret=self._secret,
            target=target,
            body=body,
            now=self._now(),
            content_type=_CONTENT_TYPE,
        )

    def _post(
        self, target: str, body: bytes, headers: Mapping[str, str], tries: int
    ) -> "requests.Response":
        """Tried again only if the connection ends before the answer does."""
        from http.client import HTTPException

        import requests

        self._forget_idle_connections()
        try:
            return self._session.post(
                self._address + target,
                data=body,
                headers=headers,
                auth=_as_it_is,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.ConnectTimeout as error:
            raise self.unreachable(f"no connection in {TIMEOUT_SECONDS[0]:g} s") from error
        except requests.ReadTimeout as error:
            raise self.unreachable(f"no answer in {TIMEOUT_SECONDS[1]:g} s") from error
        except requests.exceptions.ProxyError as error:
            raise self.unreachable(f"by way of the proxy: {_first_cause(error)}") from error
        except requests.exceptions.SSLError as error:
            raise self.unreachable(_first_cause(error)) from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if tries > 1:
                return self._post(target, body, headers, tries - 1)
            raise self.unreachable(_first_cause(error)) from error
        except (OSError, ValueError, HTTPException) as error:
            # RequestException, and what comes through requests as it is: a file of certificates
            # that is not there, a host with an empty label, an answer that is not HTTP.
            raise self.unreachable(_first_cause(error)) from error

    def _forget_idle_connections(self) -> None:
        """Of a session of the caller's own the caller knows better."""
        now = self._now()
        if self._session_is_ours and abs(now - self._used_at) > _IDLE:
            self._session.close()
        self._used_at = now

    def _answer_of(
        self, response: "requests.Response", parse_float: Callable[[str], Any]
    ) -> dict[str, Any]:
        try:
            answer = json.loads(response.content, parse_float=parse_float)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and response.status_code not in _OF_A_GATEWAY:
            if isinstance(answer.get("errorCode"), int):
                raise _refusal(answer, self._retry_after(response))
            if response.status_code == HTTPStatus.OK:
                return answer
        raise self.unreachable(_not_the_service(response, answer))

    def _retry_after(self, response: "requests.Response") -> int | None:
        """Whole seconds: HTTP has it so, or as a date (RFC 9110, 10.2.3)."""
        text = response.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdecimal():
            return int(text[:_LONGEST_NUMBER])
        try:
            return max(0, math.ceil((parsedate_to_datetime(text) - self._now()).total_seconds()))
        except (ValueError, TypeError, OverflowError):  # none, or one without a time zone
            return None


def _checked_address(address: str) -> str:
    """The address without the API's own path, which people often paste with it."""
    parts = _parts(address)
    if "@" in address:
        raise ValueError("the address has no room for user:password: give key and secret instead")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(f"the address {address!r} must begin with http:// or https://")
    if parts.query or parts.fragment:
        raise ValueError(f"the address has no room for a query: give it up to {parts.path!r}")
    return _PASTED_PATH.sub("", address).rstrip("/")


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise ValueError("the address must be a URL such as https://batch.example.com") from error
    return parts


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("the key is not 1 to 256 visible ASCII characters without a colon")
    return key


def _checked_secret(secret: str) -> str:
    if not _SECRET.fullmatch(secret):
        raise ValueError(
            "the secret holds a line break, a space at one end or a character that is not ASCII: "
            "give it as it was issued"
        )
    return secret


def _new_session(address: str) -> "requests.Session":
    # Imported here and in _post: it takes a fifth of a second, and the command line imports this
    # module for `batchback --help` too.
    import requests

    session = requests.Session()
    session.trust_env = not _is_this_machine(urlsplit(address).hostname or "")
    return session


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _as_it_is(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    """An `auth` that adds nothing: without one, requests looks for credentials in a .netrc."""
    return request


def _first_cause(error: BaseException) -> str:
    """What the operating system said, which requests and urllib3 wrap three times over."""
    while (wrapped := _wrapped(error)) is not None:
        error = wrapped
    return _of_tls(error) or getattr(error, "strerror", None) or str(error) or type(error).__name__


def _of_tls(error: BaseException) -> str:
    """What went wrong with TLS; empty if that is not the cause."""
    import ssl

    if not isinstance(error, ssl.SSLError):
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if error.reason in _NO_TLS:
        return "it does not speak TLS: the right address may begin with http://"
    return f"TLS failed ({error.reason or type(error).__name__})"


#: What OpenSSL makes of an answer in plain HTTP, by version.
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}


def _wrapped(error: BaseException) -> BaseException | None:
    """Never `__context__`: that may be what our caller was handling when it called us."""
    places = (getattr(error, "reason", None), error.__cause__, *error.args)
    return next((place for place in places if isinstance(place, BaseException)), None)


def _refusal(answer: Mapping[str, Any], retry_after: int | None) -> Refused:
    specific_code = answer.get("specificCode")
    reasons = answer.get("additionalMessages")
    return Refused(
        answer["errorCode"],
        specific_code if isinstance(specific_code, int) else 0,
        str(answer.get("message") or "no message"),
        [str(reason) for reason in reasons] if isinstance(reasons, list) else [],
        retry_after,
    )


def _not_the_service(response: "requests.Response", answer: object) -> str:
    """API Gateway says in `message` what it has to say; a page of HTML helps nobody on one line."""
    said = f"answered {response.status_code} {response.reason or ''}".rstrip()
    message = answer.get("message") if isinstance(answer, dict) else None
    detail = message if isinstance(message, str) else "not an answer of the service"
    return f"{said}: {detail}"
