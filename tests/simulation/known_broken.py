"""What is promised and not yet kept. Each of these runs must break its promise: whoever mends it
finds its test failing, and moves the scenario to the ordinary ones and the promise to `promises`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from chalicelib.domain.retry import JOB_TRIES
from tests.simulation.behavior import busy, busy_by_job, failing
from tests.simulation.load import Load
from tests.simulation.promises import calls_in_rounds, check
from tests.simulation.scenario import Scenario
from tests.simulation.schedules import every_schedule
from tests.simulation.state import State
from tests.simulation.witness import Broken, insist

_MINUTE = timedelta(minutes=1)
_EVER = 999
#: A little more than five minutes, so that nothing happens at the same moment.
_RESTARTS = timedelta(minutes=5, seconds=7)
#: What a batch of which one call of database or queue failed may take.
_ERROR = 2 * _MINUTE


@dataclass(frozen=True, kw_only=True)
class KnownBroken:
    """A scenario, what may happen in it, and what is wrong then, in plain words."""

    scenario: Scenario
    crashes: int = 0
    errors: int = 0
    defect: str
    #: What is told of it today: with its number, so that it is noticed if that changes.
    told: str

    def all_told(self) -> set[str]:
        """What is wrong in any schedule of it."""
        told: set[str] = set()

        def note(state: State) -> None:
            try:
                check(state)
            except Broken as broken:
                told.add(str(broken))

        every_schedule(self.scenario, note, crashes=self.crashes, errors=self.errors)
        return told


def no_job_is_called_more_than_five_times(state: State) -> None:
    """In one round, whatever the caller asks for meanwhile."""
    most = max(calls_in_rounds(state).values(), default=0)
    insist(most <= JOB_TRIES, f"a job is called {JOB_TRIES} times at most, not {most}")


def no_message_is_sent_twice(state: State) -> None:
    """One for each chunk and each further call of a job."""
    at_most, sent = _chunks(state) + len(state.calls) - state.scenario.jobs, state.sent["jobs"]
    insist(sent <= at_most, f"{at_most} messages suffice, {sent} were sent")


def an_error_is_no_death(state: State) -> None:
    """An error of the database or the queue, and nothing else: the work goes on within a minute,
    and no job is called that was called already."""
    if state.deaths or state.errors != 1 or state.head is None:
        return
    again = sum(calls - 1 for calls in state.called.values())
    took = (state.head.completed_at or state.now) - state.began_at
    messages = state.sent["jobs"]
    at_most = _chunks(state) + 1
    insist(
        again == 0 and (took <= _ERROR or state.submits > 1) and messages <= at_most,
        f"an error makes no second call, not {again}, and waits {_ERROR} at most, not {took}, "
        f"and {at_most} messages suffice, not {messages}",
    )


def no_job_is_called_before_its_time(state: State) -> None:
    """A platform that says when to come again is left alone until then, whatever the others say."""
    for job in range(state.scenario.jobs):
        calls = [call for call in state.calls if call.job == job]
        for call, after in pairwise(calls):
            early = call.not_before - after.at
            insist(early <= timedelta(), f"job {job} is called {early} before its Retry-After")


def a_cancel_ends_it_within_minutes(state: State) -> None:
    """Also if its own message is lost."""
    head = state.head
    if head is None or not head.cancelled or head.completed_at is None:
        return
    took = head.completed_at - (state.cancelled_at or head.completed_at)
    insist(took <= 6 * _MINUTE, f"a cancel ends the batch within minutes, not after {took}")


def one_delivery_at_a_time(state: State) -> None:
    """Also if the caller asks for another one meanwhile."""
    most = state.most_posting
    insist(most <= 1, f"one delivery of a batch is under way at a time, not {most}")


def nothing_is_taken_for_lost(state: State) -> None:
    """What waits its turn behind others is not sent again."""
    rescues, sent = state.logged["chunks sent again"], state.sent["jobs"]
    batches = state.logged["batch accepted"]
    insist(
        rescues == 0,
        f"{batches} batches that wait their turn need no rescue, not {rescues}, "
        f"and {batches} messages suffice, not {sent}",
    )


def _chunks(state: State) -> int:
    return -(-state.scenario.jobs // state.scenario.chunk_size)


KNOWN_BROKEN = (
    KnownBroken(
        scenario=Scenario(
            name="an-error",
            jobs=10,
            chunk_size=10,
            insists=(an_error_is_no_death,),
        ),
        errors=1,
        defect="one failed write in a message of several jobs is taken for a death: it comes back "
        "after 6 minutes, is split, and what was called is called again",
        told="not 10, and waits .* not 0:06:00, and 2 messages suffice, not 11",
    ),
    KnownBroken(
        scenario=Scenario(
            name="restarting-while-it-waits",
            jobs=1,
            platform=busy(*[900] * _EVER),
            asks=tuple((times * _RESTARTS, "restart") for times in range(1, 12)),
            without_answer=frozenset({0}),
            ends_within=timedelta(minutes=62),
            insists=(no_job_is_called_more_than_five_times, no_message_is_sent_twice),
        ),
        defect="each restart of a batch that waits as the platform told it begins another chain of "
        "calls beside the ones there are",
        told="5 times at most, not 31",
    ),
    KnownBroken(
        scenario=Scenario(
            name="handed-on-too-often",
            jobs=12,
            chunk_size=12,
            per_flush=1,
            platform=failing(11, _EVER),
            call_seconds=21,
            without_answer=frozenset({11}),
            ends_within=timedelta(minutes=45),
            insists=(no_job_is_called_more_than_five_times,),
        ),
        defect="hand-ons for want of time and retries share 12 hops: the last job of a message "
        "loses its later calls, waits for a check, and begins anew",
        told="5 times at most, not 7",
    ),
    KnownBroken(
        scenario=Scenario(
            name="the-longer-wait-loses",
            jobs=2,
            chunk_size=2,
            platform=busy_by_job((840, 840, 61), (840, 840, 900)),
            ends_within=timedelta(minutes=45),
            insists=(no_job_is_called_before_its_time,),
        ),
        defect="of two postponements of the check the first one wins, and the check sends the "
        "chunk while a job of it waits for 15 minutes",
        told="job 1 is called 0:12:00 before",
    ),
    KnownBroken(
        scenario=Scenario(
            name="a-cancel-that-is-not-heard",
            jobs=1,
            platform=busy(840, 840, 900),
            action=("cancel",),
            ends_within=timedelta(minutes=45),
            insists=(a_cancel_ends_it_within_minutes,),
        ),
        crashes=1,
        defect="a worker that postpones the check moves the due time that cancel set, and if the "
        "message of the cancel is lost nothing comes of it until the wait is over",
        told="not after 0:15:00",
    ),
    KnownBroken(
        scenario=Scenario(
            name="repost-while-delivering",
            jobs=1,
            post_seconds=(60, 60),
            action=("repost",),
            called_back_within=timedelta(minutes=5),
            insists=(one_delivery_at_a_time,),
        ),
        defect="a repost clears the lease of a delivery that is under way, and a second one begins",
        told="not 2",
    ),
)

#: A backlog of more than half an hour.
A_BACKLOG = Load(
    scenario=Scenario(
        name="a-backlog",
        jobs=10,
        chunk_size=10,
        call_seconds=2,
        ends_within=timedelta(minutes=40),
        insists=(nothing_is_taken_for_lost,),
    ),
    others=200,
    workers=2,
)
