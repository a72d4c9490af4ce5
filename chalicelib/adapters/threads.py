"""Calls side by side, in threads."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Result = TypeVar("Result")


class ThreadsSideBySide:
    """Runs as many calls at once as it may have threads; the others follow as threads get free.
    Each run has threads of its own: runs do not wait for each other."""

    def __init__(self, threads: int, flush_seconds: float) -> None:
        self._threads = threads
        self._flush_seconds = flush_seconds

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        """The results as they come: all at the end, or every `flush_seconds` while some are out.
        What a call raises is raised here, once all calls have returned."""
        if len(calls) == 1:
            yield [calls[0]()]
            return
        with ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="job") as pool:
            waiting: set[Future[Result]] = {pool.submit(call) for call in calls}
            while waiting:
                finished, waiting = wait(waiting, timeout=self._flush_seconds)
                if finished:
                    yield [future.result() for future in finished]
