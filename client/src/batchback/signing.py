"""Sign requests with IWS: HMAC-SHA1 over a lower-case text that identifies the request.

The service has its own copy in `chalicelib`, which callers do not have. The vectors in
`tests/vectors` keep the two the same.
"""

import hashlib
import hmac
from datetime import UTC, datetime

_VERSION = "1.0"


def iws_headers(
    *, key: str, secret: str, target: str, body: bytes, now: datetime, content_type: str
) -> dict[str, str]:
    """The headers that sign a POST to `target` (path and query) as `key`."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    date = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    text = "".join(["POST", md5, content_type, target, _VERSION, f"ivvydate={date}"]).lower()
    return {
        "Content-Type": content_type,
        "Content-MD5": md5,
        "IVVY-Date": date,
        "X-Api-Version": _VERSION,
        "X-Api-Authorization": f"IWS {key}:{_signature(text, secret)}",
    }


def _signature(text: str, secret: str) -> str:
    return hmac.new(_bytes(secret), _bytes(text), hashlib.sha1).hexdigest()


def _bytes(text: str) -> bytes:
    """The bytes of any text, even with lone surrogates: the service then refuses the signature."""
    return text.encode("utf-8", "surrogatepass")
