"""Wait until a batch is over, and show on stderr how far it is."""

import math
import os
from collections.abc import Iterator
from typing import Protocol, TextIO

from batchback.client import Client
from batchback.errors import Refused, StillRunning, Unreachable
from batchback.shell import Shell
from batchback.wire import Callback, Progress

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_PAUSE_GROWTH = 1.5
#: The batch runs on while a network or a gateway has its moment: so many polls in a row may fail.
_MISSES_ALLOWED = 4
#: A first attempt at the callback takes no longer, and later ones may be hours away.
_CALLBACK_SECONDS = 40
#: Of a terminal that does not say how wide it is.
_DEFAULT_COLUMNS = 80


def wait_for(batch_id: str, client: Client, timeout: float | None, shell: Shell) -> Progress:
    """The progress once the batch is over, and its callback was tried if that took no longer than
    _CALLBACK_SECONDS; StillRunning when the time is up."""
    deadline = math.inf if timeout is None else shell.monotonic() + timeout
    try:
        progress = _when_over(batch_id, client, deadline, shell)
        deadline = min(deadline, shell.monotonic() + _CALLBACK_SECONDS)
        return _when_tried(progress, batch_id, client, deadline, shell)
    except KeyboardInterrupt:
        how = f"`batchback progress {batch_id}` shows how far it is, `batchback cancel {batch_id}`"
        raise KeyboardInterrupt(f"; batch {batch_id} goes on: {how} ends it") from None
    except _TimeIsUp:
        how = f"`batchback results {batch_id}` fetches its results once it is over"
        raise StillRunning(f"not completed after {timeout:g} s, the batch goes on: {how}") from None


class _TimeIsUp(Exception):
    """There is none left to wait."""


def _when_over(batch_id: str, client: Client, deadline: float, shell: Shell) -> Progress:
    meter = _Bar(shell) if shell.stderr.isatty() else _Lines(shell)
    try:
        for progress in _polled(batch_id, client, deadline, shell):
            meter.show(progress)
            if _is_over(progress):
                return progress
    finally:
        meter.close()
    raise _TimeIsUp


def _when_tried(
    progress: Progress, batch_id: str, client: Client, deadline: float, shell: Shell
) -> Progress:
    """The progress once the callback was tried, or the last one when the time is up."""
    if not _awaits_first_attempt(progress):
        return progress
    for progress in _polled(batch_id, client, deadline, shell):
        if not _awaits_first_attempt(progress):
            break
    return progress


def _awaits_first_attempt(progress: Progress) -> bool:
    callback = progress.get("callback")
    return callback is not None and callback["status"] == "waiting" and not _outcome_of(callback)


def _polled(batch_id: str, client: Client, deadline: float, shell: Shell) -> Iterator[Progress]:
    """The progress again and again, less and less often, until the time is up."""
    misses = 0
    for pause in _pauses():
        try:
            progress = client.progress(batch_id)
        except (Refused, Unreachable) as failure:
            misses += 1
            if misses > _MISSES_ALLOWED or not failure.may_pass:
                raise
            pause = max(pause, failure.retry_after or 0)
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


# ---- what became of it


def went_well(progress: Progress) -> bool:
    """Whether no job failed and the callback, if there is one, is delivered."""
    callback = progress.get("callback")
    is_heard = callback is None or callback["status"] in {"none", "delivered"}
    return is_heard and not _failed(progress)


def report(progress: Progress, batch_id: str) -> Iterator[str]:
    """What there is to say of a batch that is over, beside its results."""
    if failed := _failed(progress):
        yield f"{failed} of {progress['jobs']['total']} jobs failed: their responses say why"
    callback = progress.get("callback")
    if callback is not None and callback["status"] != "none":
        yield f"the callback is {_state_of(callback, batch_id)}"


def _failed(progress: Progress) -> int:
    jobs = progress.get("jobs")
    return jobs["failed"] if jobs else 0


def _state_of(callback: Callback, batch_id: str) -> str:
    if callback["status"] == "delivered":
        return "delivered"
    why = _outcome_of(callback)
    if callback["status"] == "failed":
        how = f"`batchback repost {batch_id}` sends it again"
        return f"not delivered ({why}), and no attempt is left: {how}"
    how = f"`batchback progress {batch_id}` shows what becomes of it"
    return f"not delivered yet ({why}), and is retried: {how}" if why else f"not sent yet: {how}"


def _outcome_of(callback: Callback) -> str:
    """What came of the last attempt; empty if there was none."""
    status = callback.get("lastStatus")
    return callback.get("lastError") or (f"HTTP {status}" if status else "")


# ---- on stderr


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
    failed = f", {jobs['failed']} failed" if jobs["failed"] else ""
    return f"{answered}{failed}{_what_holds_up(progress)}"


def _what_holds_up(progress: Progress) -> str:
    """For the end of a line; empty if nothing does."""
    waiting = progress.get("waiting")
    if waiting is None:
        return ""
    if waiting["for"] == "platform":
        return f", the platform is not there: it is asked again at {waiting['until']}"
    return f", paused until {waiting['until']}"
