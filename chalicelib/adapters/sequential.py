"""Runs calls one after the other, with the interface for concurrent calls."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Result = TypeVar("Result")


class Sequential:
    """For a program with few calls, or with one thread."""

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        """Yield each result as it comes. If a call raises, its error is raised and the other calls
        are not made."""
        for call in calls:
            yield [call()]
