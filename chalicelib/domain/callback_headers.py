"""Which headers callers may add to their callbacks, and why the others are refused.

Their values are secrets, so no reason repeats a value, and a reason repeats a name only if it is a
valid header name.
"""

import re
from collections.abc import Iterator, Mapping

MAX_HEADERS = 10
#: The size of names and values together.
MAX_HEADERS_BYTES = 4_096
#: Longer names are cut when they are shown.
_SHOWN = 64

#: https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.2
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_LETTER_OR_DIGIT = re.compile(r"[^a-z0-9]")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
#: Headers that the service sets itself, headers that say where a request ends or how it is read,
#: and headers that receivers trust because normally only their own proxies set them.
_NOT_FOR_CALLERS = re.compile(
    r"accept-encoding|connection|content-.*|expect|forwarded|host|idempotency-key|keep-alive"
    r"|proxy-.*|te|traceparent|tracestate|trailer|transfer-encoding|upgrade|user-agent"
    r"|webhook-.*|x-forwarded-.*"
)


def why_not_headers(headers: object) -> list[str]:
    """Return the reasons why these headers are refused; none if they can be sent as they are."""
    if not isinstance(headers, dict):
        return ["must be an object"]
    if len(headers) > MAX_HEADERS:
        return [f"holds {len(headers)} headers, over the limit of {MAX_HEADERS}"]
    return [*_why_not_each(headers), *_why_repeated(headers)] or _why_too_large(headers)


def _why_not_each(headers: Mapping[str, object]) -> Iterator[str]:
    for place, (name, value) in enumerate(headers.items(), start=1):
        if not _NAME.fullmatch(name):
            yield f"the name of header {place} must be letters, digits and !#$%&'*+-.^_`|~"
            continue
        if _NOT_FOR_CALLERS.fullmatch(_folded(name)):
            yield f"{name[:_SHOWN]} may not be set: choose another name"
        if not isinstance(value, str):
            yield f"{name[:_SHOWN]} must be a string"
        elif not _VALUE.fullmatch(value):
            yield f"{name[:_SHOWN]} must be printable ASCII, not empty, without spaces at its ends"


def _folded(name: str) -> str:
    """Return the name as receivers may read it. Servers that pass headers on as variables (CGI,
    WSGI) do not distinguish `_` from `-`, and some of them map every other character that is not a
    letter or digit to the same one."""
    return _NO_LETTER_OR_DIGIT.sub("-", name.lower())


def _why_repeated(headers: Mapping[str, object]) -> Iterator[str]:
    seen: set[str] = set()
    for name in filter(_NAME.fullmatch, headers):
        if name.lower() in seen:
            yield f"{name[:_SHOWN]} is repeated: header names ignore case"
        seen.add(name.lower())


def _why_too_large(headers: Mapping[str, str]) -> list[str]:
    size = sum(len(name) + len(value) for name, value in headers.items())
    if size > MAX_HEADERS_BYTES:
        return [f"holds {size} bytes, over the limit of {MAX_HEADERS_BYTES}"]
    return []
