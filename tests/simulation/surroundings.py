"""Scenarios in which AWS misbehaves or two workers do the same work."""

from datetime import timedelta

from chalicelib.domain.transitions import LEASE
from tests.simulation.behavior import failing, refusing, unreachable
from tests.simulation.scenario import Scenario

_FIRST = frozenset({0})

#: On their own.
SURROUNDINGS = (
    Scenario(
        name="throttled",
        jobs=1,
        throttles=2,
        ends_within=timedelta(minutes=26),
        per_loss=timedelta(hours=2),
    ),
    Scenario(
        name="lagging-index",
        jobs=1,
        receiver=refusing(2),
        index_lags=True,
        called_back_within=timedelta(minutes=8),
        per_loss=timedelta(minutes=90),
    ),
)
#: At every moment.
AT_ONCE = (
    Scenario(name="revoked-key", jobs=1, action=("revoke",), platform=failing(0, 2)),
    Scenario(
        name="expiry-amid-work",
        jobs=1,
        action=("expire", "drain"),
        receiver=refusing(1),
        per_loss=timedelta(minutes=45),
    ),
    Scenario(
        name="duplicate-meanwhile",
        jobs=1,
        action=("later",),
        call_seconds=5,
        post_seconds=(60,),
        ends_within=timedelta(minutes=3),
        called_back_within=timedelta(minutes=3),
    ),
    Scenario(
        name="two-sweeps",
        jobs=1,
        action=("sweep",),
        receiver=refusing(1),
        per_loss=timedelta(minutes=45),
    ),
    Scenario(
        name="two-restarts",
        jobs=1,
        at_rest="restart",
        action=("restart",),
        platform=unreachable(0, 9),
        without_answer=_FIRST,
        called_back_within=LEASE,
    ),
    Scenario(
        name="restart-then-cancel",
        jobs=1,
        at_rest="restart",
        action=("cancel",),
        platform=unreachable(0, 1),
        without_answer=_FIRST,
    ),
    Scenario(
        name="restart-overtakes",
        jobs=1,
        action=("restart", "drain"),
        platform=unreachable(0, 1),
        without_answer=_FIRST,
        called_back_within=LEASE,
    ),
    Scenario(name="torn-reads", jobs=1, reads_are_torn=True, action=("again", "drain")),
    Scenario(
        name="torn-restart",
        jobs=1,
        reads_are_torn=True,
        action=("restart", "drain"),
        platform=unreachable(0, 1),
        without_answer=_FIRST,
        called_back_within=LEASE,
    ),
)
