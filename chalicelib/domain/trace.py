"""W3C Trace Context: how a caller's `traceparent` is passed on in the requests that a batch makes.

Source: https://www.w3.org/TR/trace-context/ (version 00).
"""

import hashlib
import re

from chalicelib.domain.dataclass import dataclass

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace_id>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-[^,]*)?"
)
_INVALID_VERSION = "ff"
_OUR_VERSION = "00"


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The trace that a batch belongs to."""

    trace_id: str
    flags: str

    def traceparent(self, outgoing_id: str) -> str:
        """Return the header of one outgoing request. Its parent id is derived from the request's
        own id, so it is the same at every attempt."""
        parent = hashlib.sha256(outgoing_id.encode()).hexdigest()[:16]
        return f"{_OUR_VERSION}-{self.trace_id}-{parent}-{self.flags}"


def parse(header: str | None) -> TraceContext | None:
    """Return the trace of a `traceparent`, or None if the header is invalid and so to be ignored. A
    later version may add fields after the flags, which are not read. Several headers, which arrive
    joined by commas, are invalid."""
    found = _TRACEPARENT.fullmatch(header.strip(" \t")) if header else None
    if found is None or found["version"] == _INVALID_VERSION:
        return None
    if found["version"] == _OUR_VERSION and found["rest"]:
        return None
    if not int(found["trace_id"], 16) or not int(found["parent"], 16):
        return None
    return TraceContext(found["trace_id"], found["flags"])
