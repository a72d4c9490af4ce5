"""Unpacks compressed bodies only as far as they are read, because 30 KB may contain 30 MB.

The caller's `read` returns packed bytes and enforces the deadline; between two reads, the time is
checked before each piece is unpacked.
"""

import zlib
from collections.abc import Callable

#: The encodings that zlib detects by itself.
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_MOST_LAYERS = 5
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32

#: Returns at most this many bytes; none at the end.
Read = Callable[[int], bytes]


class CannotUnpack(Exception):
    """The body is not packed as its headers say."""


def unpacking(encoding: str, read: Read, look_at_the_time: Callable[[], object]) -> Read:
    """Return a function that reads from `read` and unpacks as a Content-Encoding says. Unknown
    encodings, which we do not ask for, are left as they are."""
    names = [name.strip(" \t") for name in encoding.lower().split(",")]
    layers = [name for name in names if name in _KNOWN]
    if len(layers) > _MOST_LAYERS:
        raise CannotUnpack
    for _ in layers:
        read = _Layer(read, look_at_the_time).read
    return read


#: The first byte of every gzip stream (RFC 1952, section 2.3.1).
_GZIP = b"\x1f"


class _Layer:
    def __init__(self, read: Read, look_at_the_time: Callable[[], object]) -> None:
        self._read_packed = read
        self._look_at_the_time = look_at_the_time
        self._packed = b""
        #: Unpacks the current part; several may follow each other (RFC 1952).
        self._part: zlib._Decompress | None = None
        self._has_had_a_part = False
        self._is_padding = False

    def read(self, most: int) -> bytes:
        """Return unpacked bytes. Raises EOFError if the input breaks off, because what was unpacked
        until then is incomplete."""
        while not (piece := self._unpack(most)):
            self._packed = self._packed or self._read_packed(most)
            if not self._packed:
                break
        if not piece and self._part:
            raise EOFError
        return piece

    def _unpack(self, most: int) -> bytes:
        """Unpack bytes that were already read."""
        self._look_at_the_time()
        part = self._part = self._part or self._next_part()
        if part is None:
            return b""
        try:
            piece = part.decompress(self._packed, most)
        except zlib.error as error:
            raise CannotUnpack from error
        self._packed = part.unconsumed_tail
        if part.eof:
            self._packed = part.unused_data
            self._part, self._has_had_a_part = None, True
        return piece

    def _next_part(self) -> "zlib._Decompress | None":
        """Return None if only padding was read. Padding may follow the last part: zeros, or
        anything else that cannot begin another part."""
        rest = self._packed.lstrip(b"\0") if self._has_had_a_part else self._packed
        self._is_padding |= self._has_had_a_part and rest[:1] not in {b"", _GZIP}
        self._packed = b"" if self._is_padding else rest
        return zlib.decompressobj(_GZIP_OR_ZLIB) if self._packed else None
