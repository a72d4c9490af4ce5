"""The workers of the service with everything around them in memory, turned by hand."""

from collections.abc import Callable
from itertools import count
from typing import Any

from chalicelib.domain.batch import Answer, Batch, Job
from chalicelib.domain.limits import Limits
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.results import results_of
from chalicelib.operations.admit_batch import AdmitBatch
from chalicelib.operations.advance_batch import AdvanceBatch
from chalicelib.operations.deliver_callback import DeliverCallback
from chalicelib.operations.record_answers import RecordAnswers
from chalicelib.operations.run_jobs import RunJobs
from tests.fakes.clock import FakeClock
from tests.fakes.dynamodb import FakeBatchStore, FakeKeyStore
from tests.fakes.http import Call, FakePlatform, FakeReceiver, echo
from tests.fakes.journal import FakeJournal
from tests.fakes.sqs import FakeQueue
from tests.fakes.threads import FakeConcurrent
from tests.samples import DEMO_ACCOUNT, DEMO_KEY, TERMS, a_batch, some_jobs


class World:
    def __init__(self, *, per_flush: int = 10_000, limits: Limits | None = None) -> None:
        self.clock = FakeClock()
        self.store = FakeBatchStore()
        self.keys = FakeKeyStore([DEMO_KEY], [DEMO_ACCOUNT])
        self.queue = FakeQueue()
        self.platform = FakePlatform()
        self.receiver = FakeReceiver()
        self.journal = FakeJournal()
        self.seconds_left = 60.0
        ids = count(1)
        self.record = RecordAnswers(store=self.store, queue=self.queue)
        self.admit = AdmitBatch(store=self.store, journal=self.journal, limits=limits or Limits())
        self.run_jobs = RunJobs(
            store=self.store,
            keys=self.keys,
            queue=self.queue,
            platform=self.platform,
            concurrent=FakeConcurrent(per_flush),
            record=self.record,
            clock=self.clock,
            journal=self.journal,
            random_unit=lambda: 1.0,
            job_timeout_seconds=30,
            job_retry_seconds=2,
        )
        self.advance_batch = AdvanceBatch(
            store=self.store,
            queue=self.queue,
            record=self.record,
            clock=self.clock,
            journal=self.journal,
            admit=self.admit,
            deliver=DeliverCallback(
                store=self.store,
                keys=self.keys,
                queue=self.queue,
                receiver=self.receiver,
                clock=self.clock,
                journal=self.journal,
                random_unit=lambda: 0.0,
                new_id=lambda: f"token-{next(ids)}",
            ),
        )

    def submitted(
        self, total: int = 3, *, jobs: tuple[Job, ...] | None = None, **fields: Any
    ) -> Batch:
        """A batch that is stored and none of whose messages has arrived."""
        batch = a_batch(total, **fields)
        self.store.save_jobs(batch, TERMS, jobs or some_jobs(total))
        self.store.commit(batch, self.clock.now())
        return batch

    def work(self, message: JobsMessage, receive_count: int = 1) -> None:
        self.run_jobs(message, receive_count=receive_count, seconds_left=lambda: self.seconds_left)

    def look(self, batch: Batch) -> None:
        self.advance_batch(BatchMessage.of(batch), lambda: 120.0)

    def head(self, batch: Batch) -> Batch:
        head = self.store.find(batch.batch_id)
        assert head is not None
        return head

    def answers(self, batch: Batch) -> dict[int, Answer]:
        head = self.head(batch)
        return {
            index: answer
            for chunk in self.store.read_chunks(head, head.chunks)
            for index, answer in chunk.answers(head.round).items()
        }

    def texts(self, batch: Batch) -> list[str]:
        head = self.head(batch)
        return [
            result.text
            for chunk in self.store.read_chunks(head, head.chunks)
            for result in results_of(chunk, head.round)
        ]

    def run_all_chunks(self, batch: Batch) -> None:
        for chunk in batch.chunks:
            self.work(JobsMessage.of(batch, chunk))

    def run_to_the_end(self) -> None:
        """Hands out messages, each after its delay, until none is left."""
        while self.queue.jobs or self.queue.batches:
            for message, delay in self.queue.take_jobs():
                self.clock.advance(seconds=delay)
                self.work(message)
            for look, delay in self.queue.take_batches():
                self.clock.advance(seconds=delay)
                self.advance_batch(look, lambda: 120.0)

    def behave(self, answer: Callable[[Call], object]) -> None:
        """The platform answers with what `answer` gives, and echoes where it gives None."""
        self.platform.answer = lambda call: answer(call) or echo(call)  # type: ignore[assignment, return-value]
