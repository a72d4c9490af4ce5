"""A callback as a file: its headers, an empty line, and the exact bytes of its body."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

_REQUEST_LINE = re.compile(r"[A-Z]+ \S+ HTTP/[0-9.]+")
_HEADER_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*\r?")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


class NoHeaders(ValueError):
    """The headers are missing or malformed. The text says what is there instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCallback:
    #: As they arrived, duplicates included.
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Parse a file, with or without a request line; NoHeaders if it has no headers."""
        head, end, body = _parted(content)
        if not end:
            raise NoHeaders("it has no headers")
        return cls(headers=(*headers_in(head),), body=body)

    @property
    def content(self) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return lines.encode("latin-1", "replace") + b"\r\n" + self.body

    def items(self) -> Iterable[tuple[str, str]]:
        """The headers, as `verify_callback` expects them."""
        return self.headers


def headers_in(head: bytes) -> Iterator[tuple[str, str]]:
    """Yield the headers on these lines; NoHeaders if a line is not one."""
    first, *others = head.decode("latin-1").splitlines() or [""]
    for line in others if _REQUEST_LINE.fullmatch(first) else [first, *others]:
        if line.strip():
            yield header_in(line)


def header_in(line: str) -> tuple[str, str]:
    found = _HEADER_LINE.fullmatch(line)
    if not found:
        raise NoHeaders(f"{line[:40]!r} is not a header such as 'webhook-id: ...'")
    return found[1], found[2]


def file_name(webhook_id: str) -> str:
    """A safe file name, always the same for the same id."""
    if not _PLAIN_NAME.fullmatch(webhook_id):
        webhook_id = hashlib.sha256(webhook_id.encode()).hexdigest()
    return f"{webhook_id}.http"


def _parted(content: bytes) -> tuple[bytes, bytes, bytes]:
    """Split at the first empty line, with any line ends."""
    found = re.search(rb"\r?\n\r?\n", content)
    if not found:
        return content, b"", b""
    return content[: found.start()], found[0], content[found.end() :]
