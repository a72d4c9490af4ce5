"""What is insisted on in some scenarios besides the promises that hold in all of them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from chalicelib.domain.holds import ATTEMPT_TO_TRIP, OUTAGE_WAITS
from chalicelib.domain.retry import JOB_TRIES
from tests.simulation.promises import Promise, calls_in_rounds
from tests.simulation.state import State
from tests.simulation.witness import insist

_MINUTE = timedelta(minutes=1)
#: What a batch of which one call of database or queue failed may take.
_ERROR = 2 * _MINUTE


def posts_at_most(times: int) -> Promise:
    """No callback is sent more often, but that each loss may hide that it was sent, and each repost
    begins anew."""

    def promise(state: State) -> None:
        begun = times * (1 + state.losses + len(state.acted))
        insist(len(state.posts) <= begun, f"{len(state.posts)} callbacks are sent, not {times}")

    return promise


def no_job_is_called_more_than_five_times(state: State) -> None:
    """In one round, whatever the caller asks for meanwhile, and whatever fails."""
    most = max(calls_in_rounds(state).values(), default=0)
    chains = 1 + state.sent_unknown + state.deaths + state.begun_anew
    insist(most <= JOB_TRIES * chains, f"a job is called {JOB_TRIES} times at most, not {most}")


def no_message_is_sent_twice(state: State) -> None:
    """One for each chunk and each further call of a job."""
    if state.losses:
        return
    at_most, sent = _chunks(state) + len(state.calls) - state.scenario.jobs, state.sent["jobs"]
    insist(sent <= at_most, f"{at_most} messages suffice, {sent} were sent")


def an_error_is_no_death(state: State) -> None:
    """An error of the database or the queue, and nothing else: the work goes on within a minute,
    and no job is called that was called already."""
    if state.deaths or state.errors != 1 or state.head is None:
        return
    again = sum(calls - 1 for calls in state.called.values())
    took = (state.head.completed_at or state.now) - state.began_at
    messages, at_most = state.sent["jobs"], 2 * _chunks(state)
    insist(
        again == 0 and (took <= _ERROR or state.submits > 1) and messages <= at_most,
        f"an error makes no second call, not {again}, and waits {_ERROR} at most, not {took}, "
        f"and {at_most} messages suffice, not {messages}",
    )
    insist(not state.logged["message split"], "an error splits no message")


def a_job_is_called_once(state: State) -> None:
    """Whatever is away or waits: its answer is recorded, or it was not called."""
    most = max(calls_in_rounds(state).values(), default=0)
    insist(most <= 1, f"a job that is answered is called once, not {most} times")


def called_again_at_most(times: int) -> Promise:
    """Only those whose answers could not be recorded are called again."""

    def promise(state: State) -> None:
        again = sum(calls - 1 for calls in calls_in_rounds(state).values())
        insist(again <= times, f"{times} calls are made again at most, not {again}")

    return promise


def no_job_is_called_before_its_time(state: State) -> None:
    """A platform that says when to come again is left alone until then, whatever the others say,
    and if an error comes between. Only what is worked on twice may be called meanwhile."""
    if state.deaths or state.sent_unknown or state.begun_anew:
        return
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


def nothing_is_taken_for_lost(state: State) -> None:
    """What waits its turn behind others is not sent again."""
    rescues = state.logged["chunks sent again"]
    batches = state.logged["batch accepted"]
    insist(rescues == 0, f"{batches} batches that wait their turn need no rescue, not {rescues}")


def rescued_at_most(times: int) -> Promise:
    """What is lost is sent again, once."""

    def promise(state: State) -> None:
        rescues, at_most = state.logged["chunks sent again"], times + state.deaths + state.errors
        insist(rescues <= at_most, f"chunks are sent again {at_most} times, not {rescues}")

    return promise


def an_absent_platform_is_left_alone(state: State) -> None:
    """It is called until that is noticed, by each message; then one job tries now and then."""
    away = [call for call in state.calls if call.is_away]
    if not away or state.losses or state.acted:
        return
    lasted = (away[-1].at - away[0].at).total_seconds()
    tries = len(OUTAGE_WAITS) + lasted / OUTAGE_WAITS[-1]
    until_known = ATTEMPT_TO_TRIP + state.scenario.is_warm  # an answer of the last minute misleads
    at_most = state.scenario.jobs * until_known + _chunks(state) * (1 + tries)
    insist(len(away) <= at_most, f"it is called {at_most:.0f} times in vain, not {len(away)}")


def every_job_has_its_answer_in_the_end(state: State) -> None:
    """Of the platform, whatever was stopped before."""
    head = state.head
    if head is None or "restart" not in state.granted or state.deaths:
        return
    insist(head.status == "completed", "what was stopped is completed by a restart")
    unanswered = head.answered.unanswered
    insist(unanswered == 0, f"a restart leaves no job without an answer, not {unanswered}")


def has_its_own_deadline(state: State) -> None:
    """In each round, a moment after it began."""
    head, own = state.head, state.scenario.own_deadline
    if head is not None and own is not None:
        lasts = head.deadline - head.round_began_at
        insist(lasts == own, f"a round may take {own}, as its caller says, not {lasts}")


def _chunks(state: State) -> int:
    return -(-state.scenario.jobs // state.scenario.chunk_size)
