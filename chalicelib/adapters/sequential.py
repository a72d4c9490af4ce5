"""Calls that might be made concurrently, made one after the other."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Result = TypeVar("Result")


class Sequential:
    """For whoever has few calls, or one thread."""

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        """Each result as it comes. What a call raises is raised, and the rest is not made."""
        for call in calls:
            yield [call()]
