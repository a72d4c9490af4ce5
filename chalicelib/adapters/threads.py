"""Concurrent calls, in threads that are kept: starting 25 takes as much CPU as making three
calls."""

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class ConcurrentThreads:
    """Runs as many calls concurrently as it has threads; the others start as threads become free.
    Runs do not wait for each other: two concurrent runs have that many threads each. Between runs
    the threads wait, and they do not keep a process from ending."""

    def __init__(self, threads: int, flush_seconds: float) -> None:
        self._threads = threads
        self._flush_seconds = flush_seconds
        self._idle: deque[_Worker] = deque()
        weakref.finalize(self, _dismiss, self._idle)

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        """Yield the results as they come: all at the end, or every `flush_seconds` if some calls
        take longer. If a call raises, its error is raised here. In that case, and if the caller
        stops early, the remaining calls are not made, but calls that have begun are waited for."""
        if len(calls) < 2:
            yield from ([call()] for call in calls)
            return
        workers = self._workers(min(self._threads, len(calls)))
        run = _Run(calls, workers=len(workers))
        for worker in workers:
            worker.runs.put(run)
        try:
            yield from run.results(self._flush_seconds)
        finally:
            run.end()

    def _workers(self, wanted: int) -> "list[_Worker]":
        """Return the workers, fewer if the system has no more threads; RuntimeError if it has none
        at all. None of them has begun, so an error leaves nothing running."""
        workers = [self._worker()]
        with suppress(RuntimeError):
            while len(workers) < wanted:
                workers.append(self._worker())
        return workers

    def _worker(self) -> "_Worker":
        with suppress(IndexError):
            return self._idle.pop()
        return _Worker(self._idle)


class _Run(Generic[Result]):
    """The calls of one run and their outcomes. The operations used here on deque and list need no
    lock."""

    def __init__(self, calls: Sequence[Callable[[], Result]], workers: int) -> None:
        self.workers = workers
        self._waiting = deque(calls)
        self._results: list[Result] = []
        self._errors: list[BaseException] = []
        self._left: list[Thread] = []
        self._all_left = Event()

    def results(self, flush_seconds: float) -> Iterator[list[Result]]:
        given = 0
        is_over = False
        while not is_over:
            is_over = self._all_left.wait(flush_seconds)
            results = self._results[given:]
            given += len(results)
            if results:
                yield results
        for error in self._errors:
            raise error

    def end(self) -> None:
        self._waiting.clear()
        self._all_left.wait()

    def work_off(self) -> None:
        """Make calls until none is waiting. Every worker runs this."""
        with suppress(IndexError):
            while True:
                self._make(self._waiting.popleft())

    def leave(self, worker: Thread) -> None:
        self._left.append(worker)
        if len(self._left) == self.workers:
            self._all_left.set()

    def _make(self, call: Callable[[], Result]) -> None:
        try:
            self._results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again in `results`
            self._errors.append(error)
            self._waiting.clear()


class _Worker(Thread):
    """Works on one run after the other, and waits among the idle workers in between, until it is
    given None."""

    def __init__(self, idle: "deque[_Worker]") -> None:
        super().__init__(name="job", daemon=True)
        self.runs: SimpleQueue[_Run[Any] | None] = SimpleQueue()
        self._idle = idle
        self.start()

    def run(self) -> None:
        while self._work_on(self.runs.get()):
            pass

    def _work_on(self, run: _Run[Any] | None) -> bool:
        if run is None:
            return False
        run.work_off()
        self._idle.append(self)
        run.leave(self)
        return True


def _dismiss(workers: deque[_Worker]) -> None:
    for worker in workers:
        worker.runs.put(None)
