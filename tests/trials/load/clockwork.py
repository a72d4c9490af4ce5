"""Time that moves only when everything waits: many concurrent invocations in one thread."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

from greenlet import getcurrent, greenlet

from tests.fakes.clock import START

Result = TypeVar("Result")


class Clockwork:
    """The clock, and what is scheduled."""

    def __init__(self) -> None:
        self._now = START
        self._upcoming: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = count()
        self._hub = getcurrent()

    def now(self) -> datetime:
        return self._now

    def at(self, moment: datetime, do: Callable[[], object]) -> None:
        """Schedule a call for a time, or for now if that has passed. The call may sleep."""
        self._push(moment, lambda: greenlet(do, parent=self._hub).switch())

    def sleep(self, seconds: float) -> None:
        """Continue the running call after this long."""
        self.sleep_until_woken(seconds)

    def sleep_until_woken(
        self, seconds: float, tell: Callable[[Callable[[], None]], None] | None = None
    ) -> None:
        """Sleep as long as that, or until somebody calls the function passed to `tell`."""
        sleeper, is_asleep = getcurrent(), True

        def wake() -> None:
            nonlocal is_asleep
            if is_asleep:
                is_asleep = False
                sleeper.switch()

        if tell:
            tell(lambda: self._push(self._now, wake))
        self._push(self._now + timedelta(seconds=seconds), wake)
        self._hub.switch()

    def run(self) -> None:
        """Run until nothing is scheduled any more."""
        while self._upcoming:
            self._now, _, go_on = heappop(self._upcoming)
            go_on()

    @property
    def is_idle(self) -> bool:
        return not self._upcoming

    def _push(self, moment: datetime, go_on: Callable[[], object]) -> None:
        heappush(self._upcoming, (max(moment, self._now), next(self._numbers), go_on))


class Concurrently:
    """Runs this many calls concurrently, as threads do in production, and yields their results each
    second."""

    def __init__(self, clockwork: Clockwork, most: int, flush_seconds: float = 1) -> None:
        self._clockwork = clockwork
        self._most = most
        self._flush_seconds = flush_seconds

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        waiting, results = deque(calls), list[Result]()
        running = min(self._most, len(calls))
        wakers: list[Callable[[], None]] = []

        def work() -> None:
            nonlocal running
            while waiting:
                results.append(waiting.popleft()())
            running -= 1
            if not running:
                wakers[-1]()

        for _ in range(running):
            self._clockwork.at(self._clockwork.now(), work)
        given = 0
        while given < len(calls):
            if running:
                self._clockwork.sleep_until_woken(self._flush_seconds, wakers.append)
            found = results[given:]
            given += len(found)
            if found:
                yield found
