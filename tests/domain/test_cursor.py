"""The text that leads to the next page of `list`."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import cursor
from chalicelib.domain.batch import Listed
from chalicelib.domain.cursor import Cursor
from tests.fakes.clock import START

CURSOR = Cursor(after=Listed(batch_id="0f" * 16, created_at=START), start=100, total=250)
TEXT = cursor.compose(CURSOR, "acme")
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

moments = st.integers(0, 10**13).map(
    lambda span: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=span)
)
cursors = st.builds(
    Cursor,
    after=st.builds(
        Listed, batch_id=st.binary(min_size=16, max_size=16).map(bytes.hex), created_at=moments
    ),
    start=st.integers(0, 10**9),
    total=st.none() | st.integers(0, 1_000),
)


@given(made=cursors, account=st.text())
def test_a_cursor_is_read_as_it_was_composed(made: Cursor, account: str) -> None:
    assert cursor.parse(cursor.compose(made, account), account) == made


def test_a_cursor_has_the_documented_length() -> None:
    assert (len(TEXT), set(TEXT) - set(CHARACTERS)) == (52, set())


def test_another_accounts_cursor_is_refused() -> None:
    assert cursor.parse(TEXT, "acme") == CURSOR
    assert cursor.parse(TEXT, "acme2") is None


@pytest.mark.parametrize(
    "text",
    ["", "0", "100", TEXT[:-1], TEXT[1:], TEXT[:26], f"{TEXT}\n", f" {TEXT}", TEXT * 2, "é" * 52],
)
def test_a_cursor_of_another_length_is_refused(text: str) -> None:
    assert cursor.parse(text, "acme") is None


@given(place=st.integers(0, len(TEXT) - 1), character=st.sampled_from(CHARACTERS))
def test_a_cursor_with_any_character_changed_is_refused(place: int, character: str) -> None:
    changed = TEXT[:place] + character + TEXT[place + 1 :]
    assert (cursor.parse(changed, "acme") is None) == (changed != TEXT)


@given(packed=st.binary(min_size=30, max_size=30))
def test_a_forged_cursor_is_valid_or_refused(packed: bytes) -> None:
    """The checksum is not a secret. A forged text gives a possible cursor, or is refused."""
    text = base64.urlsafe_b64encode(packed + cursor._check(packed, "acme")).decode()
    read = cursor.parse(text, "acme")
    assert read is None or cursor.compose(read, "acme") == text
