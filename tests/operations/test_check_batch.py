"""Checking a running batch: lost messages are sent again, waiting ones are not."""

from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import pytest

from chalicelib.domain import transitions
from chalicelib.domain.batch import AnswersPart, Batch
from chalicelib.domain.message import JobsMessage, Sentinel
from chalicelib.domain.outcome import Reply
from chalicelib.errors import Denied
from tests.fakes.clock import START
from tests.operations.world import UnansweredStore, World, failing
from tests.samples import DEMO_CALLER, succeeded

MINUTE = timedelta(minutes=1)


@pytest.fixture
def world() -> World:
    return World()


def advance_to(world: World, batch: Batch) -> None:
    """The moment at which the batch's next check is due."""
    due_at = world.head(batch).next_check_at
    assert due_at
    world.clock.set(due_at)


def check_when_due(world: World, batch: Batch) -> None:
    advance_to(world, batch)
    world.check(batch)


class TestTheFirst:
    """The first check, when nobody knows yet what was sent."""

    def test_it_sends_the_chunks_and_is_followed_by_the_next_after_30_minutes(
        self, world: World
    ) -> None:
        batch = world.submitted(3)
        check_when_due(world, batch)
        assert world.queue.jobs == [(JobsMessage.again(batch, chunk), 0) for chunk in range(3)]
        head = world.head(batch)
        assert (head.checks, head.checked_at) == (1, START + MINUTE)
        assert head.next_check_at == head.due_at == START + 31 * MINUTE
        assert world.queue.sentinels == []

    def test_it_is_not_a_rescue(self, world: World) -> None:
        batch = world.submitted(3)
        check_when_due(world, batch)
        assert world.journal.lines == [
            {
                "event": "chunks sent",
                "batch_id": batch.batch_id,
                "account": batch.account,
                "chunks": 3,
            }
        ]

    def test_it_does_not_wait_for_delayed_messages(self, world: World) -> None:
        """A submission that died halfway has sent some chunks, and one of them waits."""
        batch = world.submitted(3)
        world.behave(lambda _: Reply(status=429, retry_after="900"))
        world.work(JobsMessage.of(batch, 0))
        world.queue.take_jobs()
        assert world.head(batch).waits_until
        check_when_due(world, batch)
        assert [message.chunk for message, _ in world.queue.jobs] == [0, 1, 2]

    def test_the_first_check_of_a_later_round_sends_the_chunks_too(self, world: World) -> None:
        batch = world.submitted(2)
        world.behave(lambda call: Reply(status=500) if call.params["n"] else None)
        world.run_all_chunks(batch)
        world.run_to_the_end()
        world.service.rerunner.restart(DEMO_CALLER, batch.batch_id)
        world.check(batch)
        [(message, delay)] = world.queue.jobs
        assert (message.chunk, message.round, message.hops, delay) == (1, 2, 1, 0)

    def test_a_check_before_its_time_sends_nothing(self, world: World) -> None:
        batch = world.submitted(3)
        world.clock.advance(seconds=59)
        world.check(batch)
        assert world.queue.jobs == []
        assert world.head(batch) == batch

    def test_a_check_whose_messages_are_not_sent_is_not_recorded(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise, lost messages would stay lost until the check after it."""
        batch = world.submitted(3)
        world.clock.advance(seconds=60)
        with monkeypatch.context() as patch:
            failing(patch, world.queue, "send_jobs")
            world.check(batch)
        assert world.head(batch) == batch
        [(again, _)] = world.queue.take_batches()
        world.service.advancer.advance_batch(again, lambda: 120.0)
        assert [message.chunk for message, _ in world.queue.jobs] == [0, 1, 2]

    def test_no_check_comes_after_the_deadline(self, world: World) -> None:
        batch = world.submitted(3, deadline=START + 10 * MINUTE)
        check_when_due(world, batch)
        assert world.head(batch).next_check_at == batch.deadline

    def test_it_reads_only_the_head_of_a_large_batch(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> NoReturn:
            raise AssertionError

        batch = world.submitted(1_000, chunk_size=25)
        for chunk in range(0, 40, 2):
            world.work(JobsMessage.of(batch, chunk))
        for read in ("load_chunk", "read_chunks"):
            monkeypatch.setattr(world.store, read, fail)
        check_when_due(world, batch)
        assert [message.chunk for message, _ in world.queue.jobs] == [*range(1, 40, 2)]


@pytest.fixture
def sent(world: World) -> Batch:
    """A batch of three chunks that were all sent, none of which has reached a worker."""
    return world.submitted(3, checks=1, checked_at=START)


class TestWaits:
    def test_a_check_is_postponed_until_after_the_latest_wait(
        self, world: World, sent: Batch
    ) -> None:
        for minutes in (20, 5):
            world.store.change(sent, transitions.wait_until(sent, START + minutes * MINUTE))
        check_when_due(world, sent)
        head = world.head(sent)
        assert head.next_check_at == head.due_at == START + 21 * MINUTE
        assert head.checks == 1
        assert not world.queue.is_busy

    def test_it_is_postponed_again_for_each_later_wait(self, world: World, sent: Batch) -> None:
        for minutes in (10, 24, 38):
            world.store.change(sent, transitions.wait_until(sent, START + minutes * MINUTE))
            check_when_due(world, sent)
        assert world.head(sent).next_check_at == START + 39 * MINUTE
        assert not world.queue.is_busy
        check_when_due(world, sent)
        assert len(world.queue.sentinels) == 1

    def test_a_restart_changes_nothing_while_a_message_waits(
        self, world: World, sent: Batch
    ) -> None:
        world.store.change(sent, transitions.wait_until(sent, START + 20 * MINUTE))
        before = world.head(sent)
        for _ in range(3):
            world.clock.advance(minutes=6)
            world.service.rerunner.restart(DEMO_CALLER, sent.batch_id)
            world.check(sent)
        assert world.head(sent) == replace(
            before, next_check_at=START + 21 * MINUTE, due_at=START + 21 * MINUTE
        )
        assert not world.queue.is_busy

    def test_restarting_a_batch_often_does_not_call_its_jobs_more_often(self, world: World) -> None:
        """The platform answers each call with 429 and `Retry-After: 900`, and the caller restarts
        the batch every minute."""
        batch = world.submitted(1, checks=1, checked_at=START)
        world.behave(lambda _: Reply(status=429, retry_after="900"))
        world.work(JobsMessage.of(batch, 0))
        for _ in range(4):
            [(message, delay)] = world.queue.take_jobs()
            for _ in range(delay // 60):
                world.clock.advance(seconds=60)
                world.service.rerunner.restart(DEMO_CALLER, batch.batch_id)
                for check, _ in world.queue.take_batches():
                    world.service.advancer.advance_batch(check, lambda: 120.0)
            world.work(message)
        assert len(world.platform.calls) == 5
        assert world.queue.sentinels == []
        assert world.head(batch).is_completed

    def test_no_check_moves_the_due_time_of_a_cancel(self, world: World, sent: Batch) -> None:
        """The message of the cancel may be lost; then only the due time is left."""
        waiting = world.store.change(sent, transitions.wait_until(sent, START + 20 * MINUTE))
        assert waiting
        world.clock.advance(seconds=60)
        world.service.rerunner.cancel(DEMO_CALLER, sent.batch_id)
        cancelled = world.head(sent)
        assert cancelled.due_at == START + MINUTE
        for read_before in (sent, waiting):
            world.service.checker.check(read_before)
        assert world.head(sent) == cancelled


class TestSentinels:
    def test_a_standstill_sends_a_sentinel_delayed_by_15_minutes_and_no_chunk(
        self, world: World, sent: Batch
    ) -> None:
        check_when_due(world, sent)
        [(sentinel, delay)] = world.queue.sentinels
        assert delay == 900
        assert (sentinel.account, sentinel.sent_at) == (sent.account, world.clock.now())
        head = world.head(sent)
        assert head.sentinel_at == sentinel.sent_at
        assert (head.checks, head.next_check_at) == (2, world.clock.now() + 60 * MINUTE)
        assert world.queue.jobs == []
        assert world.journal.lines == []

    def test_no_sentinel_is_sent_if_a_chunk_was_finished_since_the_last_check(
        self, world: World, sent: Batch
    ) -> None:
        world.work(JobsMessage.of(sent, 0))
        check_when_due(world, sent)
        assert not world.queue.is_busy
        check_when_due(world, sent)
        assert len(world.queue.sentinels) == 1

    def test_if_nothing_moved_the_chunks_are_sent_again_as_a_rescue(
        self, world: World, sent: Batch
    ) -> None:
        world.work(JobsMessage.of(sent, 1))
        check_when_due(world, sent)
        check_when_due(world, sent)
        self._receive(world, sent)
        assert world.queue.jobs == [(JobsMessage.again(sent, chunk), 0) for chunk in (0, 2)]
        assert world.head(sent).sentinel_at is None
        assert [line["chunks"] for line in world.journal.of("chunks sent again")] == [2]

    @pytest.mark.parametrize("what", ["a chunk", "its end", "an answer", "a wait", "a longer wait"])
    def test_if_anything_moved_the_sentinel_is_just_cleared(self, world: World, what: str) -> None:
        batch = world.submitted(
            4, chunk_size=2, checks=1, checked_at=START, waits_until=START - MINUTE
        )
        if what == "its end":
            part = AnswersPart(round=1, number=0, answers={2: succeeded(), 3: succeeded()})
            world.store.record(batch, 1, part)
        check_when_due(world, batch)
        if what in ("a chunk", "its end"):
            world.work(JobsMessage.of(batch, 1))
        elif what == "an answer":
            part = AnswersPart(round=1, number=0, answers={3: succeeded()})
            world.store.record(batch, 1, part)
        else:
            minutes = 20 if what == "a longer wait" else 2
            world.store.change(batch, transitions.wait_until(batch, START + minutes * MINUTE))
        self._receive(world, batch)
        assert world.queue.jobs == []
        assert world.head(batch).sentinel_at is None
        assert world.journal.of("chunks sent again") == []

    def test_a_redelivered_sentinel_does_nothing(self, world: World, sent: Batch) -> None:
        check_when_due(world, sent)
        [(sentinel, _)] = world.queue.sentinels
        self._receive(world, sent)
        world.queue.take_jobs()
        world.service.checker.receive(sentinel)
        assert world.queue.jobs == []

    def test_only_one_of_two_concurrent_deliveries_sends(
        self, world: World, sent: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check_when_due(world, sent)
        [(sentinel, _)] = world.queue.sentinels
        read_chunks = world.store.read_chunks

        def be_overtaken(*args: object) -> object:
            monkeypatch.setattr(world.store, "read_chunks", read_chunks)
            world.service.checker.receive(sentinel)
            return read_chunks(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(world.store, "read_chunks", be_overtaken)
        world.service.checker.receive(sentinel)
        assert [message.chunk for message, _ in world.queue.jobs] == [0, 1, 2]

    def test_an_older_sentinel_does_nothing_and_the_newer_one_stays(
        self, world: World, sent: Batch
    ) -> None:
        check_when_due(world, sent)
        [(older, _)] = world.queue.take_sentinels()
        while not world.queue.sentinels:
            check_when_due(world, sent)
        before = world.head(sent)
        world.service.checker.receive(older)
        assert (world.head(sent), world.queue.jobs) == (before, [])
        self._receive(world, sent)
        assert len(world.queue.jobs) == 3

    def test_no_second_sentinel_is_sent_for_six_hours(self, world: World, sent: Batch) -> None:
        """In a backlog a sentinel waits its turn behind the messages that are already there."""
        check_when_due(world, sent)
        first = world.head(sent).sentinel_at
        assert first
        for _ in range(5):
            check_when_due(world, sent)
        assert len(world.queue.sentinels) == 1
        check_when_due(world, sent)
        assert world.clock.now() == first + 6 * 60 * MINUTE
        assert len(world.queue.sentinels) == 2
        assert world.head(sent).sentinel_at == world.clock.now()

    def test_a_sentinel_that_comes_between_reading_and_recording_a_check_is_cleared(
        self, world: World, sent: Batch
    ) -> None:
        check_when_due(world, sent)
        read_before = world.head(sent)
        self._receive(world, sent)
        advance_to(world, sent)
        world.service.checker.check(read_before)
        assert world.head(sent).sentinel_at is None

    @pytest.mark.parametrize("since", ["cancelled", "completed", "restarted"])
    def test_it_does_nothing_for_a_batch_that_does_not_go_on(
        self, world: World, sent: Batch, since: str
    ) -> None:
        check_when_due(world, sent)
        if since == "cancelled":
            world.service.rerunner.cancel(DEMO_CALLER, sent.batch_id)
            world.queue.take_batches()
        else:
            world.run_all_chunks(sent)
        if since == "restarted":
            world.service.rerunner.restart(DEMO_CALLER, sent.batch_id)
        before = world.head(sent)
        self._receive(world, sent)
        assert (world.head(sent), world.queue.jobs) == (before, [])

    def test_a_sentinel_that_meets_errors_is_sent_again_until_it_meets_none(
        self, world: World, sent: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check_when_due(world, sent)
        with monkeypatch.context() as patch:
            failing(patch, world.store, "find", error=Denied("no"))
            for wait in (10, 30, 90, 270, 810, 900, 900):
                self._receive(world, sent)
                [(_, delay)] = world.queue.sentinels
                assert delay == wait
        assert len(world.journal.of("function failed")) == 7
        self._receive(world, sent)
        assert len(world.queue.jobs) == 3

    def test_a_rescue_whose_messages_are_not_sent_is_made_by_a_check_a_minute_later(
        self, world: World, sent: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check_when_due(world, sent)
        with monkeypatch.context() as patch:
            failing(patch, world.queue, "send_jobs")
            self._receive(world, sent)
        rescued_at = world.clock.now()
        check_when_due(world, sent)
        assert world.clock.now() == rescued_at + MINUTE
        assert [message.chunk for message, _ in world.queue.jobs] == [0, 1, 2]
        assert len(world.journal.of("chunks sent again")) == 1

    def test_a_check_whose_write_was_not_answered_sends_a_valid_sentinel(self) -> None:
        world = World(store=UnansweredStore())
        batch = world.submitted(1, checks=1, checked_at=START)
        check_when_due(world, batch)
        world.check(batch)
        [(sentinel, _)] = world.queue.sentinels
        assert sentinel.stands_in(world.head(batch))

    def test_answers_of_another_round_do_not_count_as_movement(self, world: World) -> None:
        batch = world.submitted(1, round=2, checks=1, checked_at=START)
        check_when_due(world, batch)
        late = AnswersPart(round=1, number=0, answers={0: succeeded()})
        assert world.store.record(batch, 0, replace(late, round=3))
        self._receive(world, batch)
        assert len(world.queue.jobs) == 1

    @staticmethod
    def _receive(world: World, batch: Batch) -> Sentinel:
        """The sentinel's turn has come."""
        [(sentinel, delay)] = world.queue.take_sentinels()
        assert sentinel.batch_id == batch.batch_id
        world.clock.advance(seconds=delay)
        world.service.checker.receive(sentinel)
        return sentinel


class TestRestarts:
    def test_a_standstill_that_is_checked_every_five_minutes_sends_one_sentinel(
        self, world: World, sent: Batch
    ) -> None:
        for _ in range(12):
            world.clock.advance(minutes=5)
            world.service.rerunner.restart(DEMO_CALLER, sent.batch_id)
            world.check(sent)
        assert len(world.queue.sentinels) == 1
        assert world.queue.jobs == []
