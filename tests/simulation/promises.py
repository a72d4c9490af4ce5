"""What must be true once nothing is left to do, no matter what happened before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

from chalicelib.domain.batch import SENTINEL_IS_LOST, AnswersPart, Batch, Verdict
from chalicelib.domain.limits import BETWEEN_PRUNINGS, GRACE
from chalicelib.domain.outcome import Reply
from chalicelib.domain.retry import CALLBACK_TRIES, JOB_TRIES
from chalicelib.domain.states import CallbackState
from tests.fakes.clock import START
from tests.samples import DEMO_CALLER
from tests.simulation.behavior import kills
from tests.simulation.state import BYSTANDER, RIVAL, State, the_bystander
from tests.simulation.witness import Broken, insist
from tests.simulation.world import World

Promise = Callable[[State], None]

#: This many accidental deaths of workers may have made a job look like it killed them.
DEATHS_TO_BLAME = 2
#: This many losses may have used up all attempts at a callback, besides the receiver's own
#: refusals.
_USED_UP = CALLBACK_TRIES - 3
#: After all batches of an account have ended, it can submit again within this time.
_PATIENCE = GRACE + BETWEEN_PRUNINGS
#: How far off anything may be that a function judges by its own clock.
_CLOCKS_DIFFER = timedelta(minutes=1)


def check(state: State) -> None:
    """Raise Broken if a promise does not hold."""
    head = state.head
    if head is None:
        raise Broken("the caller gets an answer, and its batch exists")
    for promise in state.scenario.insists:
        promise(state)
    _has_one_answer_for_each_job(state, head)
    _kept_within_its_life(state, head)
    if state.scenario.ends:
        _has_ended(state, head)
        _answers_are_the_jobs_own(state, head)
        _results_never_changed(state, head)
        _was_called_back(state, head)
        _ran_each_job_as_often_as_it_had_to(state, head)
    _ran_no_job_too_often(state)
    _stopped_in_time(state)
    _called_itself_the_same(state)
    _waited_as_it_was_told(state)
    _delivered_once_at_a_time(state)
    insist(len(head.history) == head.attempts, "the history lists every attempt at the callback")
    _did_what_was_granted(state, head)
    _kept_the_limits(state)
    _touched_nothing_else(state)
    _left_nothing_to_do(state)


def _has_ended(state: State, head: Batch) -> None:
    insist(head.is_completed, "the batch completes")
    insist(head.has_all_chunks_done, "all chunks of a completed batch are done")
    insist(head.answered.total == head.total, "every job is counted once")
    began_at = max(head.round_began_at, state.began_at)
    took = (head.completed_at or state.now) - began_at
    insist(
        took <= _allowed(state, state.scenario.ends_within),
        f"the batch ends in time, not after {took}",
    )


def _allowed(state: State, undisturbed: timedelta) -> timedelta:
    """How long something may take after what happened, given how long it takes undisturbed."""
    if state.storm:
        return state.storm + SENTINEL_IS_LOST + timedelta(hours=3)
    return undisturbed + state.losses * state.scenario.per_loss


def _has_one_answer_for_each_job(state: State, head: Batch) -> None:
    seen: set[tuple[str, int, int]] = set()
    for (batch_id, submission, _, round, _), part in state.store.answers.items():
        if batch_id != head.batch_id:
            continue
        for index in part.answers:
            key = (submission, round, index)
            insist(key not in seen, f"job {index} has only one recorded answer per round")
            seen.add(key)
        if submission == head.submission:
            _knows_the_details(state, head, round, part)


def _knows_the_details(state: State, head: Batch, round: int, part: AnswersPart) -> None:
    """Each answer that came from a call has the details of that call, and no other answer has
    any."""
    for index, answer in part.answers.items():
        calls = [call for call in state.calls if (call.job, call.round) == (index, round)]
        told = answer.call
        if head.stopped and told is None and state.is_undisturbed:
            answered = [call for call in calls if call.status in (200, 404)]
            insist(not answered, f"job {index} is not reported as stopped after it was answered")
        if told is None:
            insist(
                answer.verdict is not Verdict.SUCCEEDED,
                f"a successful answer has the details of its call, but job {index} has none",
            )
            continue
        insist(
            1 <= told.attempts <= len(calls),
            f"job {index} was called at least as often as its details say",
        )
        if state.is_undisturbed and not any(call.is_away for call in calls):
            insist(
                told.attempts == len(calls), f"job {index} was called as often as its details say"
            )
            insist(
                told.http_status == calls[-1].status,
                f"job {index} has the HTTP status of its last call",
            )


def _answers_are_the_jobs_own(state: State, head: Batch) -> None:
    results = json.loads(state.results(head))["results"]
    insist(len(results) == head.total, "every job has a result")
    excused = head.cancelled or head.stopped
    excused |= state.is_key_revoked or state.deaths >= DEATHS_TO_BLAME
    excused |= bool(
        state.storm and state.away and state.errors
    )  # an outage may not have been recorded
    for index, result in enumerate(results):
        insist(result["request"] == {"n": index}, "results are in the order of the jobs")
        has_answer = result["response"].get("job") == index
        may_lack_it = excused or index in state.scenario.without_answer
        insist(has_answer or may_lack_it, f"job {index} has its own answer")


def _results_never_changed(state: State, head: Batch) -> None:
    insist(
        state.completed.get(head.round) == state.results(head),
        "results do not change after the batch has completed",
    )
    for post in state.posts:
        round = int(post.webhook_id.rpartition("-")[2])
        insist(
            state.completed.get(round) == post.body,
            "every callback of a round contains its results, byte for byte",
        )


def _was_called_back(state: State, head: Batch) -> None:
    if state.scenario.receiver is kills:
        insist(
            head.callback is CallbackState.FAILED,
            "a callback that kills its senders counts as failed",
        )
        insist(
            len(state.posts) <= CALLBACK_TRIES,
            f"a callback is sent at most {CALLBACK_TRIES} times, not {len(state.posts)}",
        )
        return
    if state.losses >= _USED_UP and head.attempts == CALLBACK_TRIES:
        return  # every attempt was counted, and too many of their senders died
    ends = state.scenario.callback_ends
    if state.scenario.at_rest == "repost" and "repost" not in state.granted:
        ends = head.callback  # it stays as it was before
    insist(head.callback is ends, f"the callback ends as {ends.value}, not {head.callback}")
    accepted = [post for post in state.posts if post.is_accepted]
    if ends is CallbackState.DELIVERED:
        _was_called_back_in_time(state, head)
    if state.is_undisturbed:
        expected = ends is CallbackState.DELIVERED
        insist(
            len(accepted) == expected,
            f"the receiver accepts {expected:d} callbacks, not {len(accepted)}",
        )


def _was_called_back_in_time(state: State, head: Batch) -> None:
    taken_at = [
        post.at for post in state.posts if post.is_accepted and post.webhook_id == head.callback_id
    ]
    insist(bool(taken_at), "the receiver has accepted the callback of the last round")
    if state.storm:  # which may use up attempts, and the next one waits for hours
        return
    asked_for_at = [each for each in (head.completed_at, state.reposted_at) if each]
    taken_after = [at for at in taken_at if at >= max(asked_for_at) - _CLOCKS_DIFFER]
    if taken_after:
        took = min(taken_after) - max(asked_for_at)
        within = state.scenario.called_back_within
        insist(took <= _allowed(state, within), f"the callback arrives in time, not after {took}")


def _ran_each_job_as_often_as_it_had_to(state: State, head: Batch) -> None:
    is_late = (head.completed_at or state.now) >= head.deadline - _CLOCKS_DIFFER
    excused = is_late or head.cancelled or head.stopped
    excused |= state.is_key_revoked or bool(state.granted)
    for index in range(state.scenario.jobs):
        calls = state.called[index]
        if not excused and state.deaths < DEATHS_TO_BLAME:
            insist(calls >= 1, f"job {index} was called")
        if state.is_undisturbed and not head.stopped and not _fails(state, index):
            insist(
                calls == 1,
                f"job {index} was called once, not {calls} times, because nothing went wrong",
            )


def _ran_no_job_too_often(state: State) -> None:
    """A job is called once per attempt; a lost, redelivered or new message starts its attempts
    over."""
    lost = state.losses - (state.errors == 1 and not state.sent_unnoticed)
    begun = 1 + lost + state.overlaps + state.starts_over
    for (index, _), calls in calls_in_rounds(state).items():
        insist(
            calls <= begun * JOB_TRIES,
            f"job {index} is called at most {begun * JOB_TRIES} times in a round, not {calls}",
        )


def _stopped_in_time(state: State) -> None:
    """In the first round, no more jobs are called than it takes to find out that too many fail,
    except concurrent calls and calls whose answers were lost."""
    limit = state.scenario.max_failed
    if limit is None or state.storm:
        return
    failed = {call.job for call in state.calls if call.round == 1 and call.status == 404}
    excused = (state.losses + state.overlaps) * state.scenario.chunk_size
    most = limit + 1 + excused
    insist(
        len(failed) <= most,
        f"the batch is stopped after at most {most} failed jobs, not {len(failed)}",
    )


def _called_itself_the_same(state: State) -> None:
    """Every call of a job has the same ids. If the caller did not hear of the batch before it
    expired, there may be a second submission."""
    ids = {(call.job, call.idempotency_key, call.traceparent) for call in state.calls}
    called = {(call.job, call.idempotency_key.rpartition("-")[0]) for call in state.calls}
    insist(len(ids) == len(called), "all calls of a job have the same id and traceparent")


def _waited_as_it_was_told(state: State) -> None:
    """The platform and the receiver are not called before the Retry-After they gave."""
    if not state.is_undisturbed or state.scenario.outlives_its_time:
        return
    for index in range(state.scenario.jobs):
        calls = [call for call in state.calls if call.job == index]
        early = [after for call, after in pairwise(calls) if after.at < call.not_before]
        insist(not early, f"job {index} is not called before the platform's Retry-After is over")
    early_posts = [after for post, after in pairwise(state.posts) if after.at < post.not_before]
    insist(not early_posts, "no callback is sent before the receiver's Retry-After is over")


def _delivered_once_at_a_time(state: State) -> None:
    most = state.most_posting
    excused = state.scenario.outlives_its_time
    insist(most <= 1 or excused, f"at most one delivery of a batch runs at a time, not {most}")


def calls_in_rounds(state: State) -> Counter[tuple[int, int]]:
    """How often each job was called in each round while the platform was up."""
    return Counter((call.job, call.round) for call in state.calls if not call.is_away)


def _kept_within_its_life(state: State, head: Batch) -> None:
    times = [call.at for call in state.calls] + [post.at for post in state.posts]
    last = max(times, default=START)
    insist(
        last < head.expires_at + _CLOCKS_DIFFER,
        "no call and no callback is made for an expired batch",
    )
    last_call = max((call.at for call in state.calls), default=START)
    insist(last_call < head.deadline + _CLOCKS_DIFFER, "no job is called after the deadline")


def _did_what_was_granted(state: State, head: Batch) -> None:
    """The caller's last successful request stands."""
    last = next((step for step in reversed(state.acted) if step in ("cancel", "restart")), None)
    if last == "restart" and "restart" in state.granted and state.acted.count("restart") == 1:
        insist(not head.cancelled, "a restart undoes the cancel")


def _kept_the_limits(state: State) -> None:
    limits = state.scenario.limits
    if limits.are_off:
        return
    insist(
        state.most_open <= limits.open_batches,
        f"at most {limits.open_batches} batches run, not {state.most_open}",
    )
    if state.is_undisturbed:
        kept = [usage for usage in state.store.usages.values() if usage.open]
        insist(not kept, "a batch that has ended frees its slot")
    rival = state.store.find(RIVAL)
    insist(rival is None or rival.is_completed, "the other batch of the account completes too")
    afterwards = World(state.copy())
    insist(
        not afterwards.is_locked_out(_PATIENCE), "an account with no running batch can submit one"
    )


def _fails(state: State, index: int) -> bool:
    reply = state.scenario.platform(index, 0)
    return not isinstance(reply, Reply) or reply.status >= 400


def _touched_nothing_else(state: State) -> None:
    insist(
        state.store.find(BYSTANDER) == the_bystander(),
        "the batch of another account does not change",
    )


def _left_nothing_to_do(state: State) -> None:
    standing = state.store.outages.get(DEMO_CALLER.account)
    if standing and not state.losses:
        answered = [call for call in state.calls if not call.is_away and call.round]
        is_over = any(call.at > standing.began_at for call in answered)
        insist(not is_over, "an answer from the platform ends the outage")
    insist(not state.queue, "no message is left on a queue")
    insist(not [*state.store.find_due(START + timedelta(days=100))], "no batch is due")
