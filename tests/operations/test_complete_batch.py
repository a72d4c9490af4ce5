"""The end of a round: one completion, no matter which worker finds the last chunk done, and a
callback that is announced until a worker has it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain import transitions
from chalicelib.domain.batch import AnswersPart, Batch
from chalicelib.domain.limits import Limits, Slot
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.errors import Unavailable
from tests.fakes.clock import START
from tests.operations.world import UnansweredStore, World, failing
from tests.samples import DEMO_CALLER, succeeded


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def full(world: World) -> Batch:
    """A batch whose jobs are all answered, and whose last worker then died."""
    batch = world.submitted(1)
    world.store.record(batch, 0, AnswersPart(round=1, number=0, answers={0: succeeded()}))
    return batch


def finish(world: World, batch: Batch) -> None:
    world.service.recorder.finish_if_full(batch, world.store.load_chunk(batch, 0))


def test_the_batch_is_completed_and_its_callback_announced(world: World, full: Batch) -> None:
    finish(world, full)
    head = world.head(full)
    assert (head.state, head.completed_at, head.next_check_at) == (
        BatchState.COMPLETED,
        START,
        None,
    )
    assert (head.callback, head.next_try_at) == (CallbackState.WAITING, START)
    assert world.queue.callbacks == [(BatchMessage.of(full), 0)]
    [line] = world.journal.lines
    assert (line["event"], line["round"], line["succeeded"]) == ("batch completed", 1, 1)


def test_if_its_message_is_lost_the_sweep_sends_another(world: World, full: Batch) -> None:
    finish(world, full)
    world.queue.take_callbacks()
    due_at = world.head(full).due_at
    assert due_at
    assert timedelta(minutes=2) <= due_at - START <= timedelta(minutes=4)
    world.clock.set(due_at)
    world.service.sweeper.sweep(lambda: 50)
    assert world.queue.callbacks == [(BatchMessage.of(full), 0)]


def test_a_completed_batch_without_a_callback_is_no_longer_due(world: World) -> None:
    batch = world.submitted(1, callback=CallbackState.NONE)
    world.run_all_chunks(batch)
    assert world.head(batch).is_completed
    assert world.head(batch).due_at is None
    assert not world.queue.is_busy


def test_any_number_of_workers_that_find_it_done_complete_it_once(
    world: World, full: Batch
) -> None:
    finish(world, full)
    before = world.head(full)
    for _ in range(3):
        finish(world, full)
    assert world.head(full) == before
    assert len(world.journal.of("batch completed")) == 1
    world.run_to_the_end()
    assert len(world.receiver.posts) == 1


def test_a_completing_write_without_an_answer_still_announces() -> None:
    """When the write is repeated, as an SDK does without an answer, it finds the batch
    completed."""
    store = UnansweredStore()
    world = World(store=store)
    batch = world.submitted(1)
    world.run_all_chunks(batch)
    assert world.head(batch).is_completed
    assert world.queue.callbacks == [(BatchMessage.of(batch), 0)]


def test_a_cancel_that_comes_between_is_part_of_what_is_completed(
    world: World, full: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = world.store.change

    def cancel_before_the_last(batch: Batch, made: transitions.Change) -> Batch | None:
        if "completed_at" in made.put:
            monkeypatch.setattr(world.store, "change", change)
            world.service.rerunner.cancel(DEMO_CALLER, full.batch_id)
        return change(batch, made)

    monkeypatch.setattr(world.store, "change", cancel_before_the_last)
    finish(world, full)
    assert world.head(full).status == "cancelled"
    assert len(world.queue.callbacks) == 1


def test_nothing_is_announced_for_a_batch_that_was_restarted_meanwhile(
    world: World, full: Batch
) -> None:
    finish(world, full)
    world.run_to_the_end()
    completed = world.head(full)
    world.store.heads[full.batch_id] = replace(
        completed, round=2, callback=CallbackState.WAITING, next_try_at=START
    )
    before = world.head(full)
    world.service.completion.complete(replace(completed, state=BatchState.RUNNING))
    assert world.head(full) == before
    assert not world.queue.is_busy


class TestErrors:
    @pytest.mark.parametrize("takes_effect", [False, True])
    @pytest.mark.parametrize("number", [1, 2])
    def test_if_any_write_fails_the_handed_on_message_completes_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch, number: int, takes_effect: bool
    ) -> None:
        """The first write finishes the chunk, the second completes the batch."""
        batch = world.submitted(1)
        change, writes = world.store.change, iter(range(1, 100))

        def fail_once(*args: Any) -> Batch | None:
            if next(writes) != number:
                return change(*args)
            if takes_effect:
                change(*args)
            raise Unavailable("down")

        monkeypatch.setattr(world.store, "change", fail_once)
        world.work(JobsMessage.of(batch, 0))
        [(message, delay)] = world.queue.take_jobs()
        assert (message.errors, delay) == (1, 10)
        world.clock.advance(seconds=delay)
        world.work(message)
        assert len(world.platform.calls) == 1
        assert world.queue.callbacks == [(BatchMessage.of(batch), 0)]
        world.run_to_the_end()
        assert world.head(batch).callback is CallbackState.DELIVERED

    def test_a_callback_that_could_not_be_announced_is_announced_by_the_handed_on_message(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(1)
        failing(monkeypatch, world.queue, "send_callback", times=1)
        world.work(JobsMessage.of(batch, 0))
        assert world.head(batch).is_completed
        world.run_to_the_end()
        assert world.head(batch).callback is CallbackState.DELIVERED


class TestSlots:
    """The slot of a batch whose account is limited."""

    @pytest.fixture
    def world(self) -> World:
        return World(limits=Limits(open_batches=1))

    def test_completion_frees_the_slot(self, world: World, full: Batch) -> None:
        world.service.admission.admit(full, full.total)
        finish(world, full)
        assert world.store.usages[full.account].open == frozenset()

    def test_it_does_so_even_if_the_callback_cannot_be_announced(
        self, world: World, full: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The handed-on message then finds the batch completed, and only announces."""
        world.service.admission.admit(full, full.total)
        failing(monkeypatch, world.queue, "send_callback", times=1)
        world.work(JobsMessage.of(full, 0))
        assert world.store.usages[full.account].open == frozenset()
        world.run_to_the_end()
        assert world.head(full).callback is CallbackState.DELIVERED

    def test_a_worker_that_finds_it_completed_frees_the_slot_too(
        self, world: World, full: Batch
    ) -> None:
        """The worker that completed it died before freeing the slot."""
        world.service.admission.admit(full, full.total)
        done = world.store.change(
            full, transitions.finish_chunk(full, world.store.load_chunk(full, 0))
        )
        assert done
        assert world.store.change(done, transitions.complete(done, START))
        assert world.store.usages[full.account].open == {Slot.of(full)}
        finish(world, full)
        assert world.store.usages[full.account].open == frozenset()
