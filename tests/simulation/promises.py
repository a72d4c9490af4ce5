"""What must be true when all is at rest, whatever happened on the way."""

from __future__ import annotations

import json
from datetime import timedelta

from chalicelib.domain.batch import Batch
from chalicelib.domain.limits import BETWEEN_PRUNINGS, GRACE
from chalicelib.domain.outcome import Reply
from chalicelib.domain.retry import CALLBACK_TRIES
from chalicelib.domain.states import CallbackState
from tests.fakes.clock import START
from tests.samples import a_batch
from tests.simulation.scenario import kills
from tests.simulation.world import BYSTANDER, RIVAL, State, World

#: Workers that died by accident this often may have made a job look like their killer.
DEATHS_TO_BLAME = 2
#: So many losses may have taken all attempts at a callback but the receiver's own refusals.
_USED_UP = CALLBACK_TRIES - 3


#: After all batches of an account have ended, it can submit again within this time.
_PATIENCE = GRACE + BETWEEN_PRUNINGS


class Broken(AssertionError):
    """A promise that was not kept."""


def check(state: State) -> None:
    """Raises Broken with the promise that does not hold."""
    head = state.head
    if head is None:
        raise Broken("the caller was never answered, or its batch is gone")
    _has_ended(state, head)
    _has_one_answer_for_each_job(state, head)
    _answers_are_the_jobs_own(state, head)
    _results_never_changed(state, head)
    _was_called_back(state, head)
    _ran_each_job_as_often_as_it_had_to(state)
    _kept_the_limits(state)
    _touched_nothing_else(state)
    _left_nothing_to_do(state)


def _insist(holds: bool, promise: str) -> None:
    if not holds:
        raise Broken(promise)


def _has_ended(state: State, head: Batch) -> None:
    _insist(head.is_completed, "the batch ends")
    _insist(head.has_all_chunks_done, "a completed batch has all its chunks done")
    _insist(head.answered.total == head.total, "every job is counted once")
    took = (head.completed_at or state.now) - state.began_at
    _insist(took < state.storm + timedelta(hours=3), "the batch ends in time")
    if state.losses == 0 and not state.acted and not _fails_for_now(state):
        _insist(took < timedelta(minutes=20), "where nothing goes wrong nothing waits for a check")


def _has_one_answer_for_each_job(state: State, head: Batch) -> None:
    seen: set[tuple[str, int, int]] = set()
    for (batch_id, submission, _, round, _), part in state.store.answers.items():
        if batch_id != head.batch_id:
            continue
        for index in part.answers:
            key = (submission, round, index)
            _insist(key not in seen, f"job {index} has one recorded answer in a round")
            seen.add(key)


def _answers_are_the_jobs_own(state: State, head: Batch) -> None:
    results = json.loads(state.results(head))["results"]
    _insist(len(results) == head.total, "there is a result for each job")
    excused = "cancel" in state.acted or state.deaths >= DEATHS_TO_BLAME
    for index, result in enumerate(results):
        _insist(result["request"] == {"n": index}, "results are in the order of the jobs")
        has_answer = result["response"].get("job") == index
        may_lack_it = excused or index in state.scenario.without_answer
        _insist(has_answer or may_lack_it, f"job {index} has its own answer")


def _results_never_changed(state: State, head: Batch) -> None:
    _insist(
        state.completed.get(head.round) == state.results(head),
        "results stay as they were when the batch was completed",
    )
    for webhook_id, body in state.posts:
        round = int(webhook_id.rpartition("-")[2])
        _insist(
            state.completed.get(round) == body,
            "every callback of a round holds the results of its completion, byte for byte",
        )


def _was_called_back(state: State, head: Batch) -> None:
    if state.scenario.receiver is kills:
        _insist(head.callback is CallbackState.FAILED, "a callback that kills fails in the end")
        _insist(len(state.posts) <= CALLBACK_TRIES, "a callback is not sent for ever")
        return
    if state.losses >= _USED_UP and head.attempts == CALLBACK_TRIES:
        return  # every attempt was counted, and too many of their senders died
    _insist(head.callback is CallbackState.DELIVERED, "the callback is delivered")
    taken = state.posts_taken[f"{head.batch_id}-{head.round}"]
    _insist(taken >= 1, "the receiver has the callback of the last round")
    undisturbed = state.losses == 0 and not state.acted
    _insist(taken == 1 or not undisturbed, "two that check at once send one callback")


def _ran_each_job_as_often_as_it_had_to(state: State) -> None:
    scenario = state.scenario
    for index in range(scenario.jobs):
        calls = state.platform_calls[index]
        if "cancel" not in state.acted and state.deaths < DEATHS_TO_BLAME:
            _insist(calls >= 1, f"job {index} was run")
        undisturbed = state.losses == 0 and state.overlaps == 0 and not state.acted
        if undisturbed and not _fails(state, index):
            _insist(calls == 1, f"job {index} was run once, as nothing went wrong")


def _kept_the_limits(state: State) -> None:
    limits = state.scenario.limits
    if limits.are_off:
        return
    _insist(state.most_open <= limits.open_batches, "no more batches run than the limit says")
    rival = state.store.find(RIVAL)
    _insist(rival is None or rival.is_completed, "the rival ends too")
    afterwards = World(state.copy(), _ignore, _ignore)
    _insist(not afterwards.is_locked_out(_PATIENCE), "nobody is locked out who has nothing going")


def _ignore(_name: str, _is_effect: bool) -> None:
    return None


def _fails_for_now(state: State) -> bool:
    return any(_fails(state, index) for index in range(state.scenario.jobs))


def _fails(state: State, index: int) -> bool:
    reply = state.scenario.platform(index, 0)
    return not isinstance(reply, Reply) or reply.status >= 500


def _touched_nothing_else(state: State) -> None:
    bystander = a_batch(2, batch_id=BYSTANDER, account="other", due_at=None, next_check_at=None)
    _insist(state.store.find(BYSTANDER) == bystander, "another batch is left alone")


def _left_nothing_to_do(state: State) -> None:
    _insist(not state.queue, "no message is left")
    _insist(
        not [*state.store.find_due(START + timedelta(days=100))], "the sweep finds nothing to do"
    )
