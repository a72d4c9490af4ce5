"""Wait for something to happen, with a pause between two checks and an end."""

import time
from collections.abc import Callable, Iterator

_POLL_SECONDS = 0.05


class DidNotHappen(Exception):
    """What was waited for did not come in time; the text says what."""


def until(holds: Callable[[], object], what: str, seconds: float) -> None:
    """Waits until something holds; DidNotHappen after so many seconds."""
    for _ in tries(what, seconds):
        if holds():
            return


def tries(what: str, seconds: float, pause: float = _POLL_SECONDS) -> Iterator[None]:
    """Again and again with a pause in between; DidNotHappen after so many seconds."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        yield
        time.sleep(pause)
    raise DidNotHappen(f"not {what} within {seconds:g} s")
