"""Scenarios about time: it passes during a call, it is short, or clocks differ."""

from datetime import timedelta

from chalicelib.domain.states import CallbackState
from tests.simulation.behavior import busy, failing, refusing
from tests.simulation.insisted import has_its_own_deadline
from tests.simulation.scenario import Scenario

#: Two ways in which the functions' clocks may differ.
ONE_WAY = {"submit": 30, "run_jobs": -30, "advance_batch": 30, "sweep": -30}
THE_OTHER_WAY = {function: -ahead for function, ahead in ONE_WAY.items()}

ELAPSING = (
    Scenario(
        name="slow-calls",
        jobs=6,
        chunk_size=6,
        per_flush=1,
        call_seconds=15,
        ends_within=timedelta(minutes=3),
    ),
    Scenario(
        name="slow-receiver",
        jobs=1,
        receiver=refusing(1),
        post_seconds=(75, 75),
        called_back_within=timedelta(minutes=4),
        per_loss=timedelta(minutes=45),
    ),
    Scenario(
        name="outliving-its-lease",
        jobs=1,
        receiver=refusing(2),
        post_seconds=(400,),
        outlives_its_time=True,
        called_back_within=timedelta(minutes=45),
        per_loss=timedelta(hours=3),
    ),
    Scenario(
        name="deadline",
        jobs=1,
        platform=failing(0, 9),
        deadline=timedelta(minutes=2),
        without_answer=frozenset(range(12)),
        ends_within=timedelta(minutes=4),
    ),
    Scenario(
        name="own-deadline",
        jobs=1,
        platform=busy(*[50] * 99),
        own_deadline=timedelta(minutes=2),
        without_answer=frozenset(range(12)),
        at_rest="restart",
        ends_within=timedelta(minutes=4),
        per_loss=timedelta(minutes=16),
        insists=(has_its_own_deadline,),
    ),
    Scenario(
        name="expiry-while-running",
        jobs=1,
        platform=failing(0, 9),
        deadline=timedelta(minutes=4),
        expiry=timedelta(minutes=3),
        ends=False,
    ),
    Scenario(
        name="expiry-while-delivering",
        jobs=1,
        receiver=refusing(99),
        deadline=timedelta(minutes=45),
        expiry=timedelta(minutes=90),
        callback_ends=CallbackState.FAILED,
    ),
    Scenario(
        name="busy-platform",
        jobs=1,
        platform=busy(840, 840, 300),
        ends_within=timedelta(minutes=34),
    ),
    Scenario(
        name="clocks-ahead",
        jobs=1,
        platform=failing(0, 2),
        receiver=refusing(2),
        clocks=ONE_WAY,
        ends_within=timedelta(minutes=4),
        called_back_within=timedelta(minutes=10),
        per_loss=timedelta(minutes=90),
    ),
    Scenario(
        name="clocks-behind",
        jobs=1,
        platform=failing(0, 2),
        receiver=refusing(2),
        clocks=THE_OTHER_WAY,
        ends_within=timedelta(minutes=4),
        called_back_within=timedelta(minutes=10),
        per_loss=timedelta(minutes=90),
    ),
)
