"""Batches of ten thousand jobs. There are too many moments in one to try them all: what goes wrong
goes wrong at moments drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.domain.batch import chunk_size
from chalicelib.domain.outcome import Reply
from chalicelib.domain.transitions import LEASE
from tests.simulation.accidents import Death
from tests.simulation.behavior import Brought, answers, refusing
from tests.simulation.promises import check
from tests.simulation.running import Plan, Stuck, act, most_invocations, run
from tests.simulation.scenario import Scenario
from tests.simulation.schedules import goes_on
from tests.simulation.state import State, begin
from tests.simulation.timetable import next_invocation

JOBS = 10_000
#: One message in so many loses its worker, where workers die.
_DEADLY = 40
#: A call for each job, and some for each chunk: so many moments there are for something to happen
#: besides.
_MOMENTS_PER_JOB = 1.2
#: In such a batch one job in so many fails.
_FAILING = 100


def _now_and_then(index: int, before: int) -> Brought:
    return _failing(index, before, 2)


def _for_good(index: int, before: int) -> Brought:
    return _failing(index, before, 5)


def _failing(index: int, before: int, times: int) -> Brought:
    fails = index % _FAILING == 0 and before < times
    return Reply(status=500) if fails else answers(index, before)


@dataclass(frozen=True, kw_only=True)
class Large:
    """A scenario, and whether its workers die."""

    scenario: Scenario
    is_deadly: bool = False


_GIVEN_UP = frozenset(range(0, JOBS, _FAILING))
TEN_THOUSAND = (
    Large(scenario=Scenario(name="plain", jobs=JOBS)),
    Large(scenario=Scenario(name="deadly", jobs=JOBS), is_deadly=True),
    Large(
        scenario=Scenario(name="failing", jobs=JOBS, platform=_now_and_then, receiver=refusing(2)),
        is_deadly=True,
    ),
    Large(scenario=Scenario(name="cancel", jobs=JOBS, action=("cancel",)), is_deadly=True),
    Large(
        scenario=Scenario(
            name="restart",
            jobs=JOBS,
            action=("restart",),
            platform=_for_good,
            ends_within=timedelta(minutes=21),
            called_back_within=LEASE,
            without_answer=_GIVEN_UP,
        )
    ),
    Large(
        scenario=Scenario(
            name="cancel-restart",
            jobs=JOBS,
            action=("cancel", "drain", "restart"),
            called_back_within=LEASE,
        )
    ),
    Large(
        scenario=Scenario(name="repost", jobs=JOBS, action=("repost",), called_back_within=LEASE)
    ),
    Large(scenario=Scenario(name="overtake", jobs=JOBS, action=("drain",))),
    Large(scenario=Scenario(name="duplicate", jobs=JOBS, action=("again", "drain"))),
    Large(scenario=Scenario(name="same-key-twice", jobs=JOBS, action=("submit",))),
)


def run_large(large: Large, seed: int, jobs: int = JOBS) -> State:
    """The state in which the schedule of a seed ends, with every promise checked."""
    scenario = replace(large.scenario, jobs=jobs, chunk_size=chunk_size(jobs, 25), per_flush=10)
    rng = random.Random(f"{scenario.name}-{seed}")
    state = begin(scenario)
    #: How many moments it is until the action.
    left = rng.randrange(round(jobs * _MOMENTS_PER_JOB)) if scenario.action else None
    for _ in range(most_invocations(state)):
        invocation = next_invocation(state)
        if invocation is not None:
            dies = large.is_deadly and rng.randrange(_DEADLY) == 0
            death = Death(rng.randrange(30)) if dies else None
            running = run(state, invocation, Plan(action_at=left, accident=death))
            left = None if left is None or running.has_acted else left - running.moments
        elif left is not None:
            left = None
            act(state, scenario.action)
        elif not goes_on(state, check):
            return state
    raise Stuck(f"still busy at {state.now}")
