"""Milliseconds since 1970, there and back."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import unix_time


def test_a_time_is_counted_from_1970_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert unix_time.compose(datetime(1970, 1, 1, 2, 0, 1, 5_999, east)) == 1_005


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_to_the_millisecond(moment: datetime) -> None:
    found = unix_time.parse(unix_time.compose(moment))
    assert found == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
