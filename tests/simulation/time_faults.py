"""The handling of time and counts, broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from chalicelib.domain import outcome, retry, transitions
from chalicelib.domain.account import Key
from chalicelib.domain.batch import Answer, Batch, Chunk
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.outcome import TryAgain
from chalicelib.operations import bury_jobs
from chalicelib.operations.hand_over import Handover
from chalicelib.operations.record_answers import AnswerRecorder
from chalicelib.operations.run_jobs import JobRunner


@contextmanager
def an_attempt_never_counted_up() -> Iterator[None]:
    """Each call of a job counts as the first."""
    handed_on = JobsMessage.handed_on

    def forgetful(
        self: JobsMessage, indexes: Any, *, next_attempt: bool = False, **more: Any
    ) -> Any:
        return handed_on(self, indexes, **more)

    with patch.object(JobsMessage, "handed_on", forgetful):
        yield


@contextmanager
def a_restart_that_keeps_the_cancel() -> Iterator[None]:
    """A cancelled batch that is restarted is answered as cancelled again."""
    restart = transitions.restart

    def careless(batch: Batch, *args: Any) -> Any:
        change = restart(batch, *args)
        return replace(change, put={**change.put, "cancelled": batch.cancelled})

    with patch.object(transitions, "restart", careless):
        yield


@contextmanager
def answers_of_later_rounds_accepted() -> Iterator[None]:
    """A worker of an older round accepts what is recorded in a newer one."""
    answers = Chunk.answers

    def newest(self: Chunk, round: int) -> dict[int, Answer]:
        return answers(self, max([round, *(part.round for part in self.parts)]))

    with patch.object(Chunk, "answers", newest):
        yield


@contextmanager
def blame_after_one_death() -> Iterator[None]:
    """One worker's death under a job's marker is enough to fail the job."""
    with patch.object(bury_jobs, "_DEATHS_TO_BLAME", 1):
        yield


@contextmanager
def a_finish_announced_once() -> Iterator[None]:
    """Finding a full chunk already marked as done does not lead to completing the batch."""

    def finish_if_full(self: AnswerRecorder, batch: Batch, chunk: Chunk) -> None:
        if chunk.missing(batch.round):
            return
        after = self.store.change(batch, transitions.finish_chunk(batch, chunk))
        if after:
            self.completion.complete(after)

    with patch.object(AnswerRecorder, "finish_if_full", finish_if_full):
        yield


@contextmanager
def jobs_not_started_dropped() -> Iterator[None]:
    """Jobs for which a worker has no time are dropped."""
    with patch.object(JobRunner, "_pass_on", lambda self, work, *, has_begun: None):
        yield


@contextmanager
def a_repost_without_a_due_time() -> Iterator[None]:
    """If the message of a repost is lost, nothing else triggers it."""
    repost = transitions.repost

    def careless(batch: Batch, *args: Any) -> Any:
        change = repost(batch, *args)
        return replace(change, put={**change.put, "due_at": None})

    with patch.object(transitions, "repost", careless):
        yield


@contextmanager
def a_cancel_without_a_due_time() -> Iterator[None]:
    """If the message of a cancel is lost, only the next check triggers it."""
    cancel = transitions.cancel

    def careless(batch: Batch, *args: Any) -> Any:
        change = cancel(batch, *args)
        return replace(change, put={**change.put, "due_at": batch.due_at})

    with patch.object(transitions, "cancel", careless):
        yield


@contextmanager
def a_lease_shorter_than_a_delivery() -> Iterator[None]:
    """Other workers begin while the first one is still sending."""
    with patch.object(transitions, "LEASE", timedelta(seconds=20)):
        yield


@contextmanager
def a_retry_after_of_the_platform_ignored() -> Iterator[None]:
    """The platform's Retry-After is ignored."""
    job_wait = retry.job_wait

    def impatient(attempt: int, *, retry_after: float | None, **more: Any) -> int:
        return job_wait(attempt, retry_after=None, **more)

    with patch.object(retry, "job_wait", impatient):
        yield


@contextmanager
def a_retry_after_of_the_receiver_ignored() -> Iterator[None]:
    """The receiver's Retry-After is ignored, and 410 is an error like any other."""
    judge_callback = outcome.judge_callback

    def deaf(reply: Any, now: datetime) -> Any:
        judged = judge_callback(reply, now)
        return TryAgain(reason="HTTP") if getattr(judged, "reason", None) else judged

    with patch.object(outcome, "judge_callback", deaf):
        yield


@contextmanager
def a_wait_mistaken_for_a_standstill() -> Iterator[None]:
    """No waiting message is noted."""
    with patch.object(Handover, "_note_wait", lambda *_: None):
        yield


@contextmanager
def a_revoked_key_that_signs() -> Iterator[None]:
    """A revoked key is used."""
    with patch.object(Key, "may_sign_for", lambda self, account: True):
        yield


@contextmanager
def no_deadline() -> Iterator[None]:
    """Jobs are called until their retries end."""
    with patch.object(Batch, "is_to_be_ended", lambda self, now: self.cancelled):
        yield


@contextmanager
def no_expiry() -> Iterator[None]:
    """An expired batch is worked on."""
    with patch.object(Batch, "is_expired", lambda self, now: False):
        yield


TIME_FAULTS: dict[str, Any] = {
    fault.__name__: fault
    for fault in (
        an_attempt_never_counted_up,
        a_restart_that_keeps_the_cancel,
        answers_of_later_rounds_accepted,
        blame_after_one_death,
        a_finish_announced_once,
        jobs_not_started_dropped,
        a_repost_without_a_due_time,
        a_cancel_without_a_due_time,
        a_lease_shorter_than_a_delivery,
        a_retry_after_of_the_platform_ignored,
        a_retry_after_of_the_receiver_ignored,
        a_wait_mistaken_for_a_standstill,
        a_revoked_key_that_signs,
        no_deadline,
        no_expiry,
    )
}
