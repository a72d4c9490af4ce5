"""The machine's clock."""

import time
from datetime import datetime

from chalicelib.domain import unix_time


class SystemClock:
    """UTC, to the millisecond, so that a stored time is read back equal."""

    def now(self) -> datetime:
        return unix_time.parse(time.time_ns() // 1_000_000)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
