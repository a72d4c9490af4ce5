"""The clock of the local service: the machine's, until you move it ahead.

All processes of one service read the same lead, from an unnamed file that they inherit. So worker
processes see a move immediately, and nothing is left behind, however the service ends.
"""

import mmap
import os
import tempfile
import threading
import weakref
from datetime import datetime, timedelta

from chalicelib.adapters.clock import SystemClock

_MILLISECOND = timedelta(milliseconds=1)
#: The size of the lead, one integer, so that a reader never sees half of a change.
_BYTES = 8


class LocalClock(SystemClock):
    """UTC, to the millisecond. It only moves forward; `sleep` takes as long as on any clock."""

    def __init__(self, descriptor: int | None = None) -> None:
        """A new clock, or the one of the process that passed on this file descriptor."""
        #: What a child process needs to have the same clock.
        self.descriptor = _new_file() if descriptor is None else descriptor
        self._lead_ms = memoryview(mmap.mmap(self.descriptor, _BYTES)).cast("q")
        self._moving = threading.Lock()
        weakref.finalize(self, os.close, self.descriptor)

    def now(self) -> datetime:
        return super().now() + self.ahead

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of the machine's clock."""
        return self.ahead_ms * _MILLISECOND

    @property
    def ahead_ms(self) -> int:
        return self._lead_ms[0]

    def move(self, span: timedelta) -> None:
        """Move it ahead. Only the process that created the clock may."""
        if span < timedelta():
            raise ValueError("The clock only moves forward")
        with self._moving:
            self._lead_ms[0] += -(-span // _MILLISECOND)


def machine_now() -> datetime:
    """The machine's time, to the millisecond."""
    return SystemClock().now()


def _new_file() -> int:
    with tempfile.TemporaryFile() as file:
        file.truncate(_BYTES)
        return os.dup(file.fileno())
