"""Compressed bodies, unpacked no further than they are asked for: 30 KB may hold 30 MB.

The caller's `read` gives what is packed and ends what takes too long; in between, the time is
checked before each piece.
"""

import zlib
from collections.abc import Callable

#: What zlib tells apart by itself.
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_MOST_LAYERS = 5
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32

#: Up to so many bytes; none at the end.
Read = Callable[[int], bytes]


class CannotUnpack(Exception):
    """It is not packed as its headers say."""


def unpacking(encoding: str, read: Read, look_at_the_time: Callable[[], object]) -> Read:
    """Reads what `read` gives, unpacked as a Content-Encoding says. Encodings that we do not know,
    and did not ask for, are left as they are."""
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
        #: Of the part that is being unpacked; several may follow each other (RFC 1952).
        self._part: zlib._Decompress | None = None
        self._has_had_a_part = False
        self._is_padding = False

    def read(self, most: int) -> bytes:
        """EOFError if it breaks off: what could be unpacked until then is not all."""
        while not (piece := self._unpack(most)):
            self._packed = self._packed or self._read_packed(most)
            if not self._packed:
                break
        if not piece and self._part:
            raise EOFError
        return piece

    def _unpack(self, most: int) -> bytes:
        """What is at hand already."""
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
        """None if nothing is at hand but padding, which may follow the last part: zeros first, or
        whatever else can't begin another."""
        rest = self._packed.lstrip(b"\0") if self._has_had_a_part else self._packed
        self._is_padding |= self._has_had_a_part and rest[:1] not in {b"", _GZIP}
        self._packed = b"" if self._is_padding else rest
        return zlib.decompressobj(_GZIP_OR_ZLIB) if self._packed else None
