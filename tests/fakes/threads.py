"""Runs calls one after the other, and groups the results as a test wants its flushes."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Result = TypeVar("Result")


class FakeConcurrent:
    def __init__(self, per_flush: int = 10_000) -> None:
        self._per_flush = per_flush

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        for start in range(0, len(calls), self._per_flush):
            yield [call() for call in calls[start : start + self._per_flush]]
