"""The time of the machine."""

from datetime import UTC, datetime


class SystemClock:
    """UTC, to the millisecond: what is stored is read back equal."""

    def now(self) -> datetime:
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
