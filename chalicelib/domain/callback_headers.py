"""Headers that a caller has sent with its callback: which are accepted, and why not the others.

They hold secrets. So no reason repeats a value, and a name only if it can be the name of a header.
"""

import re
from collections.abc import Iterator, Mapping

MAX_HEADERS = 10
#: Of names and values together.
MAX_HEADERS_BYTES = 4_096
#: A longer name is cut where it is shown.
_SHOWN = 64

#: https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.2
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_LETTER_OR_DIGIT = re.compile(r"[^a-z0-9]")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
#: What the service sets itself, what says where a request ends or how it is to be read, and what
#: receivers believe because only their own proxies say it.
_NOT_FOR_CALLERS = re.compile(
    r"accept-encoding|connection|content-.*|expect|forwarded|host|idempotency-key|keep-alive"
    r"|proxy-.*|te|traceparent|tracestate|trailer|transfer-encoding|upgrade|user-agent"
    r"|webhook-.*|x-forwarded-.*"
)


def why_not_headers(headers: object) -> list[str]:
    """The reasons why these are refused; none: they can be sent as they are."""
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
            yield f"{name[:_SHOWN]} must be printable ASCII: not empty, and no space at its ends"


def _folded(name: str) -> str:
    """As receivers may read it: servers that hand headers on as variables (CGI, WSGI) do not tell
    `_` from `-`, and some of them no other character that is neither letter nor digit."""
    return _NO_LETTER_OR_DIGIT.sub("-", name.lower())


def _why_repeated(headers: Mapping[str, object]) -> Iterator[str]:
    seen: set[str] = set()
    for name in filter(_NAME.fullmatch, headers):
        if name.lower() in seen:
            yield f"{name[:_SHOWN]} is there twice: upper and lower case are the same"
        seen.add(name.lower())


def _why_too_large(headers: Mapping[str, str]) -> list[str]:
    size = sum(len(name) + len(value) for name, value in headers.items())
    if size > MAX_HEADERS_BYTES:
        return [f"holds {size} bytes, over the limit of {MAX_HEADERS_BYTES}"]
    return []
