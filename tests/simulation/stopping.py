"""Scenarios in which too many jobs fail."""

from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.outcome import Reply
from chalicelib.domain.transitions import LEASE, WORKERS_END
from tests.simulation.behavior import Outcome, failing_for_good
from tests.simulation.elapsing import ONE_WAY, THE_OTHER_WAY
from tests.simulation.insisted import every_job_has_its_answer_in_the_end
from tests.simulation.scenario import Scenario

_ALL_FAIL = failing_for_good()
#: A stopped batch counts as due much too early.
_WORKERS_BEHIND = {"run_jobs": -30, "advance_batch": 30, "sweep": 30}


def _one_waits(index: int, before: int) -> Outcome:
    return _ALL_FAIL(index, before) if index else Reply(status=429, retry_after="600")


_FAILURES = Scenario(
    name="too-many-failures",
    jobs=1,
    max_failed=0,
    platform=_ALL_FAIL,
    ends_within=WORKERS_END + timedelta(minutes=1),
)

#: On their own.
STOPPING = (
    _FAILURES,
    replace(_FAILURES, name="more-failures-than-may", max_failed=1),
    replace(
        _FAILURES,
        name="too-many-failures-while-one-waits",
        jobs=3,
        chunk_size=3,
        per_flush=1,
        platform=_one_waits,
    ),
    replace(
        _FAILURES,
        name="restart-after-a-stop",
        at_rest="restart",
        insists=(every_job_has_its_answer_in_the_end,),
    ),
)
#: The clocks of workers, checks and sweeps differ by up to a minute.
STOPPED_WITH_CLOCKS_APART = tuple(
    replace(
        _FAILURES,
        name=f"too-many-failures-with-clocks-{name}",
        clocks=clocks,
        ends_within=WORKERS_END + timedelta(minutes=2),
        called_back_within=timedelta(minutes=5),
        per_loss=timedelta(minutes=20),
    )
    for name, clocks in (("ahead", ONE_WAY), ("behind", THE_OTHER_WAY), ("apart", _WORKERS_BEHIND))
)
#: With actions from outside, at every moment.
STOPPED_MEANWHILE = (
    replace(_FAILURES, name="too-many-failures-while-cancelled", action=("cancel",)),
    replace(
        _FAILURES,
        name="too-many-failures-while-restarted",
        action=("restart", "drain"),
        called_back_within=LEASE,
    ),
    replace(_FAILURES, name="too-many-failures-at-once", action=("drain",)),
)
#: The last job is one too many. A worker that has seen that stops the batch at any moment: while
#: another worker completes it, or while the caller cancels it.
STOPPED_LATE = (
    replace(_FAILURES, name="completed-while-stopped", jobs=3, max_failed=2, action=("stop",)),
    replace(
        _FAILURES,
        name="cancelled-while-stopped",
        jobs=3,
        chunk_size=3,
        per_flush=1,
        action=("stop",),
        asks=((timedelta(minutes=1), "cancel"),),
    ),
)
