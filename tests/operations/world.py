"""The workers of the service with everything around them in memory, turned by hand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chalicelib.domain.batch import Answer, Batch, Job
from chalicelib.domain.limits import Limits
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.results import results_of
from chalicelib.domain.transitions import Change
from chalicelib.service import Service
from tests.fakes.dynamodb import FakeBatchStore
from tests.fakes.http import Call, echo
from tests.fakes.ports import SETTINGS, InMemory
from tests.fakes.threads import FakeConcurrent
from tests.samples import TERMS, a_batch, some_jobs


class UnansweredStore(FakeBatchStore):
    """Makes every change, and makes it again as an SDK does that hears no answer: the second time
    its condition is false, because the first time made it so."""

    def __init__(self) -> None:
        super().__init__()
        #: The changes that took effect the first time.
        self.made: list[Change] = []

    def change(self, batch: Batch, change: Change) -> Batch | None:
        if super().change(batch, change):
            self.made.append(change)
        return super().change(batch, change)


class World(InMemory):
    def __init__(
        self,
        *,
        per_flush: int = 10_000,
        limits: Limits | None = None,
        store: FakeBatchStore | None = None,
    ) -> None:
        super().__init__(store=store or FakeBatchStore(), concurrent=FakeConcurrent(per_flush))
        limits = limits or Limits()
        self.seconds_left = 60.0
        self.settings = replace(
            SETTINGS,
            max_open_batches=limits.open_batches,
            max_jobs_per_minute=limits.jobs_per_minute,
        )
        self.service = Service(self.settings, self.ports)

    def submitted(
        self, total: int = 3, *, jobs: tuple[Job, ...] | None = None, **fields: Any
    ) -> Batch:
        """A batch that is stored and none of whose messages has arrived."""
        batch = a_batch(total, **fields)
        self.store.save_jobs(batch, TERMS, jobs or some_jobs(total))
        self.store.commit(batch, self.clock.now())
        return batch

    def work(self, message: JobsMessage, receive_count: int = 1) -> None:
        self.service.runner.run_jobs(
            message, receive_count=receive_count, seconds_left=lambda: self.seconds_left
        )

    def check(self, batch: Batch) -> None:
        self.service.advancer.advance_batch(BatchMessage.of(batch), lambda: 120.0)

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
            for check, delay in self.queue.take_batches():
                self.clock.advance(seconds=delay)
                self.service.advancer.advance_batch(check, lambda: 120.0)

    def behave(self, answer: Callable[[Call], object]) -> None:
        """The platform answers with what `answer` gives, and echoes where it gives None."""
        self.platform.answer = lambda call: answer(call) or echo(call)  # type: ignore[assignment, return-value]
