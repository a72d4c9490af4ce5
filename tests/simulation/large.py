"""Batches of ten thousand jobs. They have too many moments to try them all, so accidents happen at
moments drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.domain.batch import chunk_size
from chalicelib.domain.outcome import Reply
from chalicelib.domain.transitions import LEASE
from tests.simulation.accidents import Death
from tests.simulation.behavior import Outcome, answers, refusing
from tests.simulation.promises import check
from tests.simulation.running import Plan, Stuck, act, most_invocations, run
from tests.simulation.scenario import Scenario
from tests.simulation.schedules import goes_on
from tests.simulation.state import State, begin
from tests.simulation.timetable import next_invocation

JOBS = 10_000
#: One message in this many loses its worker, if workers die.
_DEADLY = 40
#: The moments of a batch at which something else can happen: one call per job, and a few per chunk.
_MOMENTS_PER_JOB = 1.2
#: In such a batch, one job in this many fails.
_FAILING = 100


def _now_and_then(index: int, before: int) -> Outcome:
    return _failing(index, before, 2)


def _for_good(index: int, before: int) -> Outcome:
    return _failing(index, before, 5)


def _failing(index: int, before: int, times: int) -> Outcome:
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
    """Run the schedule of a seed, check every promise, and return the final state."""
    scenario = replace(large.scenario, jobs=jobs, chunk_size=chunk_size(jobs, 25), per_flush=10)
    rng = random.Random(f"{scenario.name}-{seed}")
    state = begin(scenario)
    #: How many moments are left until the action.
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
