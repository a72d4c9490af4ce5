"""Signatures: IWS for requests to and from the service; Standard Webhooks for callbacks.

IWS is the scheme in the public documentation of the iVvy API: HMAC-SHA1 over the lower-cased text
of what identifies a request. SHA-1 and MD5 are used only for that scheme.
Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

A malformed signature does not verify; it never raises an exception.

IWS puts no separator between the parts of the signed text, so the end of one could be moved to the
beginning of the next. To prevent that, each part must have a form that shows where it ends, or the
request does not verify: the content type is a media type, the date has 29 characters, and the
target begins with a slash and does not contain the text that follows it.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from chalicelib.domain import wire_time
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.media_type import is_media_type

#: How far a signed date may be from now, either way.
FRESHNESS = timedelta(minutes=5)

#: A key's name. It has no surrogates, which are not characters and which no database accepts.
_KEY = r"[^:\s\ud800-\udfff]{1,256}"
_VERSION = "1.0"
_IWS = re.compile(rf"IWS ({_KEY}):([0-9A-Fa-f]{{40}})")
#: The published .NET client separates the time as its machine does, in Finland by periods.
_IVVY_DATE = re.compile(r"(\d{4}-\d\d-\d\d \d\d([:.])\d\d\2\d\d)( UTC)?", re.IGNORECASE | re.ASCII)
#: The only accepted form of an HTTP date (IMF-fixdate, RFC 9110, 5.6.7), also with UTC as in the
#: documentation of IWS.
_HTTP_DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d (GMT|UTC)", re.ASCII)
#: API Gateway adds this prefix to headers that it reserves for itself.
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
_REMAPPED = "x-amzn-remapped-"
#: The text after the target of a request with IVVY headers.
_AFTER_TARGET = f"{_VERSION}ivvy"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as its signature sees it."""

    #: Names in lower case.
    headers: Mapping[str, str] = field(repr=False)
    #: Path and query in every form that the caller may have sent.
    targets: Sequence[str]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        return self.headers.get(name) or self.headers.get(_REMAPPED + name) or ""

    @property
    def ivvy_date(self) -> str:
        return ivvy_headers(self.headers).get("ivvydate", "")

    @property
    def date(self) -> str:
        """The Date header, if the signature covers it. An IVVY-Date replaces it."""
        return "" if self.ivvy_date else self.header("date")

    @property
    def is_ambiguous(self) -> bool:
        """Whether its headers can be read in two ways that have the same signature."""
        content_type = self.headers.get("content-type", "")
        return not (
            (is_media_type(content_type) or not content_type.strip(" \t"))
            and (not self.date or _HTTP_DATE.fullmatch(self.date))
            and _read_one_way(self.headers)
        )


def iws_credentials(authorization: str) -> tuple[str, str] | None:
    """Return the key and the signature from an X-Api-Authorization header."""
    match = _IWS.fullmatch(authorization)
    return (match[1], match[2].lower()) if match else None


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """Return the key and the secret from an HTTP Basic Authorization header (RFC 7617)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, colon, secret = (
            base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        )
    except ValueError:
        return None
    return (key, secret) if colon and re.fullmatch(_KEY, key) else None


def is_fresh(request: SignedRequest, now: datetime) -> bool:
    """Whether the date that the signature covers is within 5 minutes of now."""
    sent_at = _sent_at(request)
    return sent_at is not None and abs(now - sent_at) <= FRESHNESS


def iws_verifies(request: SignedRequest, secret: str, signature: str) -> bool:
    """Whether the signature matches this request, in constant time. If there is a Content-MD5, the
    body must match it too."""
    return iws_verifier(request, signature)(secret)


def iws_verifier(request: SignedRequest, signature: str) -> Callable[[str], bool]:
    """Return a function that tells whether a secret made the signature. The work that does not
    depend on the secret is done once; after that each secret takes the same time, whatever the
    result."""
    md5 = _md5(request.body)
    declared = request.header("content-md5").lower()
    body_is_whole = hmac.compare_digest(_bytes(declared), _bytes(md5)) or not declared
    is_one_request = body_is_whole and not request.is_ambiguous
    texts = [iws_text(request, target, md5) for target in request.targets if _ends(target)]

    def verifies(secret: str) -> bool:
        matches = [hmac.compare_digest(iws_signature(text, secret), signature) for text in texts]
        return any(matches) and is_one_request

    return verifies


def ivvy_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the IVVY headers under the names that are signed, which ignore the spelling. Code that
    uses one of these headers must get it from here: a header looked up by its spelling may not be
    the signed one."""
    return {
        name.lower().replace("-", "").replace("_", ""): value
        for name, value in headers.items()
        if _is_ivvy(name)
    }


def iws_signature(text: str, secret: str) -> str:
    return hmac.digest(_bytes(secret), _bytes(text), "sha1").hex()


def iws_text(request: SignedRequest, target: str, md5: str | None = None) -> str:
    """Return the text that is signed. `md5` is that of the body, if it is already known."""
    content_type = request.headers.get("content-type", "")
    named = ivvy_headers(request.headers)
    ivvy = "&".join(f"{name}={named[name]}" for name in sorted(named))
    return _joined(md5 or _md5(request.body), content_type, request.date, target, ivvy)


def _joined(md5: str, content_type: str, date: str, target: str, ivvy: str) -> str:
    return "".join(["POST", md5, content_type, date, target, _VERSION, ivvy]).lower()


def iws_headers(
    *, key: str, secret: str, target: str, body: bytes, now: datetime, content_type: str
) -> dict[str, str]:
    """Return the headers that sign one of our requests as `key`."""
    md5 = _md5(body)
    date = wire_time.compose(now)
    text = _joined(md5, content_type, "", target, f"ivvydate={date}")
    return {
        "Content-Type": content_type,
        "Content-MD5": md5,
        "IVVY-Date": date,
        "X-Api-Version": _VERSION,
        "X-Api-Authorization": f"IWS {key}:{iws_signature(text, secret)}",
    }


def webhook_headers(
    *, message_id: str, body: Sequence[bytes], secrets: Sequence[str], now: datetime
) -> dict[str, str]:
    """Return the headers of a callback whose body is in blocks. There is one signature for each
    live secret, so that a receiver with either of two can verify it. The id must not contain a `.`,
    which separates it from the rest."""
    timestamp = str(int(now.timestamp()))
    head = f"{message_id}.{timestamp}.".encode()
    signatures = [_webhook_signature(secret, head, body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _webhook_signature(secret: str, head: bytes, body: Sequence[bytes]) -> str:
    """Sign without copying the body, which may be 50 MB."""
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    mac = hmac.new(key, head, hashlib.sha256)
    for block in body:
        mac.update(block)
    return "v1," + base64.b64encode(mac.digest()).decode()


def _bytes(text: str) -> bytes:
    """Return the bytes of any text. Text that is not valid Unicode does not verify, but raises
    nothing."""
    return text.encode("utf-8", "surrogatepass")


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _is_ivvy(name: str) -> bool:
    return name.lower().startswith("ivvy")


def _ends(target: str) -> bool:
    """Whether the text shows where a target begins and ends."""
    return target.startswith("/") and _AFTER_TARGET not in target.lower()


def _read_one_way(headers: Mapping[str, str]) -> bool:
    """Whether the IVVY headers are the only ones with their signed text: no name in two spellings,
    no name that continues in its value, and no value that continues in the next header."""
    named = ivvy_headers(headers)
    return (
        len(named) == sum(map(_is_ivvy, headers))
        and not any("=" in name for name in named)
        and not any("&ivvy" in value.lower() for value in named.values())
    )


def _sent_at(request: SignedRequest) -> datetime | None:
    if request.ivvy_date:
        return _parse_ivvy_date(request.ivvy_date)
    return _parse_http_date(request.date)


def _parse_http_date(text: str) -> datetime | None:
    """Parse a date in the accepted form only. The library's parser accepts many forms, so the
    result is composed again and compared."""
    if not _HTTP_DATE.fullmatch(text):
        return None
    try:
        moment = parsedate_to_datetime(text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment if format_datetime(moment)[:26] == text[:26] else None


def _parse_ivvy_date(text: str) -> datetime | None:
    match = _IVVY_DATE.fullmatch(text.strip())
    if not match:
        return None
    try:
        return wire_time.parse(f"{match[1]} UTC".replace(".", ":"))
    except ValueError:
        return None
