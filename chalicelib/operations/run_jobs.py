"""One message: run its jobs concurrently, record their answers, hand on what is to be retried."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from chalicelib.domain import outcome, retry, transitions
from chalicelib.domain.account import Key
from chalicelib.domain.batch import Answer, Batch, Chunk, Job
from chalicelib.domain.message import JobsMessage, sendable
from chalicelib.domain.outcome import NoReply, Reply, TryAgain
from chalicelib.operations.isolate_jobs import JobIsolation
from chalicelib.operations.ports import (
    BatchStore,
    Clock,
    Concurrent,
    Journal,
    KeyStore,
    Platform,
    Queue,
)
from chalicelib.operations.record_answers import AnswerRecorder
from chalicelib.operations.work import SecondsLeft, Work

#: What a worker keeps of its time to record answers and hand on.
_SECONDS_TO_RECORD = 10
#: A wait longer than this would be mistaken for a standstill at the next check.
_LONG_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The worker's time would not have sufficed for the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Called:
    """A job, and what became of it in this message."""

    index: int
    found: Answer | TryAgain | NotStarted
    took_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRunner:
    """Returns once everything it was handed is recorded or handed on; raises Unavailable where the
    database or the queue fails, and is then to be called again with the same message."""

    store: BatchStore
    keys: KeyStore
    queue: Queue
    platform: Platform
    concurrent: Concurrent
    recorder: AnswerRecorder
    isolation: JobIsolation
    clock: Clock
    journal: Journal
    random_unit: Callable[[], float]
    job_timeout_seconds: float
    job_retry_seconds: float

    def run_jobs(
        self, message: JobsMessage, *, receive_count: int, seconds_left: SecondsLeft
    ) -> None:
        batch = self.store.find(message.batch_id)
        if batch is None or not message.concerns(batch, self.clock.now()):
            self.journal.write(
                "message out of date",
                batch_id=message.batch_id,
                account=batch.account if batch else None,
            )
            return
        chunk = self.store.load_chunk(batch, message.chunk)
        work = Work(
            batch=batch,
            chunk=chunk,
            message=message,
            missing=message.missing(chunk),
            receive_count=receive_count,
            seconds_left=seconds_left,
        )
        self.recorder.finish_if_full(batch, self._run_work(work))

    def _run_work(self, work: Work) -> Chunk:
        """The chunk as it is when the work is done."""
        if not work.missing:
            return work.chunk
        if work.receive_count > 1:
            return self.isolation.isolate(work, self._answer)
        return self._answer(work)

    def _answer(self, work: Work) -> Chunk:
        """Gets the missing jobs answered, and gives the chunk as it is then."""
        key = self.keys.find_key(work.batch.key)
        if work.chunk.jobs is None:
            return self._give_all(work, outcome.unreadable())
        if work.batch.cancelled:
            return self._give_all(work, outcome.cancelled())
        if work.batch.is_past_deadline(self.clock.now()):
            return self._give_all(work, outcome.past_deadline())
        if key is None or not key.may_sign_for(work.batch.account):
            return self._give_all(work, outcome.key_revoked())
        jobs = [job for job in work.chunk.jobs if job.index in work.missing]
        return self._run(work, jobs, key)

    def _give_all(self, work: Work, answer: Answer) -> Chunk:
        return self.recorder.record_answers(
            work.batch, work.chunk, dict.fromkeys(work.missing, answer)
        )

    def _run(self, work: Work, jobs: Iterable[Job], key: Key) -> Chunk:
        """Run jobs concurrently, record their answers as they come, hand the others on."""
        self.platform.prepare()
        chunk = work.chunk
        all_called: list[_Called] = []
        calls = [partial(self._call, work, job, key) for job in jobs]
        for called in self.concurrent.run(calls):
            answers = {each.index: each.found for each in called if isinstance(each.found, Answer)}
            chunk = self.recorder.record_answers(work.batch, chunk, answers)
            all_called += called
        self._hand_on(work, all_called)
        self._tell(work, all_called)
        return chunk

    def _call(self, work: Work, job: Job, key: Key) -> _Called:
        if work.seconds_left() < self.job_timeout_seconds + _SECONDS_TO_RECORD:
            return _Called(index=job.index, found=NotStarted())
        started_at = self.clock.now()
        reply = self.platform.call(
            namespace=job.namespace,
            action=job.action,
            body=job.params.encode(),
            idempotency_key=f"{work.batch.batch_id}-{job.index}",
            key=key,
        )
        found = outcome.judge_job(
            reply,
            self.clock.now(),
            attempt=work.message.attempt,
            may_still_run=work.may_have_been_called,
        )
        took_ms = round((self.clock.now() - started_at) / timedelta(milliseconds=1))
        called = _Called(index=job.index, found=found, took_ms=took_ms)
        if not outcome.is_success(found):
            self._tell_failure(work, called, reply)
        return called

    def _tell_failure(self, work: Work, called: _Called, reply: Reply | NoReply) -> None:
        """A line for a call that did not succeed; those that did have one together."""
        self.journal.write(
            "call failed",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            index=called.index,
            attempt=work.message.attempt,
            outcome=outcome.word(called.found),
            status=reply.status if isinstance(reply, Reply) else None,
            error=reply.reason if isinstance(reply, NoReply) else None,
            took_ms=called.took_ms,
        )

    def _tell(self, work: Work, called: Iterable[_Called]) -> None:
        """One line for the message and all its jobs, with what they add to the metrics."""
        verdicts = Counter(outcome.word(each.found) for each in called)
        self.journal.write(
            "jobs run",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            chunk=work.chunk.number,
            attempt=work.message.attempt,
            succeeded=verdicts["succeeded"],
            failed=verdicts["failed"] + verdicts["unanswered"],
            retried=verdicts["tryagain"],
            durations_ms=[
                each.took_ms for each in called if not isinstance(each.found, NotStarted)
            ],
        )

    def _hand_on(self, work: Work, called: Iterable[_Called]) -> None:
        """The jobs not started go on at once, those that failed for now after their wait."""
        not_started = [each.index for each in called if isinstance(each.found, NotStarted)]
        if not_started:
            self.queue.send_jobs(sendable([work.message.handed_on(not_started)]))
        for wait, indexes in self._waits(work, called).items():
            message = work.message.handed_on(indexes, next_attempt=True)
            self.queue.send_jobs(sendable([message]), wait)
            self._postpone_check(work.batch, wait)

    def _waits(self, work: Work, called: Iterable[_Called]) -> dict[int, list[int]]:
        """The jobs to retry by their wait: one draw for all, so that they share messages."""
        random_unit = self.random_unit()
        waits: dict[int, list[int]] = defaultdict(list)
        for each in called:
            if isinstance(each.found, TryAgain):
                wait = retry.job_wait(
                    work.message.attempt,
                    first_wait=self.job_retry_seconds,
                    retry_after=each.found.retry_after,
                    random_unit=random_unit,
                )
                waits[wait].append(each.index)
        return waits

    def _postpone_check(self, batch: Batch, wait: int) -> None:
        behind = self.clock.now() + timedelta(seconds=wait) + transitions.FIRST_CHECK
        if wait > _LONG_WAIT_SECONDS and batch.is_check_before(behind):
            self.store.change(batch, transitions.postpone_check(batch, behind))
