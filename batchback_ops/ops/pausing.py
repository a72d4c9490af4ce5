"""When an operator's pause ends, given as a time or as a span from now."""

import re
from datetime import UTC, datetime, timedelta

from batchback.errors import CannotGoOn

from chalicelib.domain.batch import LONGEST_LIFE

_SPAN = re.compile(r"([0-9]{1,5})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def end(given: str, now: datetime, *, called: str) -> datetime:
    """The given time in UTC. CannotGoOn if it is not a time, is in the past or is too far away. The
    error calls it what `called` says."""
    moment = _moment(given, now, called)
    if moment <= now:
        raise CannotGoOn(f"{called} is in the past: give a later time, such as 2h.")
    if moment - now > LONGEST_LIFE:
        raise CannotGoOn(
            f"{called} is more than {LONGEST_LIFE.days} days away: give an earlier time. "
            "You can pause again before it ends."
        )
    return moment


def _moment(given: str, now: datetime, called: str) -> datetime:
    if span := _SPAN.fullmatch(given):
        return now + int(span[1]) * _UNITS[span[2]]
    try:
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise CannotGoOn(
        f"{called} is not a time: give one with its zone, such as 2026-11-24T06:00Z or "
        "2026-11-24T06:00+01:00, or a span from now, such as 30m, 2h or 1d."
    )
