"""Times as texts and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chalicelib.domain import wire_time

TEXT = "2026-03-29 00:59:07 UTC"
MOMENT = datetime(2026, 3, 29, 0, 59, 7, tzinfo=UTC)


def test_a_time_is_written_and_read_to_the_second() -> None:
    assert wire_time.compose(MOMENT + timedelta(milliseconds=999)) == TEXT
    assert wire_time.parse(TEXT) == MOMENT


@pytest.mark.parametrize("hours", [-12, 0, 5.75, 14])
def test_a_time_of_any_zone_is_written_in_utc(hours: float) -> None:
    there = MOMENT.astimezone(timezone(timedelta(hours=hours)))
    assert wire_time.compose(there) == TEXT


@pytest.mark.parametrize("text", ["", "2026-03-29 00:59:07", "2026-03-29T00:59:07Z", f"{TEXT}!"])
def test_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not match format|unconverted data"):
        wire_time.parse(text)
