"""Waits for something to happen, with a pause between checks and a time limit."""

import time
from collections.abc import Callable, Iterator

_POLL_SECONDS = 0.05


class DidNotHappen(Exception):
    """Something did not happen in time. The text says what."""


def until(holds: Callable[[], object], what: str, seconds: float) -> None:
    """Wait until `holds` returns something true. DidNotHappen after this many seconds."""
    for _ in tries(what, seconds):
        if holds():
            return


def tries(what: str, seconds: float, pause: float = _POLL_SECONDS) -> Iterator[None]:
    """Yield repeatedly, with pauses. DidNotHappen after this many seconds."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        yield
        time.sleep(pause)
    raise DidNotHappen(f"not {what} within {seconds:g} s")
