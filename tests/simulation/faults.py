"""The protocol, broken on purpose. Each fault is one that a reasonable person could make, and the
simulation must detect each of them. A simulation that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from chalicelib.domain import transitions
from chalicelib.domain.batch import AnswersPart, Batch, CallbackAttempt, Chunk
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.transitions import Change
from chalicelib.operations.deliver_callback import CallbackDelivery
from chalicelib.operations.isolate_jobs import JobIsolation
from chalicelib.operations.record_answers import AnswerRecorder
from chalicelib.operations.run_jobs import JobRunner
from chalicelib.operations.submit_batch import BatchSubmitter
from tests.fakes import dynamodb as fake
from tests.fakes.dynamodb import FakeBatchStore
from tests.simulation.ports import SimulatedQueue

Fault = Callable[[], Iterator[None]]


@contextmanager
def a_counter_instead_of_a_set() -> Iterator[None]:
    """Finishing a chunk counts it even if it was counted before."""
    finished = fake._finished

    def counted(head: Batch, change: Change, chunk: frozenset[int]) -> dict[str, Any]:
        put = finished(head, change, chunk)
        if chunk <= head.done:
            put["done"] = head.done | {min(set(head.chunks) - head.done, default=0)}
        return put

    def allows(head: Batch, change: Change) -> bool:
        return _ALLOWS(head, replace(change, finish=None))

    with patch.object(fake, "_finished", counted), patch.object(fake, "_allows", allows):
        yield


@contextmanager
def done_before_the_flush() -> Iterator[None]:
    """The chunk is marked as done before its answers are recorded."""
    record = AnswerRecorder.record_answers

    def hasty(self: AnswerRecorder, batch: Batch, chunk: Chunk, answers: Any) -> Chunk:
        foreseen = chunk.with_part(AnswersPart(round=batch.round, number=99, answers=answers))
        self.finish_if_full(batch, foreseen)
        return record(self, batch, chunk, answers)

    with patch.object(AnswerRecorder, "record_answers", hasty):
        yield


@contextmanager
def completed_before_done() -> Iterator[None]:
    """The batch is completed before its last chunk is marked as done."""

    def finish_if_full(self: AnswerRecorder, batch: Batch, chunk: Chunk) -> None:
        if chunk.missing(batch.round):
            return
        head = self.store.find(batch.batch_id)
        if (
            head
            and head.done | {chunk.number} == set(head.chunks)
            and chunk.number not in head.done
        ):
            self.completion.complete(replace(head, done=frozenset(head.chunks)))
        self.store.change(batch, transitions.finish_chunk(batch, chunk))

    with patch.object(AnswerRecorder, "finish_if_full", finish_if_full):
        yield


@contextmanager
def the_head_before_the_jobs() -> Iterator[None]:
    """The batch is committed before its jobs are stored."""

    def save(self: BatchSubmitter, batch: Batch, terms: Any, submission: Any, now: datetime) -> Any:
        standing = self.store.commit(batch, now)
        self.store.save_jobs(batch, terms, submission.jobs)
        return standing

    with patch.object(BatchSubmitter, "_save", save):
        yield


@contextmanager
def answers_put_unconditionally() -> Iterator[None]:
    """A flush overwrites what is stored under its number."""

    def record(self: FakeBatchStore, batch: Batch, chunk: int, part: AnswersPart) -> bool:
        key = (batch.batch_id, batch.submission, chunk, part.round, part.number)
        self.answers[key] = part
        return True

    with patch.object(FakeBatchStore, "record", record):
        yield


@contextmanager
def completing_without_its_condition() -> Iterator[None]:
    """Every check completes the batch, even if it is completed already or running again."""
    complete = transitions.complete

    def careless(batch: Batch, now: datetime) -> Change:
        change = complete(batch, now)
        return replace(change, only_if={"submission": batch.submission})

    with patch.object(transitions, "complete", careless):
        yield


@contextmanager
def done_without_the_round() -> Iterator[None]:
    """A chunk finished in an older round counts in the newest one."""
    finish_chunk = transitions.finish_chunk

    def careless(batch: Batch, chunk: Chunk) -> Change:
        change = finish_chunk(batch, chunk)
        return replace(change, only_if={"submission": batch.submission})

    with patch.object(transitions, "finish_chunk", careless):
        yield


@contextmanager
def a_redelivered_full_chunk_that_does_nothing() -> Iterator[None]:
    """A message whose jobs are all answered is considered done."""
    call = JobRunner.run_jobs

    def forgetful(self: JobRunner, message: JobsMessage, **more: Any) -> None:
        batch = self.store.find(message.batch_id)
        if batch and message.concerns(batch, self.clock.now()):
            chunk = self.store.load_chunk(batch, message.chunk)
            if not message.missing(chunk):
                return
        call(self, message, **more)

    with patch.object(JobRunner, "run_jobs", forgetful):
        yield


@contextmanager
def no_lease() -> Iterator[None]:
    """Every worker that finds a callback due sends it, and keeps no other worker away."""

    def lease(self: CallbackDelivery, batch: Batch) -> Batch | None:
        made = CallbackAttempt(at=self.clock.now())
        return replace(batch, attempts=batch.attempts + 1, history=(*batch.history, made))

    with patch.object(CallbackDelivery, "_lease", lease):
        yield


@contextmanager
def the_attempt_counted_after_the_post() -> Iterator[None]:
    """A sender that dies while sending leaves no trace, and the next one sends again."""
    take_lease = transitions.take_lease

    def uncounted(batch: Batch, token: str, now: datetime) -> Change:
        change = take_lease(batch, token, now)
        return replace(change, put={**change.put, "attempts": batch.attempts})

    with patch.object(transitions, "take_lease", uncounted):
        yield


@contextmanager
def a_blind_due_at() -> Iterator[None]:
    """Recording a check sets the due time, no matter what happened to the batch meanwhile."""
    record_check = transitions.record_check

    def careless(batch: Batch, now: datetime) -> Change:
        return replace(record_check(batch, now), only_if={"submission": batch.submission})

    with patch.object(transitions, "record_check", careless):
        yield


@contextmanager
def no_split() -> Iterator[None]:
    """A message of several jobs that killed its worker is run unchanged again and again."""
    with (
        patch.object(JobsMessage, "is_of_several", lambda self, chunk: False),
        patch.object(JobIsolation, "run_under_marker", lambda self, work, answer: answer(work)),
    ):
        yield


@contextmanager
def no_submission_in_the_keys() -> Iterator[None]:
    """Two submissions with one id share their parts."""

    def shared(batch: Batch) -> Batch:
        return replace(batch, submission="shared")

    load_chunk, record, save_jobs = (
        FakeBatchStore.load_chunk,
        FakeBatchStore.record,
        FakeBatchStore.save_jobs,
    )
    with (
        patch.object(
            FakeBatchStore, "load_chunk", lambda self, b, c: load_chunk(self, shared(b), c)
        ),
        patch.object(FakeBatchStore, "record", lambda self, b, c, p: record(self, shared(b), c, p)),
        patch.object(
            FakeBatchStore,
            "save_jobs",
            lambda self, b, o, j: (
                save_jobs(self, b, o, j),
                save_jobs(self, shared(b), o, j),
            ),
        ),
    ):
        yield


@contextmanager
def failed_messages_ignored() -> Iterator[None]:
    """Messages that SQS lists as failed count as sent, and no check is scheduled for them."""
    send_jobs = SimulatedQueue.send_jobs

    def careless(
        self: SimulatedQueue, messages: Sequence[JobsMessage], delay_seconds: int = 0
    ) -> None:
        send_jobs(self, messages[:-1] if len(messages) > 1 else messages, delay_seconds)

    with patch.object(SimulatedQueue, "send_jobs", careless):
        yield


@contextmanager
def an_outcome_recorded_without_the_lease() -> Iterator[None]:
    """The outcome of an attempt is written without checking who holds the lease."""

    def careless(batch: Batch) -> Mapping[str, Any]:
        return {"submission": batch.submission}

    with patch.object(transitions, "_delivering", careless):
        yield


FAULTS: dict[str, Any] = {
    fault.__name__: fault
    for fault in (
        a_counter_instead_of_a_set,
        done_before_the_flush,
        completed_before_done,
        the_head_before_the_jobs,
        answers_put_unconditionally,
        completing_without_its_condition,
        done_without_the_round,
        a_redelivered_full_chunk_that_does_nothing,
        no_lease,
        the_attempt_counted_after_the_post,
        a_blind_due_at,
        no_split,
        no_submission_in_the_keys,
        failed_messages_ignored,
        an_outcome_recorded_without_the_lease,
    )
}

_ALLOWS = fake._allows
