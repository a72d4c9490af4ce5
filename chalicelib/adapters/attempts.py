"""Attempts at what a service does in part, or not just yet."""

from collections.abc import Callable, Iterator, Sequence


def attempts(pauses: Sequence[float], sleep: Callable[[float], None]) -> Iterator[None]:
    """One attempt at once and another after each pause. Leave the loop when one succeeds; after
    its end, none did."""
    yield
    for pause in pauses:
        sleep(pause)
        yield
