"""Times as callers and the platform see them, such as `2026-11-23 14:49:07 UTC`: to the second."""

from datetime import UTC, datetime

_FORMAT = "%Y-%m-%d %H:%M:%S UTC"


def compose(moment: datetime) -> str:
    """The text of any time that knows its zone."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def parse(text: str) -> datetime:
    """The time that a text says. Raises ValueError if it is of another form."""
    return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
