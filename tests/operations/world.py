"""The workers of the service with everything around them in memory, driven by the test."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib.domain.batch import Answer, Batch, Job, SubmissionTerms
from chalicelib.domain.limits import Limits
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.results import results_of
from chalicelib.domain.transitions import Change
from chalicelib.errors import Unavailable
from chalicelib.service import Service
from tests.fakes.dynamodb import FakeBatchStore
from tests.fakes.http import Call, echo
from tests.fakes.ports import SETTINGS, InMemory
from tests.fakes.threads import FakeConcurrent
from tests.samples import PLAIN_TERMS, a_batch, some_jobs

#: More messages than any chain has.
_MOST_ROUNDS = 1_000


@dataclass
class Failing:
    """A call that fails a number of times, before or after it took effect, and then works."""

    call: Callable[..., Any]
    times: float
    takes_effect: bool = False
    error: Exception = field(default_factory=lambda: Unavailable("down"))
    #: How often it failed.
    failed: int = 0
    arguments: list[Any] = field(default_factory=list)

    def __call__(self, *args: Any) -> Any:
        if self.failed >= self.times:
            return self.call(*args)
        self.failed += 1
        self.arguments += args
        if self.takes_effect:
            self.call(*args)
        raise self.error


def failing(
    monkeypatch: pytest.MonkeyPatch, port: object, name: str, times: float = math.inf, **how: Any
) -> Failing:
    """Make a call of a port fail from now on: a number of times, or every time."""
    call = Failing(getattr(port, name), times, **how)
    monkeypatch.setattr(port, name, call)
    return call


class UnansweredStore(FakeBatchStore):
    """Makes every change twice, as an SDK does after a lost answer. The second time its condition
    is false, because the first time made it so."""

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
        #: The time that a function has at its beginning; it runs down with the clock.
        self.seconds_left = 60.0
        self.settings = replace(
            SETTINGS,
            max_open_batches=limits.open_batches,
            max_jobs_per_minute=limits.jobs_per_minute,
        )
        self.service = Service(self.settings, self.ports)

    def submitted(
        self,
        total: int = 3,
        *,
        jobs: tuple[Job, ...] | None = None,
        terms: SubmissionTerms = PLAIN_TERMS,
        **fields: Any,
    ) -> Batch:
        """A batch that is stored, and none of whose messages has arrived."""
        batch = a_batch(total, **fields)
        self.store.save_jobs(batch, terms, jobs or some_jobs(total))
        self.store.commit(batch, self.clock.now())
        return batch

    def save_terms(self, batch: Batch, **terms: Any) -> None:
        """Change some of the batch's terms from now on."""
        self.store.save_jobs(batch, replace(PLAIN_TERMS, **terms), some_jobs(batch.total))

    def work(self, message: JobsMessage, receive_count: int = 1) -> None:
        began_at = self.clock.now()

        def seconds_left() -> float:
            return self.seconds_left - (self.clock.now() - began_at).total_seconds()

        self.service.runner.run_jobs(
            message, receive_count=receive_count, seconds_left=seconds_left
        )

    def check(self, batch: Batch) -> None:
        self.service.advancer.advance_batch(BatchMessage.of(batch), lambda: 120.0)

    def call_back(self, batch: Batch) -> None:
        self.service.delivery.call_back(BatchMessage.of(batch), lambda: 120.0)

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
        """Deliver messages, each after its delay, until no message is left."""
        for _ in range(_MOST_ROUNDS):
            if not self.queue.is_busy:
                return
            for message, delay in self.queue.take_jobs():
                self.clock.advance(seconds=delay)
                self.work(message)
            for sentinel, delay in self.queue.take_sentinels():
                self.clock.advance(seconds=delay)
                self.service.checker.receive(sentinel)
            for check, delay in self.queue.take_batches():
                self.clock.advance(seconds=delay)
                self.service.advancer.advance_batch(check, lambda: 120.0)
            for callback, delay in self.queue.take_callbacks():
                self.clock.advance(seconds=delay)
                self.service.delivery.call_back(callback, lambda: 120.0)
        raise AssertionError("messages never stop coming")

    def behave(self, answer: Callable[[Call], object]) -> None:
        """Make the platform answer with what `answer` returns, or echo if that is None."""
        self.platform.answer = lambda call: answer(call) or echo(call)  # type: ignore[assignment, return-value]
