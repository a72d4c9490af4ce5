"""Wait until a batch is over, and show on stderr how far it is."""

import math
import os
from collections.abc import Iterator
from typing import Protocol, TextIO

from batchback.client import Client
from batchback.errors import StillRunning, Unreachable
from batchback.shell import Shell
from batchback.wire import Progress

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_PAUSE_GROWTH = 1.5
#: The batch runs on while a network or a gateway has its moment: so many polls in a row may fail.
_MISSES_ALLOWED = 4
#: Of a terminal that does not say how wide it is.
_DEFAULT_COLUMNS = 80


def wait_for(batch_id: str, client: Client, timeout: float | None, shell: Shell) -> None:
    """Returns once the batch is over; StillRunning when the time is up."""
    meter = _Bar(shell) if shell.stderr.isatty() else _Lines(shell)
    try:
        for progress in _polled(batch_id, client, math.inf if timeout is None else timeout, shell):
            meter.show(progress)
            if _is_over(progress):
                return
    finally:
        meter.close()
    how = f"batchback results {batch_id}"
    raise StillRunning(f"not completed after {timeout:g} s, and still running: {how}")


def _polled(batch_id: str, client: Client, timeout: float, shell: Shell) -> Iterator[Progress]:
    """The progress again and again, less and less often, until the time is up."""
    deadline = shell.monotonic() + timeout
    misses = 0
    for pause in _pauses():
        try:
            progress = client.progress(batch_id)
        except Unreachable:
            misses += 1
            if misses > _MISSES_ALLOWED:
                raise
        else:
            misses = 0
            yield progress
        left = deadline - shell.monotonic()
        if left <= 0:
            return
        shell.sleep(min(pause, left))


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)


def _is_over(progress: Progress) -> bool:
    """By its status, for 100 may come a moment before the results do; by the percentage if a
    service of this API gives nothing else."""
    status = progress.get("status")
    return progress["progress"] == 100 if status is None else status != "running"


class _Meter(Protocol):
    def show(self, progress: Progress) -> None: ...
    def close(self) -> None: ...


class _Bar:
    """One line that is drawn over and over, for a terminal."""

    _WIDTH = 30
    _CLEAR_TO_END = "\x1b[K"

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._end = ""

    def show(self, progress: Progress) -> None:
        filled = "#" * (progress["progress"] * self._WIDTH // 100)
        line = f"[{filled:.<{self._WIDTH}}] {_in_figures(progress)}"
        room = _columns(self._shell.stderr) - 1
        self._shell.draw(f"\r{line[:room]}{self._CLEAR_TO_END}")
        self._end = "\n"

    def close(self) -> None:
        self._shell.draw(self._end)


def _columns(terminal: TextIO) -> int:
    """How wide it is. shutil looks at stdout alone, which may be a file."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or _DEFAULT_COLUMNS
    except OSError:
        return _DEFAULT_COLUMNS


class _Lines:
    """A line for each change, for logs."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._last = ""

    def show(self, progress: Progress) -> None:
        line = _in_figures(progress)
        if line != self._last:
            self._shell.say(line)
        self._last = line

    def close(self) -> None:
        pass


def _in_figures(progress: Progress) -> str:
    percentage = f"{progress['progress']:3}%"
    jobs = progress.get("jobs")
    if not jobs:
        return percentage
    answered = f"{percentage}  {jobs['total'] - jobs['waiting']} of {jobs['total']} jobs answered"
    return f"{answered}, {jobs['failed']} failed" if jobs["failed"] else answered
