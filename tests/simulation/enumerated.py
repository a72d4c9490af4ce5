"""The scenarios of which every schedule is run, in every shape."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.limits import Limits
from chalicelib.domain.transitions import LEASE
from tests.simulation.behavior import failing, kills, poison, refusing
from tests.simulation.scenario import Scenario

#: Jobs, jobs per chunk, answers per flush.
SMALL = ((1, 1, 1_000), (3, 1, 1_000), (3, 3, 1))
LARGE = ((12, 4, 2), (12, 12, 4))
SHAPES = SMALL + LARGE

_FIRST = frozenset({0})
#: The waits between five calls, each as long as possible.
_FIVE_CALLS = timedelta(minutes=21)
#: What can happen to a batch on its own.
PATHS = (
    Scenario(name="plain", jobs=1),
    Scenario(name="failing", jobs=1, platform=failing(0, 2), ends_within=timedelta(minutes=2)),
    Scenario(
        name="giving-up",
        jobs=1,
        platform=failing(0, 9),
        without_answer=_FIRST,
        ends_within=_FIVE_CALLS,
    ),
    Scenario(
        name="poison",
        jobs=1,
        platform=poison(0),
        without_answer=_FIRST,
        per_loss=timedelta(minutes=40),
    ),
    Scenario(
        name="receiver-down",
        jobs=1,
        receiver=refusing(2),
        called_back_within=timedelta(minutes=7),
        per_loss=timedelta(minutes=90),
    ),
    Scenario(name="deadly-callback", jobs=1, receiver=kills),
    Scenario(name="same-key-after-expiry", jobs=1, again_after_expiry=True),
)
#: Actions from outside, at every moment.
ACTIONS = (
    Scenario(name="cancel", jobs=1, action=("cancel",)),
    Scenario(
        name="restart",
        jobs=1,
        action=("restart",),
        platform=failing(0, 5),
        without_answer=_FIRST,
        ends_within=_FIVE_CALLS,
        called_back_within=LEASE,
    ),
    Scenario(name="repost", jobs=1, action=("repost",), called_back_within=LEASE),
    Scenario(
        name="cancel-restart",
        jobs=1,
        action=("cancel", "drain", "restart"),
        called_back_within=LEASE,
    ),
    Scenario(name="overtake", jobs=1, action=("drain",)),
    Scenario(name="duplicate", jobs=1, action=("again", "drain")),
    Scenario(name="same-key-twice", jobs=1, action=("submit",)),
)

_ONE_OPEN = Limits(open_batches=1, jobs_per_minute=60)
#: An account that may have one batch open, while any of that happens or it submits another batch.
LIMITED = (
    Scenario(name="limited", jobs=1, limits=_ONE_OPEN),
    Scenario(name="limited-rival", jobs=1, limits=_ONE_OPEN, action=("rival",)),
    Scenario(
        name="limited-restart",
        jobs=1,
        limits=_ONE_OPEN,
        action=("restart", "rival"),
        platform=failing(0, 5),
        without_answer=_FIRST,
        ends_within=_FIVE_CALLS,
        called_back_within=LEASE,
    ),
)


def shaped(scenario: Scenario, shape: tuple[int, int, int]) -> Scenario:
    jobs, chunk_size, per_flush = shape
    return replace(scenario, jobs=jobs, chunk_size=chunk_size, per_flush=per_flush)
