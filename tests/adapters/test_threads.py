"""Concurrent calls in real threads. Nothing here waits for a time to pass: calls that must run at
the same time wait for each other."""

import gc
import threading
from collections.abc import Callable
from functools import partial
from threading import Barrier, Event
from typing import Any

import pytest

from chalicelib.adapters.threads import ConcurrentThreads

#: Long enough for anything that is awaited to happen.
AMPLE = 20.0


def concurrent(threads: int = 3, flush_seconds: float = AMPLE) -> ConcurrentThreads:
    return ConcurrentThreads(threads, flush_seconds)


def numbered(count: int) -> list[Callable[[], int]]:
    return [partial(int, number) for number in range(count)]


def whose(_: int) -> threading.Thread:
    return threading.current_thread()


def threads_of(service: ConcurrentThreads, calls: int) -> set[threading.Thread]:
    """The threads that make this many calls, each of which waits until all have begun."""
    together = Barrier(calls)

    def call() -> threading.Thread:
        together.wait(AMPLE)
        return threading.current_thread()

    return {thread for group in service.run([call] * calls) for thread in group}


def test_every_call_is_made_once_and_returns_its_result() -> None:
    """There are many more calls than threads, in one run after the other."""
    service = concurrent()
    for count in (0, 1, 2, 3, 4, 100):
        results = [result for group in service.run(numbered(count)) for result in group]
        assert sorted(results) == [*range(count)]


def test_as_many_calls_as_threads_run_concurrently() -> None:
    """Three calls that wait for each other finish; a fourth would have to wait."""
    assert len(threads_of(concurrent(3), 3)) == 3


def test_no_more_calls_than_threads_run_concurrently() -> None:
    """The others follow as threads become free."""
    calls = [partial(whose, number) for number in range(50)]
    assert len({thread for group in concurrent(3).run(calls) for thread in group}) <= 3


def test_one_call_needs_no_thread() -> None:
    """Messages with one job are the usual case for retries."""
    [[thread]] = concurrent().run([partial(whose, 0)])
    assert thread is threading.current_thread()


def test_the_threads_stay_for_the_next_run() -> None:
    """A container runs one message after another."""
    service = concurrent(3)
    first = threads_of(service, 3)
    assert all(threads_of(service, 3) == first for _ in range(20))


def test_concurrent_runs_do_not_wait_for_each_other() -> None:
    """Several invocations may share a process, and each has all its threads."""
    service = concurrent(2)
    together = Barrier(4)
    found: list[int] = []

    def run() -> None:
        for group in service.run([partial(together.wait, AMPLE)] * 2):
            found.extend(group)

    others = [threading.Thread(target=run) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(AMPLE)
    assert sorted(found) == [0, 1, 2, 3]


def test_results_come_while_other_calls_run() -> None:
    """They come every flush interval, so that a worker's death loses no more than that."""
    release = Event()
    calls: list[Callable[[], int]] = [partial(int, 1), partial(release.wait, AMPLE)]
    run = concurrent(2, flush_seconds=0.01).run(calls)
    assert next(run) == [1]
    release.set()
    assert [*run] == [[True]]


def test_an_error_is_raised_after_calls_that_have_begun_return() -> None:
    """Their results are returned first. The other calls are not made: if a service does not answer,
    fifty requests to it would take all of a function's time."""
    both_have_begun = Barrier(2)

    def fail() -> int:
        both_have_begun.wait(AMPLE)
        raise LookupError("no")

    given: list[int] = []
    calls: list[Callable[[], int]] = [both_have_begun.wait, fail, *[partial(int, 7)] * 50_000]

    def take_all() -> None:
        for group in concurrent(2).run(calls):
            given.extend(group)

    with pytest.raises(LookupError, match="no"):
        take_all()
    assert given[0] in {0, 1}
    assert len(given) < 50_000


@pytest.mark.parametrize("there_are", [1, 2])
def test_fewer_threads_are_used_if_the_system_has_fewer(
    monkeypatch: pytest.MonkeyPatch, there_are: int
) -> None:
    """A system has a limited number of threads."""
    service = limited_to(there_are, monkeypatch)
    results = [result for group in service.run(numbered(50)) for result in group]
    assert sorted(results) == [*range(50)]


def test_nothing_is_begun_if_there_are_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    service = limited_to(0, monkeypatch)
    made: list[int] = []
    with pytest.raises(RuntimeError, match="can't start new thread"):
        [*service.run([partial(made.append, 1)] * 5)]
    assert not made


def limited_to(threads: int, monkeypatch: pytest.MonkeyPatch) -> ConcurrentThreads:
    """A service with three threads, on a system that has only this many."""
    start, left = threading.Thread.start, [None] * threads

    def start_if_one_is_left(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_one_is_left)
    return concurrent(3)


@pytest.mark.parametrize("error", [IndexError, SystemExit])
def test_no_error_in_a_call_ends_a_thread(error: type[BaseException]) -> None:
    """This includes errors that normally end threads, and those that the threads use themselves."""

    def fail() -> None:
        raise error

    service = concurrent(2)
    before = threads_of(service, 2)
    with pytest.raises(error):
        [*service.run([fail] * 5)]
    assert threads_of(service, 2) == before


def test_stopping_early_leaves_nothing_running() -> None:
    """Calls that have begun are waited for, and the others are not made: Lambda freezes a container
    between messages, and a frozen call misses its deadline."""
    made: list[int] = []
    may_end = Event()

    def call() -> int:
        may_end.wait(AMPLE)
        return 0

    service = concurrent(2, flush_seconds=0.01)
    calls: list[Any] = [partial(int, 7), call, call, *[partial(made.append, 1)] * 50_000]
    run: Any = service.run(calls)
    assert next(run) == [7]
    closing = threading.Thread(target=run.close)
    closing.start()
    may_end.set()
    closing.join(AMPLE)
    count = len(made)
    assert count < 50_000
    assert len(threads_of(service, 2)) == 2
    assert len(made) == count


def test_threads_that_nobody_can_use_end() -> None:
    """None of them keeps a process from ending."""
    service = concurrent(3)
    threads = threads_of(service, 3)
    assert all(thread.daemon for thread in threads)
    del service
    gc.collect()
    for thread in threads:
        thread.join(AMPLE)
    assert not any(thread.is_alive() for thread in threads)
