"""Checking a batch: whatever is due is done, even if another worker is doing it too."""

from dataclasses import replace

import pytest

from chalicelib.domain import transitions
from chalicelib.domain.batch import AnswersPart, Batch
from chalicelib.domain.message import BatchMessage
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.errors import Denied, Unavailable
from tests.fakes.clock import START
from tests.operations.world import World, failing
from tests.samples import succeeded


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def done(world: World) -> Batch:
    """A batch whose chunks are all done, and whose last worker then died."""
    batch = world.submitted(1)
    world.store.record(batch, 0, AnswersPart(round=1, number=0, answers={0: succeeded()}))
    change = transitions.finish_chunk(batch, world.store.load_chunk(batch, 0))
    assert world.store.change(batch, change)
    return batch


def advance(world: World, message: BatchMessage, seconds_left: float = 120) -> None:
    world.service.advancer.advance_batch(message, lambda: seconds_left)


class TestWhatIsDue:
    def test_a_batch_with_all_chunks_done_is_completed_and_its_callback_announced(
        self, world: World, done: Batch
    ) -> None:
        world.check(done)
        assert world.head(done).is_completed
        assert world.queue.callbacks == [(BatchMessage.of(done), 0)]

    def test_repeated_checks_make_one_callback(self, world: World, done: Batch) -> None:
        for _ in range(5):
            world.check(done)
        world.run_to_the_end()
        world.check(done)
        assert not world.queue.is_busy
        assert len(world.receiver.posts) == 1
        assert len(world.journal.of("batch completed")) == 1

    def test_a_batch_with_chunks_to_do_is_left_running(self, world: World) -> None:
        batch = world.submitted(3)
        world.check(batch)
        assert world.head(batch) == batch
        assert not world.queue.is_busy

    def test_an_unknown_or_expired_batch_is_left_alone(self, world: World, done: Batch) -> None:
        before = world.head(done)
        world.clock.set(done.expires_at)
        world.check(done)
        world.check(replace(done, batch_id="0" * 32))
        assert world.head(done) == before
        assert not world.queue.is_busy

    def test_a_due_callback_is_passed_on_and_not_sent(self, world: World) -> None:
        """An earlier release and its sweep sent such messages here."""
        batch = world.submitted(1, state=BatchState.COMPLETED, next_try_at=START)
        world.check(batch)
        assert world.queue.callbacks == [(BatchMessage.of(batch), 0)]
        assert world.receiver.posts == []
        assert world.head(batch) == batch

    @pytest.mark.parametrize("callback", [each for each in CallbackState if each != "waiting"])
    def test_a_finished_callback_is_not_passed_on(
        self, world: World, callback: CallbackState
    ) -> None:
        world.check(world.submitted(1, state=BatchState.COMPLETED, callback=callback))
        assert not world.queue.is_busy


class TestTheDeadline:
    @pytest.fixture
    def late(self, world: World) -> Batch:
        """A batch whose deadline has come while two of its three jobs have no answer."""
        batch = world.submitted(3)
        world.store.record(batch, 1, AnswersPart(round=1, number=0, answers={1: succeeded()}))
        world.clock.set(batch.deadline)
        return batch

    def test_jobs_without_an_answer_get_the_failure_response(
        self, world: World, late: Batch
    ) -> None:
        world.check(late)
        assert [answer.response for _, answer in sorted(world.answers(late).items())] == [
            '{"errorCode": 461, "message": "Not answered before the batch\'s deadline"}',
            '{"ok":true}',
            '{"errorCode": 461, "message": "Not answered before the batch\'s deadline"}',
        ]
        head = world.head(late)
        assert head.is_completed
        assert head.unanswered == {0, 2}
        assert len(world.queue.callbacks) == 1

    def test_jobs_for_which_there_is_no_time_are_handed_on(self, world: World, late: Batch) -> None:
        advance(world, replace(BatchMessage.of(late), errors=3), seconds_left=1)
        assert world.queue.batches == [(replace(BatchMessage.of(late), hops=1), 0)]
        assert world.head(late).is_running
        world.run_to_the_end()
        assert world.head(late).is_completed

    def test_no_chunk_is_sent_again(self, world: World, late: Batch) -> None:
        assert world.head(late).is_check_due(world.clock.now())
        advance(world, BatchMessage.of(late), seconds_left=1)
        assert world.queue.jobs == []


class TestErrors:
    @pytest.mark.parametrize("name", ["find", "change", "load_chunk", "record"])
    def test_after_an_error_the_message_is_retried_up_to_five_times(
        self, world: World, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """After that, the due time triggers another check."""
        batch = world.submitted(2)
        world.clock.set(batch.deadline)
        failing(monkeypatch, world.store, name)
        delays = []
        advance(world, BatchMessage.of(batch))
        for _ in range(10):
            for message, delay in world.queue.take_batches():
                delays.append(delay)
                advance(world, message)
        assert delays == [10, 30, 90, 270, 810]
        assert [line["errors"] for line in world.journal.of("message handed on")] == [1, 2, 3, 4, 5]
        assert world.store.heads[batch.batch_id].due_at == batch.due_at

    def test_completed_steps_stay_done(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        batch = world.submitted(3)
        world.clock.set(batch.deadline)
        record, numbers = world.store.record, iter(range(100))

        def fail_once(batch: Batch, chunk: int, part: AnswersPart) -> bool:
            if next(numbers) == 1:
                raise Unavailable("down")
            return record(batch, chunk, part)

        monkeypatch.setattr(world.store, "record", fail_once)
        world.check(batch)
        assert world.head(batch).done == {0}
        world.run_to_the_end()
        assert world.head(batch).done == {0, 1, 2}
        assert next(numbers) == 4

    def test_a_permanent_error_is_also_a_failure_of_the_function(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing(monkeypatch, world.store, "find", error=Denied("no"))
        world.check(done)
        assert [line["error"] for line in world.journal.of("function failed")] == ["no"]
        assert len(world.queue.batches) == 1

    def test_with_the_queue_down_too_the_message_comes_back(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing(monkeypatch, world.store, "find")
        failing(monkeypatch, world.queue, "send_batch")
        with pytest.raises(Unavailable):
            world.check(done)
