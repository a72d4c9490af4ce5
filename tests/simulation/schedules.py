"""Every possible schedule: each accident at each place, and the action at each moment, alone and
combined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from unittest.mock import patch

from chalicelib.domain import results
from tests.simulation.accidents import Accident, Death, Error, late_error
from tests.simulation.fingerprint import Fingerprints
from tests.simulation.ports import READS
from tests.simulation.running import Plan, Stuck, act, most_invocations, run
from tests.simulation.scenario import Scenario
from tests.simulation.state import Invocation, State, begin
from tests.simulation.timetable import next_invocation

Check = Callable[[State], None]
Make = Callable[[int], Accident]

Branches = Iterator[tuple["State", "Budget"]]

ERRORS: tuple[Make, ...] = (Error, late_error)


@dataclass(frozen=True)
class Budget:
    """What may still happen in one run."""

    crashes: int = 0
    errors: int = 0
    #: Whether the scenario's action is still to come.
    acts: bool = False

    @property
    def accidents(self) -> tuple[Make, ...]:
        return (Death,) * bool(self.crashes) + ERRORS * bool(self.errors)

    def less(self, accident: type[Accident]) -> Budget:
        if accident is Death:
            return replace(self, crashes=self.crashes - 1)
        return replace(self, errors=self.errors - 1)


def every_schedule(scenario: Scenario, check: Check, *, crashes: int = 0, errors: int = 0) -> int:
    """Run the scenario with every choice of places for up to this many accidents, and with its
    action, if it has one, at every moment. Check each run at its end, and return the number of
    runs."""
    budget = Budget(crashes=crashes, errors=errors, acts=bool(scenario.action))
    state = begin(scenario)
    with patch.object(results, "MAX_CALLBACK_BYTES", scenario.max_callback_bytes):
        return _Exploration(state, check).explore(state, budget)


def run_to_rest(state: State, check: Check) -> None:
    """One run in which nothing (more) happens."""
    _Exploration(state, check).explore(state, Budget())


class _Exploration:
    """Explores each branch once: what follows from a known state is known."""

    def __init__(self, state: State, check: Check) -> None:
        self._check = check
        self._fingerprints = Fingerprints(state)
        #: The number of runs that follow, by the state's fingerprint.
        self._known: dict[int, int] = {}

    def explore(self, state: State, budget: Budget) -> int:
        """Run everything that can follow from a state, and return the number of runs."""
        runs = 0
        seen: dict[int, int] = {}
        for _ in range(most_invocations(state)):
            fingerprint = self._fingerprints.of(state, budget)
            if fingerprint in self._known:
                runs += self._known[fingerprint]
                break
            seen[fingerprint] = runs
            invocation = next_invocation(state)
            if invocation is not None:
                runs += self._explore_all(_branches(state, invocation, budget))
                run(state, invocation)
            elif budget.acts:
                budget = replace(budget, acts=False)
                runs += self._explore_all(_at_rest(state, budget))
                act(state, state.scenario.action)
            elif not goes_on(state, self._check):
                runs += 1
                break
        else:
            raise Stuck(f"still busy at {state.now}: {state.queue} {state.head}")
        self._known |= {each: runs - before for each, before in seen.items()}
        return runs

    def _explore_all(self, branches: Branches) -> int:
        return sum(self.explore(branch, left) for branch, left in branches)


def goes_on(state: State, check: Check) -> bool:
    """Check the promises at rest, and begin again if the scenario's caller does."""
    check(state)
    if not state.scenario.again_after_expiry or state.lives > 1:
        return False
    state.begin_again()
    return True


def _branches(state: State, invocation: Invocation, budget: Budget) -> Branches:
    """Yield the states after this invocation, each with one thing that happened in it."""

    def attempt(accident: Accident) -> tuple[State, str]:
        branch = state.copy()
        return branch, run(branch, invocation, Plan(accident=accident)).hit

    if budget.acts:
        yield from _with_the_action(state, invocation, replace(budget, acts=False))
    if budget.errors:
        yield from _with_each(ERRORS, attempt, budget)
    if budget.crashes:
        running = run(state.copy(), invocation, Plan(keeps_crashes=True))
        yield from ((crashed, budget.less(Death)) for crashed in running.crashed)


def _with_the_action(state: State, invocation: Invocation, budget: Budget) -> Branches:
    """The action at each moment of this invocation: alone, with a crash after it, and with an
    accident in the action."""
    for moment in count():
        plan = Plan(action_at=moment)

        def attempt(accident: Accident, plan: Plan = plan) -> tuple[State, str]:
            branch = state.copy()
            return branch, run(branch, invocation, replace(plan, in_action=accident)).hit_in_action

        branch = state.copy()
        running = run(branch, invocation, replace(plan, keeps_crashes=budget.crashes > 0))
        if not running.has_acted:
            return
        yield branch, budget
        yield from ((crashed, budget.less(Death)) for crashed in running.crashed)
        yield from _with_each(budget.accidents, attempt, budget)


def _at_rest(state: State, budget: Budget) -> Branches:
    """The action when all is over, with an accident in it."""

    def attempt(accident: Accident) -> tuple[State, str]:
        branch = state.copy()
        return branch, act(branch, state.scenario.action, accident=accident)

    yield from _with_each(budget.accidents, attempt, budget)


def _with_each(
    accidents: Iterable[Make], attempt: Callable[[Accident], tuple[State, str]], budget: Budget
) -> Branches:
    """The states after each accident at each place, until no place is left. Losing the answer to a
    read is the same accident as the read failing."""
    for make in accidents:
        for at in count():
            accident = make(at)
            branch, hit = attempt(accident)
            if not hit:
                break
            if make is not late_error or hit not in READS:
                yield branch, budget.less(type(accident))
