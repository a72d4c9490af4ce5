"""Promises of single scenarios, besides the promises that hold in all of them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from chalicelib.domain.holds import ATTEMPT_TO_TRIP, OUTAGE_WAITS
from chalicelib.domain.retry import JOB_TRIES
from tests.simulation.promises import Promise, calls_in_rounds
from tests.simulation.state import State
from tests.simulation.witness import insist

_MINUTE = timedelta(minutes=1)
#: How long a batch may take if one call of the database or queue failed.
_ERROR = 2 * _MINUTE


def posts_at_most(times: int) -> Promise:
    """No callback is sent more often than this, except that each loss may hide that it was sent,
    and each repost starts over."""

    def promise(state: State) -> None:
        begun = times * (1 + state.losses + len(state.acted))
        insist(
            len(state.posts) <= begun, f"at most {begun} callbacks are sent, not {len(state.posts)}"
        )

    return promise


def no_job_is_called_more_than_five_times(state: State) -> None:
    """This holds for each round, no matter what the caller does meanwhile and what fails."""
    most = max(calls_in_rounds(state).values(), default=0)
    chains = 1 + state.sent_unnoticed + state.deaths + state.starts_over
    at_most = JOB_TRIES * chains
    insist(most <= at_most, f"a job is called at most {at_most} times in a round, not {most}")


def no_message_is_sent_twice(state: State) -> None:
    """One message per chunk and per further call of a job is enough."""
    if state.losses:
        return
    at_most, sent = _chunks(state) + len(state.calls) - state.scenario.jobs, state.sent["jobs"]
    insist(sent <= at_most, f"at most {at_most} messages are sent, not {sent}")


def an_error_is_no_death(state: State) -> None:
    """After a single error of the database or queue, the work goes on within a minute, and no job
    is called twice."""
    if state.deaths or state.errors != 1 or state.head is None:
        return
    again = sum(calls - 1 for calls in state.called.values())
    took = (state.head.completed_at or state.now) - state.began_at
    messages, at_most = state.sent["jobs"], 2 * _chunks(state)
    insist(
        again == 0 and (took <= _ERROR or state.submits > 1) and messages <= at_most,
        f"after an error no job is called again ({again} calls were repeated), the batch takes at "
        f"most {_ERROR} (it took {took}), and at most {at_most} messages are sent (not {messages})",
    )
    insist(not state.logged["message split"], "a message is not split because of an error")


def a_job_is_called_once(state: State) -> None:
    """A job that was called has its answer recorded, no matter what is down or waiting."""
    most = max(calls_in_rounds(state).values(), default=0)
    insist(
        most <= 1, f"a job that was answered is not called again, but one was called {most} times"
    )


def called_again_at_most(times: int) -> Promise:
    """Only jobs whose answers could not be recorded are called again."""

    def promise(state: State) -> None:
        again = sum(calls - 1 for calls in calls_in_rounds(state).values())
        insist(again <= times, f"at most {times} calls are repeated, not {again}")

    return promise


def no_job_is_called_before_its_time(state: State) -> None:
    """A job is not called before the platform's Retry-After is over, even if other jobs were told
    otherwise or an error happened meanwhile. Only work that is done twice may call it earlier."""
    if state.deaths or state.sent_unnoticed or state.starts_over:
        return
    for job in range(state.scenario.jobs):
        calls = [call for call in state.calls if call.job == job]
        for call, after in pairwise(calls):
            early = call.not_before - after.at
            insist(
                early <= timedelta(),
                f"job {job} waits for the platform's Retry-After, but was called {early} too early",
            )


def a_cancel_ends_it_within_minutes(state: State) -> None:
    """A cancel takes effect even if its message is lost."""
    head = state.head
    if head is None or not head.cancelled or head.completed_at is None:
        return
    took = head.completed_at - (state.cancelled_at or head.completed_at)
    insist(took <= 6 * _MINUTE, f"a cancelled batch ends within 6 minutes, not after {took}")


def nothing_is_mistaken_for_lost(state: State) -> None:
    """Messages that wait behind others are not sent again."""
    rescues = state.logged["chunks sent again"]
    batches = state.logged["batch accepted"]
    insist(
        rescues == 0,
        f"no message of {batches} waiting batches counts as lost, but {rescues} were sent again",
    )


def rescued_at_most(times: int) -> Promise:
    """Lost messages are sent again, once."""

    def promise(state: State) -> None:
        rescues, at_most = state.logged["chunks sent again"], times + state.deaths + state.errors
        insist(rescues <= at_most, f"chunks are sent again at most {at_most} times, not {rescues}")

    return promise


def an_absent_platform_is_left_alone(state: State) -> None:
    """The platform is called until each message notices that it is down; then single jobs probe
    it."""
    away = [call for call in state.calls if call.is_away]
    if not away or state.losses or state.acted:
        return
    lasted = (away[-1].at - away[0].at).total_seconds()
    tries = len(OUTAGE_WAITS) + lasted / OUTAGE_WAITS[-1]
    until_known = ATTEMPT_TO_TRIP + state.scenario.is_warm  # an answer in the last minute misleads
    at_most = state.scenario.jobs * until_known + _chunks(state) * (1 + tries)
    insist(
        len(away) <= at_most,
        f"a platform that is down is called at most {at_most:.0f} times, not {len(away)}",
    )


def every_job_has_its_answer_in_the_end(state: State) -> None:
    """Every job gets an answer from the platform, even if the batch was stopped before."""
    head = state.head
    if head is None or "restart" not in state.granted or state.deaths:
        return
    insist(head.status == "completed", "a restart completes a batch that was stopped")
    unanswered = head.answered.unanswered
    insist(unanswered == 0, f"every job has an answer after a restart, but {unanswered} have none")


def has_its_own_deadline(state: State) -> None:
    """Each round has the deadline that the caller gave."""
    head, own = state.head, state.scenario.own_deadline
    if head is not None and own is not None:
        lasts = head.deadline - head.round_began_at
        insist(lasts == own, f"the deadline is {own} after the round began, not {lasts}")


def _chunks(state: State) -> int:
    return -(-state.scenario.jobs // state.scenario.chunk_size)
