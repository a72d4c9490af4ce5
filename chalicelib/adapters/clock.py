"""The machine's clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """UTC, to the millisecond, so that a stored time is read back equal."""

    def now(self) -> datetime:
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
