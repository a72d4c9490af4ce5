"""One message: run its jobs side by side, record their answers, and when the chunk is full say so.

Everything here may happen twice, or stop anywhere and happen again. What is recorded is recorded
once, because a flush is put under the next free number, by someone who has read all before it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from chalicelib.domain import outcome, packing, retry, transitions
from chalicelib.domain.account import Key
from chalicelib.domain.batch import Answer, AnswersPart, Batch, Chunk, Job
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.outcome import TryAgain
from chalicelib.operations.ports import (
    BatchStore,
    Clock,
    Journal,
    KeyStore,
    Platform,
    Queue,
    SideBySide,
)

#: What a worker keeps of its time to record answers and hand on.
_SECONDS_TO_RECORD = 10
#: A wait longer than this would be mistaken for a standstill at the next look.
_LONG_WAIT_SECONDS = 60

SecondsLeft = Callable[[], float]


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The worker's time would not have sufficed for the call."""


Outcome = Answer | TryAgain | NotStarted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one message asks of one worker."""

    batch: Batch
    message: JobsMessage
    key: Key
    seconds_left: SecondsLeft


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJobs:
    """Returns once everything it was handed is recorded or handed on; raises Unavailable where the
    database or the queue fails, and is then to be called again with the same message."""

    store: BatchStore
    keys: KeyStore
    queue: Queue
    platform: Platform
    side_by_side: SideBySide
    clock: Clock
    journal: Journal
    chance: Callable[[], float]
    job_timeout_seconds: float
    job_retry_seconds: float

    def __call__(self, message: JobsMessage, seconds_left: SecondsLeft) -> None:
        batch = self.store.find(message.batch_id)
        if batch is None or not self._is_for(message, batch):
            self.journal.write("message out of date", batch_id=message.batch_id)
            return
        chunk = self.store.load_chunk(batch, message.chunk)
        missing = _missing(chunk, message, batch.round)
        if missing:
            chunk = self._answer(batch, chunk, missing, message, seconds_left)
        self._finish_if_full(batch, chunk)

    def _is_for(self, message: JobsMessage, batch: Batch) -> bool:
        return (
            batch.submission == message.submission
            and batch.round == message.round
            and batch.is_running
            and not batch.is_expired(self.clock.now())
        )

    def _answer(
        self,
        batch: Batch,
        chunk: Chunk,
        missing: list[int],
        message: JobsMessage,
        seconds_left: SecondsLeft,
    ) -> Chunk:
        """Gets the missing jobs answered, and gives the chunk as it is then."""
        key = self.keys.find_key(batch.key)
        if chunk.jobs is None:
            return self._record_for(missing, batch, chunk, outcome.unreadable())
        if batch.is_past_deadline(self.clock.now()):
            return self._record_for(missing, batch, chunk, outcome.past_deadline())
        if key is None or key.is_revoked:
            return self._record_for(missing, batch, chunk, outcome.key_revoked())
        jobs = [job for job in chunk.jobs if job.index in missing]
        work = _Work(batch=batch, message=message, key=key, seconds_left=seconds_left)
        return self._run(work, chunk, jobs)

    def _run(self, work: _Work, chunk: Chunk, jobs: Iterable[Job]) -> Chunk:
        """Runs jobs side by side, records their answers as they come, hands the others on."""
        others: dict[int, Outcome] = {}
        calls = [partial(self._call, work, job) for job in jobs]
        for outcomes in self.side_by_side.run(calls):
            answers = {index: found for index, found in outcomes if isinstance(found, Answer)}
            chunk = self._record(work.batch, chunk, answers)
            others |= {index: found for index, found in outcomes if index not in answers}
        self._hand_on(work, others)
        return chunk

    def _call(self, work: _Work, job: Job) -> tuple[int, Outcome]:
        if work.seconds_left() < self.job_timeout_seconds + _SECONDS_TO_RECORD:
            return job.index, NotStarted()
        started_at = self.clock.now()
        reply = self.platform.call(
            namespace=job.namespace,
            action=job.action,
            body=job.params.encode(),
            idempotency_key=f"{work.batch.batch_id}-{job.index}",
            key=work.key,
        )
        found = outcome.judge_job(reply, self.clock.now(), attempt=work.message.attempt)
        self.journal.write(
            "job called",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            index=job.index,
            attempt=work.message.attempt,
            outcome=outcome.word(found),
            took_ms=round((self.clock.now() - started_at) / timedelta(milliseconds=1)),
        )
        return job.index, found

    def _record_for(
        self, indexes: Iterable[int], batch: Batch, chunk: Chunk, answer: Answer
    ) -> Chunk:
        return self._record(batch, chunk, dict.fromkeys(indexes, answer))

    def _record(self, batch: Batch, chunk: Chunk, answers: Mapping[int, Answer]) -> Chunk:
        for group in packing.fitting(answers):
            chunk = self._flush(batch, chunk, group)
        return chunk

    def _flush(self, batch: Batch, chunk: Chunk, answers: Mapping[int, Answer]) -> Chunk:
        """Records what has no answer yet under the next free number. Whoever finds the number
        taken reads what was recorded there, and tries the next: somebody got on each time."""
        while missing := [index for index in chunk.missing(batch.round) if index in answers]:
            part = AnswersPart(
                round=batch.round,
                number=chunk.next_number(batch.round),
                answers={index: answers[index] for index in missing},
            )
            if self.store.record(batch, chunk.number, part):
                return chunk.with_part(part)
            chunk = self.store.load_chunk(batch, chunk.number)
        return chunk

    def _hand_on(self, work: _Work, others: Mapping[int, Outcome]) -> None:
        """The jobs not started go on at once, those that failed for now after their wait."""
        not_started = [index for index, found in others.items() if isinstance(found, NotStarted)]
        if not_started:
            self._send([work.message.handed_on(not_started)])
        for wait, indexes in self._waits(work, others).items():
            self._send([work.message.handed_on(indexes, next_attempt=True)], wait)
            self._postpone_look(work.batch, wait)

    def _waits(self, work: _Work, others: Mapping[int, Outcome]) -> dict[int, list[int]]:
        """The jobs to try again by their wait: one draw for all, so that they share messages."""
        chance = self.chance()
        waits: dict[int, list[int]] = defaultdict(list)
        for index, found in others.items():
            if isinstance(found, TryAgain):
                wait = retry.job_wait(
                    work.message.attempt,
                    first_wait=self.job_retry_seconds,
                    retry_after=found.retry_after,
                    chance=chance,
                )
                waits[wait].append(index)
        return waits

    def _send(self, messages: list[JobsMessage], delay_seconds: int = 0) -> None:
        sendable = [message for message in messages if message.may_be_sent]
        self.queue.send_jobs(sendable, delay_seconds)

    def _postpone_look(self, batch: Batch, wait: int) -> None:
        behind = self.clock.now() + timedelta(seconds=wait) + transitions.FIRST_LOOK
        if wait > _LONG_WAIT_SECONDS and transitions.comes_before(batch, behind):
            self.store.change(batch, transitions.postpone_look(batch, behind))

    def _finish_if_full(self, batch: Batch, chunk: Chunk) -> None:
        """Puts a full chunk among the finished ones; whoever finds all of them there says so, also
        when it was put there before, so that the last step cannot be lost."""
        if chunk.missing(batch.round):
            return
        after = self.store.change(batch, transitions.finish_chunk(batch, chunk))
        after = after or self.store.find(batch.batch_id)
        if after and after.is_running and after.has_all_chunks_done:
            self.queue.send_batch(BatchMessage(batch_id=batch.batch_id))


def _missing(chunk: Chunk, message: JobsMessage, round: int) -> list[int]:
    wanted = chunk.indexes if message.indexes is None else message.indexes
    return [index for index in chunk.missing(round) if index in wanted]
