"""Ask again: until a batch is over, or because a network or a gateway has its moment.

It knows nothing of HTTP and no clock: both are handed in.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from batchback.errors import CallFailed
from batchback.wire import Progress

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_PAUSE_GROWTH = 1.5
#: So many calls in a row may fail.
_MISSES_ALLOWED = 4

T = TypeVar("T")


def polled(
    ask: Callable[[], T],
    *,
    deadline: float,
    sleep: Callable[[float], None],
    monotonic: Callable[[], float],
) -> Iterator[T]:
    """The answer again and again, less and less often, until the time is up."""
    misses = 0
    for pause in _pauses():
        try:
            answer = ask()
        except CallFailed as failure:
            misses += 1
            if misses > _MISSES_ALLOWED or not failure.may_pass:
                raise
            pause = max(pause, failure.retry_after or 0)
        else:
            misses = 0
            yield answer
        left = deadline - monotonic()
        if left <= 0:
            return
        sleep(min(pause, left))


def persistently(ask: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """The answer, asked for again after a failure that may pass."""
    for pause in islice(_pauses(), _MISSES_ALLOWED):
        try:
            return ask()
        except CallFailed as failure:
            if not failure.may_pass:
                raise
            sleep(max(pause, failure.retry_after or 0))
    return ask()


def is_over(progress: Progress) -> bool:
    """By its status, for 100 may come a moment before the results do; by the percentage if a
    service of this API gives nothing else."""
    status = progress.get("status")
    return progress["progress"] == 100 if status is None else status != "running"


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)
