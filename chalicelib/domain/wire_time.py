"""Times as callers and the platform see them, to the second, such as `2026-11-23 14:49:07 UTC`."""

from datetime import UTC, datetime

_FORMAT = "%Y-%m-%d %H:%M:%S UTC"


def compose(moment: datetime) -> str:
    """Return the text of a time, which must know its zone."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def parse(text: str) -> datetime:
    """Return the time that a text describes. Raises ValueError if it has another form."""
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
