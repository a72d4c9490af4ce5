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
    layers = [name for name in encoding.lower().replace(" ", "").split(",") if name in _KNOWN]
    if len(layers) > _MOST_LAYERS:
        raise CannotUnpack
    for _ in layers:
        read = _Layer(read, look_at_the_time).read
    return read


class _Layer:
    def __init__(self, read: Read, look_at_the_time: Callable[[], object]) -> None:
        self._read_packed = read
        self._look_at_the_time = look_at_the_time
        self._unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._packed = b""

    def read(self, most: int) -> bytes:
        while not (piece := self._unpack(most)):
            self._packed = self._packed or self._read_packed(most)
            if not self._packed:
                break
        return piece

    def _unpack(self, most: int) -> bytes:
        """What is at hand already; more may follow where one packed part ends (RFC 1952)."""
        self._look_at_the_time()
        try:
            piece = self._unpacker.decompress(self._packed, most)
        except zlib.error as error:
            raise CannotUnpack from error
        self._packed = self._unpacker.unconsumed_tail
        if self._unpacker.eof:
            self._packed = self._unpacker.unused_data
            self._unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
        return piece
