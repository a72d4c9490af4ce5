"""Many batches and few workers: everything waits, and nothing may be considered lost.

The workers run concurrently as they do in production: while one call takes its time, the others go
on, up to the limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

from greenlet import greenlet

from chalicelib.domain.states import CallbackState
from tests.simulation.hooks import Hooks
from tests.simulation.promises import check
from tests.simulation.running import start
from tests.simulation.scenario import Scenario
from tests.simulation.state import BYSTANDER, Invocation, State, begin
from tests.simulation.timetable import invocation_of, next_sweep
from tests.simulation.witness import insist
from tests.simulation.world import World


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many other batches of the same kind are submitted before the scenario's own."""

    scenario: Scenario
    others: int
    workers: int


def run_load(load: Load) -> State:
    """Run the load until all is at rest, check every promise, and return the final state."""
    state = begin(load.scenario)
    for number in range(load.others):
        World(state).submit_like(f"other {number}")
    _Workers(state, load.workers).work()
    check(state)
    _all_others_have_ended(state)
    return state


class _Workers:
    """The workers of `run_jobs`; other functions may run as often as they like."""

    def __init__(self, state: State, workers: int) -> None:
        self._state = state
        self._workers = workers
        self._running = 0
        self._asleep: list[tuple[datetime, int, greenlet]] = []
        self._numbers = count()

    def work(self) -> None:
        self._begin(Invocation("submit"))
        while upcoming := self._upcoming():
            moment, invocation = upcoming
            self._state.now = max(self._state.now, moment)
            if invocation is not None:
                self._begin(invocation)
            else:
                heappop(self._asleep)[-1].switch()

    def sleep(self, seconds: float) -> None:
        """Continue the running worker after this long."""
        moment = self._state.now + timedelta(seconds=seconds)
        heappush(self._asleep, (moment, next(self._numbers), greenlet.getcurrent()))
        hub = greenlet.getcurrent().parent
        assert hub is not None
        hub.switch()

    def _upcoming(self) -> tuple[datetime, Invocation | None] | None:
        """When something happens next, and what begins then. None if a worker wakes up."""
        moments = [(self._asleep[0][0], 0)] if self._asleep else []
        sweep_at = next_sweep(self._state)
        if sweep_at is not None:
            moments.append((sweep_at, 1))
        messages = [each for each in self._state.queue if self._may_begin(each.queue)]
        first = min(messages, key=lambda each: each.visible_at, default=None)
        if first is not None:
            moments.append((first.visible_at, 2))
        if not moments:
            return None
        moment, what = min(moments)
        if what == 2 and first is not None:
            return moment, invocation_of(first)
        return moment, Invocation("sweep") if what == 1 else None

    def _may_begin(self, queue: str) -> bool:
        return queue != "jobs" or self._running < self._workers

    def _begin(self, invocation: Invocation) -> None:
        started = start(self._state, invocation)
        if started is not None:
            greenlet(self._run).switch(started)

    def _run(self, invocation: Invocation) -> None:
        is_worker = invocation.function == "run_jobs"
        self._running += is_worker
        World(self._state, _Sleeping(self)).invoke(invocation)
        self._running -= is_worker
        self._state.delete(invocation.message)


class _Sleeping(Hooks):
    """Lets the other workers go on while one waits."""

    def __init__(self, workers: _Workers) -> None:
        self._workers = workers

    def wait(self, seconds: float) -> None:
        self._workers.sleep(seconds)


def _all_others_have_ended(state: State) -> None:
    for head in state.store.heads.values():
        if head.batch_id == BYSTANDER:
            continue
        insist(head.is_completed, "every batch completes")
        insist(head.callback is CallbackState.DELIVERED, "every callback is delivered")
    insist(set(state.others.values()) <= {1}, "every job and every callback is called at most once")
