"""Repeat a call: until a batch is over, or because the network or a gateway has failed.

This module knows neither HTTP nor a clock: both are passed in.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from batchback.errors import CallFailed
from batchback.wire import Progress

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_PAUSE_GROWTH = 1.5
#: How many calls in a row may fail.
_MISSES_ALLOWED = 4

T = TypeVar("T")


def polled(
    ask: Callable[[], T],
    *,
    deadline: float,
    sleep: Callable[[float], None],
    monotonic: Callable[[], float],
) -> Iterator[T]:
    """Yield the answer to repeated calls, with growing pauses, until the deadline."""
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
    """Return the answer, and retry after temporary failures."""
    for pause in islice(_pauses(), _MISSES_ALLOWED):
        try:
            return ask()
        except CallFailed as failure:
            if not failure.may_pass:
                raise
            sleep(max(pause, failure.retry_after or 0))
    return ask()


def is_over(progress: Progress) -> bool:
    """Whether the batch is over, by its status: the percentage may reach 100 shortly before the
    results are there. The percentage counts only if the service reports no status."""
    status = progress.get("status")
    return progress["progress"] == 100 if status is None else status != "running"


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)
