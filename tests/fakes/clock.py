"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 23, 14, 49, 7, tzinfo=UTC)


class FakeClock:
    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, **span: float) -> None:
        self._now += timedelta(**span)

    def sleep(self, seconds: float) -> None:
        self.advance(seconds=seconds)

    def set(self, now: datetime) -> None:
        self._now = now
