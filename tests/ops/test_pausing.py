"""When a pause ends, as an operator types it."""

from datetime import UTC, datetime, timedelta

import pytest
from batchback.errors import CannotGoOn

from batchback_ops.ops import pausing

NOW = datetime(2026, 11, 23, 14, 49, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-11-23T15:00Z", datetime(2026, 11, 23, 15, tzinfo=UTC)),
        ("2026-11-23T15:00:00+00:00", datetime(2026, 11, 23, 15, tzinfo=UTC)),
        ("2026-11-24T01:00+10:00", datetime(2026, 11, 23, 15, tzinfo=UTC)),
        ("2026-11-23 11:30:15.5-05:00", datetime(2026, 11, 23, 16, 30, 15, 500_000, UTC)),
        ("1m", NOW + timedelta(minutes=1)),
        ("90m", NOW + timedelta(minutes=90)),
        ("2h", NOW + timedelta(hours=2)),
        ("14d", NOW + timedelta(days=14)),
    ],
)
def test_a_time_with_its_zone_or_a_span_is_understood(given: str, moment: datetime) -> None:
    end = pausing.end(given, NOW, called="")
    assert (end, end.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("2026-11-23T15:00", "is not a time: give one with its zone"),
        ("2026-11-23", "is not a time"),
        ("15:00", "is not a time"),
        ("tomorrow", "is not a time"),
        ("", "is not a time"),
        ("2", "is not a time"),
        ("-2h", "is not a time"),
        ("2 h", "is not a time"),
        ("2w", "is not a time"),
        ("٢h", "is not a time"),
        ("999999d", "is not a time"),
        ("0001-01-01T00:00+10:00", "is not a time"),
        ("0h", "is in the past: give a later time"),
        ("2026-11-23T14:49:07Z", "is in the past"),
        ("2026-11-23T14:49:07+01:00", "is in the past"),
        ("2026-12-07T14:49:08Z", "is more than 14 days away: give an earlier time"),
        ("15d", "is more than 14 days away"),
        ("99999d", "is more than 14 days away"),
    ],
)
def test_anything_else_is_refused_with_what_to_give(given: str, why: str) -> None:
    with pytest.raises(CannotGoOn) as refused:
        pausing.end(given, NOW, called="--until X")
    assert str(refused.value).startswith(f"--until X {why}")
