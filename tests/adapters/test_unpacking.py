"""Compressed bodies, without a server: what is packed comes in pieces of any size."""

import gzip
import zlib
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters.unpacking import CannotUnpack, unpacking

TEXT = b'{"number": 1, "name": "a name"}' * 100


def unpacked(encoding: str, packed: bytes, most: int = 1_000) -> bytes:
    read = unpacking(encoding, BytesIO(packed).read, lambda: None)
    return b"".join(iter(lambda: read(most), b""))


@given(data=st.binary(max_size=3_000), most=st.integers(1, 5_000), layers=st.integers(0, 5))
def test_what_was_packed_comes_back(data: bytes, most: int, layers: int) -> None:
    """However often it was packed, and in whatever pieces it is asked for."""
    packed = data
    for _ in range(layers):
        packed = gzip.compress(packed, 1)
    assert unpacked(", ".join(["gzip"] * layers), packed, most) == data


@given(most=st.integers(1, 5_000))
def test_no_piece_is_longer_than_asked_for(most: int) -> None:
    """Which is what bounds the memory."""
    read = unpacking("gzip", BytesIO(gzip.compress(TEXT * 10)).read, lambda: None)
    assert {len(piece) for piece in iter(lambda: read(most), b"")} <= {*range(1, most + 1)}


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("GZIP", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:50]) + gzip.compress(b"") + gzip.compress(TEXT[50:])),
        ("gzip \t,\tgzip", gzip.compress(gzip.compress(TEXT))),
        ("g zip", TEXT),
        ("identity", TEXT),
        ("", TEXT),
    ],
    ids=["capitals", "x-gzip", "zlib", "parts", "spaces", "unknown", "identity", "none"],
)
def test_what_goes_by_these_names_is_unpacked(encoding: str, packed: bytes) -> None:
    """One stream may have several parts (RFC 1952, section 2.2)."""
    assert unpacked(encoding, packed) == TEXT


def test_more_layers_than_anyone_uses_are_refused() -> None:
    """Each takes memory of its own, before a byte is read."""
    with pytest.raises(CannotUnpack):
        unpacking("gzip," * 6, BytesIO().read, lambda: None)


def test_what_breaks_is_said() -> None:
    """A wrong check sum at the end is no end."""
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    with pytest.raises(CannotUnpack):
        unpacked("gzip", bytes(packed))


@given(data=st.binary(max_size=300), most=st.integers(1, 500), layers=st.integers(1, 2))
def test_what_breaks_off_is_not_whole(data: bytes, most: int, layers: int) -> None:
    """Wherever it does: not even if all of the data has come, and only its check sum has not."""
    packed = data
    for _ in range(layers):
        packed = gzip.compress(packed, 1)
    for length in range(1, len(packed)):
        with pytest.raises(EOFError):
            unpacked(", ".join(["gzip"] * layers), packed[:length], most)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_nothing_at_all_is_nothing(encoding: str) -> None:
    """An answer without a body has no part of a body."""
    assert unpacked(encoding, b"") == b""


@pytest.mark.parametrize(
    "padding", [b"\0", b"\0" * 5_000, b"\r\n", b"padding" * 999, b"\0\0x\x1f\x8b"]
)
@pytest.mark.parametrize("most", [1, 1_000])
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_what_follows_the_last_part_is_passed_over(
    padding: bytes, most: int, pack: Callable[[bytes], bytes]
) -> None:
    """Some servers fill up blocks, as tape drives do."""
    assert unpacked("gzip", pack(TEXT) + padding, most) == TEXT


def test_a_part_may_follow_zeros() -> None:
    """As gzip itself reads it."""
    packed = gzip.compress(TEXT[:50]) + bytes(512) + gzip.compress(TEXT[50:])
    assert unpacked("gzip", packed, 7) == TEXT


def test_the_time_is_checked_before_each_piece() -> None:
    """Between two reads of what is packed there may be a million parts that hold nothing."""
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 500:
            raise TimeoutError

    read = unpacking("gzip", BytesIO(gzip.compress(b"") * 800).read, check)
    with pytest.raises(TimeoutError):
        read(16_384)
