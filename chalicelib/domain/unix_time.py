"""Times as whole milliseconds since 1970, as they are stored in few bytes."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def compose(moment: datetime) -> int:
    """Return a time, which must know its zone, in milliseconds since 1970."""
    return (moment - EPOCH) // _MILLISECOND


def parse(milliseconds: int) -> datetime:
    """Return the time that many milliseconds after the beginning of 1970."""
    return EPOCH + milliseconds * _MILLISECOND
