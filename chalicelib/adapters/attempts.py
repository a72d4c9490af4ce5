"""Attempts at requests that a service may fulfill only partly, or not yet."""

from collections.abc import Callable, Iterator, Sequence


def attempts(pauses: Sequence[float], sleep: Callable[[float], None]) -> Iterator[None]:
    """Yield for one attempt immediately and for another after each pause. Leave the loop when one
    succeeds; if the loop ends, none did."""
    yield
    for pause in pauses:
        sleep(pause)
        yield
