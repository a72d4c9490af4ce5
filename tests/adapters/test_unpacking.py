"""Compressed bodies, without a server: packed bytes arrive in pieces of any size."""

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
def test_packed_data_comes_back(data: bytes, most: int, layers: int) -> None:
    """It does not matter how often it was packed, or in which pieces it is read."""
    packed = data
    for _ in range(layers):
        packed = gzip.compress(packed, 1)
    assert unpacked(", ".join(["gzip"] * layers), packed, most) == data


@given(most=st.integers(1, 5_000))
def test_no_piece_is_longer_than_requested(most: int) -> None:
    """This is what limits the memory."""
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
def test_all_names_of_the_encodings_are_unpacked(encoding: str, packed: bytes) -> None:
    """One stream may have several parts (RFC 1952, section 2.2)."""
    assert unpacked(encoding, packed) == TEXT


def test_too_many_layers_are_refused() -> None:
    """Each takes memory of its own before a byte is read."""
    with pytest.raises(CannotUnpack):
        unpacking("gzip," * 6, BytesIO().read, lambda: None)


def test_broken_data_is_reported() -> None:
    """A wrong checksum at the end is an error too."""
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    with pytest.raises(CannotUnpack):
        unpacked("gzip", bytes(packed))


@given(data=st.binary(max_size=300), most=st.integers(1, 500), layers=st.integers(1, 2))
def test_data_that_breaks_off_is_incomplete(data: bytes, most: int, layers: int) -> None:
    """This holds at any point, even if all of the data has arrived and only its checksum has
    not."""
    packed = data
    for _ in range(layers):
        packed = gzip.compress(packed, 1)
    for length in range(1, len(packed)):
        with pytest.raises(EOFError):
            unpacked(", ".join(["gzip"] * layers), packed[:length], most)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_empty_body_stays_empty(encoding: str) -> None:
    """An answer without a body has no part of a body."""
    assert unpacked(encoding, b"") == b""


@pytest.mark.parametrize(
    "padding", [b"\0", b"\0" * 5_000, b"\r\n", b"padding" * 999, b"\0\0x\x1f\x8b"]
)
@pytest.mark.parametrize("most", [1, 1_000])
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_data_after_the_last_part_is_ignored(
    padding: bytes, most: int, pack: Callable[[bytes], bytes]
) -> None:
    """Some servers fill up blocks, as tape drives do."""
    assert unpacked("gzip", pack(TEXT) + padding, most) == TEXT


def test_a_part_may_follow_zeros() -> None:
    """gzip itself accepts this."""
    packed = gzip.compress(TEXT[:50]) + bytes(512) + gzip.compress(TEXT[50:])
    assert unpacked("gzip", packed, 7) == TEXT


def test_the_time_is_checked_before_each_piece() -> None:
    """Between two reads of packed bytes there may be a million empty parts."""
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 500:
            raise TimeoutError

    read = unpacking("gzip", BytesIO(gzip.compress(b"") * 800).read, check)
    with pytest.raises(TimeoutError):
        read(16_384)
