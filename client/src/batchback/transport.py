"""Send one signed request to the service. This module knows nothing about batches.

A call returns the service's JSON, or raises Refused or Unreachable.
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

#: To connect, and to wait for data: API Gateway itself gives up after 29 seconds.
TIMEOUT_SECONDS = (10.0, 35.0)

_API = "/api/1.0"
#: The API's own path, optionally with the namespace of a call.
_PASTED_PATH = re.compile(r"/api/1\.0(/\w*)?/?$")
_CONTENT_TYPE = "application/json; charset=utf-8"
#: Only gateways and proxies between the client and the service answer with these.
_OF_A_GATEWAY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
#: A connection that was idle this long may be dead: gateways and firewalls drop it silently.
_IDLE = timedelta(seconds=30)
_KEY = re.compile(r"[!-9;-~]{1,256}")
#: Secrets that every HTTP library sends as the same bytes.
_SECRET = re.compile(r"[!-~]([ -~]*[!-~])?")
_LONGEST_NUMBER = 9


class Transport:
    """Calls one service with one key. An invalid address, key or secret raises ValueError
    immediately."""

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
        """Close our own session. The caller closes a session that it passed in."""
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
        """Return the answer. Pass `may_repeat` if a repeated request is harmless: then it is sent
        again if the connection ends without an answer."""
        target = f"{_API}/{namespace}?action={action}"
        sent = strict_json.dump(body).encode()
        tries = 2 if may_repeat else 1
        response = self._post(target, sent, {**self._signed(target, sent), **headers}, tries)
        return self._answer_of(response, parse_float)

    def unreachable(self, what: str) -> Unreachable:
        """The failure of a call that the service has not answered."""
        return Unreachable(f"{self._address}: {what}")

    def _signed(self, target: str, body: bytes) -> dict[str, str]:
        """Sign the path without what precedes it in the address, such as a stage or a mount point:
        a gateway removes that, and the service accepts the rest everywhere."""
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
        """Send the request. Retry only if the connection ends before the answer does."""
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
            raise self.unreachable(f"through the proxy: {_first_cause(error)}") from error
        except requests.exceptions.SSLError as error:
            raise self.unreachable(_first_cause(error)) from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if tries > 1:
                return self._post(target, body, headers, tries - 1)
            raise self.unreachable(_first_cause(error)) from error
        except (OSError, ValueError, HTTPException) as error:
            # RequestException, and errors that requests does not wrap: a missing file of
            # certificates, a host with an empty label, an answer that is not HTTP.
            raise self.unreachable(_first_cause(error)) from error

    def _forget_idle_connections(self) -> None:
        """Close idle connections, unless the caller passed in the session."""
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
        """The whole seconds of Retry-After, which may also be a date (RFC 9110, 10.2.3)."""
        text = response.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdecimal():
            return int(text[:_LONGEST_NUMBER])
        try:
            return max(0, math.ceil((parsedate_to_datetime(text) - self._now()).total_seconds()))
        except (ValueError, TypeError, OverflowError):  # no date, or one without a time zone
            return None


def _checked_address(address: str) -> str:
    """The address without the API's own path, which people often paste too."""
    parts = _parts(address)
    if "@" in address:
        raise ValueError(
            "the address must not contain user:password: pass the key and the secret instead"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(f"the address {address!r} must begin with http:// or https://")
    if parts.query or parts.fragment:
        raise ValueError("the address must not contain a query or a fragment: remove it")
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
        raise ValueError("the key must be 1 to 256 visible ASCII characters without a colon")
    return key


def _checked_secret(secret: str) -> str:
    if not _SECRET.fullmatch(secret):
        raise ValueError(
            "the secret is empty, or contains a line break, a space at either end or a non-ASCII "
            "character: copy it exactly as it was issued"
        )
    return secret


def _new_session(address: str) -> "requests.Session":
    # Imported here and in _post because it takes 0.2 seconds, and even `batchback --help` imports
    # this module.
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
    """An `auth` that adds nothing: without one, requests reads credentials from a .netrc."""
    return request


def _first_cause(error: BaseException) -> str:
    """The message of the operating system, which requests and urllib3 wrap several times."""
    while (wrapped := _wrapped(error)) is not None:
        error = wrapped
    return _of_tls(error) or getattr(error, "strerror", None) or str(error) or type(error).__name__


def _of_tls(error: BaseException) -> str:
    """What went wrong with TLS; empty if TLS is not the cause."""
    import ssl

    if not isinstance(error, ssl.SSLError):
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if error.reason in _NO_TLS:
        return "it does not speak TLS: if the service has no TLS, use http:// in the address"
    return f"TLS failed ({error.reason or type(error).__name__})"


#: How versions of OpenSSL report an answer in plain HTTP.
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}


def _wrapped(error: BaseException) -> BaseException | None:
    """The wrapped exception. `__context__` may be an exception that our caller was handling."""
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
    """Show the `message` that API Gateway sends, but not a page of HTML."""
    said = f"answered {response.status_code} {response.reason or ''}".rstrip()
    message = answer.get("message") if isinstance(answer, dict) else None
    detail = message if isinstance(message, str) else "not an answer from the service"
    return f"{said}: {detail}"
