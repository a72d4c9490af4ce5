"""What a check of a batch promises: one completion, and a callback tried until it is over."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import pytest

from chalicelib.domain import transitions
from chalicelib.domain.batch import Batch
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.errors import Unavailable
from tests.fakes.clock import START
from tests.fakes.webhooks import verify
from tests.operations.world import UnansweredStore, World
from tests.samples import WEBHOOK_SECRET


@pytest.fixture
def world() -> World:
    return World()


def fail(*_: object) -> NoReturn:
    raise Unavailable("down")


@pytest.fixture
def done(world: World) -> Batch:
    """A batch all of whose chunks are done, and whose message has not arrived."""
    batch = world.submitted(3)
    world.run_all_chunks(batch)
    world.queue.take_batches()
    return batch


class TestCompleting:
    def test_a_batch_with_all_chunks_done_is_completed_and_called_back(
        self, world: World, done: Batch
    ) -> None:
        world.check(done)
        head = world.head(done)
        assert (head.state, head.callback) == (BatchState.COMPLETED, CallbackState.DELIVERED)
        assert (head.completed_at, head.due_at, head.next_check_at) == (START, None, None)

    def test_a_batch_with_chunks_to_do_is_left_running(self, world: World) -> None:
        batch = world.submitted(3)
        world.check(batch)
        assert world.head(batch) == batch
        assert world.receiver.posts == []

    def test_any_number_of_checks_makes_one_callback(self, world: World, done: Batch) -> None:
        for _ in range(5):
            world.check(done)
        assert len(world.receiver.posts) == 1
        assert len(world.journal.of("batch completed")) == 1

    def test_a_batch_without_callback_url_just_completes(self, world: World) -> None:
        batch = world.submitted(1, callback=CallbackState.NONE)
        world.run_all_chunks(batch)
        world.check(batch)
        assert world.head(batch).is_completed
        assert world.head(batch).due_at is None
        assert world.receiver.posts == []

    def test_an_unknown_or_expired_batch_is_left_alone(self, world: World, done: Batch) -> None:
        world.clock.set(done.expires_at)
        world.check(done)
        world.check(replace(done, batch_id="0" * 32))
        assert world.receiver.posts == []


class TestLooks:
    def test_what_was_never_sent_is_sent_at_the_first_check(self, world: World) -> None:
        batch = world.submitted(3)
        world.clock.advance(seconds=60)
        world.check(batch)
        assert [message.chunk for message, _ in world.queue.jobs] == [0, 1, 2]
        assert world.head(batch).checks == 1
        assert world.head(batch).next_check_at == START + timedelta(seconds=60, minutes=30)

    def test_a_check_whose_messages_are_not_sent_is_not_recorded(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or what was lost would stay lost until the check after it."""
        batch = world.submitted(3)
        world.clock.advance(seconds=60)
        with monkeypatch.context() as patch:
            patch.setattr(world.queue, "send_jobs", fail)
            with pytest.raises(Unavailable):
                world.check(batch)
        assert world.head(batch) == batch
        world.check(batch)
        assert [message.chunk for message, _ in world.queue.jobs] == [0, 1, 2]

    def test_a_check_before_its_time_sends_nothing(self, world: World) -> None:
        batch = world.submitted(3)
        world.clock.advance(seconds=59)
        world.check(batch)
        assert world.queue.jobs == []

    def test_where_something_moved_nothing_is_sent_again(self, world: World) -> None:
        batch = world.submitted(3)
        world.clock.advance(seconds=60)
        world.check(batch)
        first, *_ = world.queue.take_jobs()
        world.work(first[0])
        world.clock.advance(minutes=30)
        world.check(batch)
        assert world.queue.jobs == []
        world.clock.advance(minutes=60)
        world.check(batch)
        assert [message.chunk for message, _ in world.queue.jobs] == [1, 2]

    def test_no_check_comes_after_the_deadline(self, world: World) -> None:
        batch = world.submitted(3, deadline=START + timedelta(minutes=10))
        world.clock.advance(seconds=60)
        world.check(batch)
        assert world.head(batch).next_check_at == batch.deadline

    def test_of_a_large_batch_it_reads_the_head_alone(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> NoReturn:
            raise AssertionError

        batch = world.submitted(1_000, chunk_size=25)
        for chunk in range(0, 40, 2):
            world.work(JobsMessage.of(batch, chunk))
        world.clock.advance(seconds=60)
        for read in ("load_chunk", "read_chunks"):
            monkeypatch.setattr(world.store, read, fail)
        world.check(batch)
        assert [message.chunk for message, _ in world.queue.jobs] == [*range(1, 40, 2)]


class TestDelivering:
    def test_the_callback_is_signed_and_holds_all_results_in_order(
        self, world: World, done: Batch
    ) -> None:
        world.check(done)
        [post] = world.receiver.posts
        assert json.loads(post.body) == {
            "asyncId": done.batch_id,
            "results": [
                {
                    "namespace": "event",
                    "action": "inviteContacts",
                    "request": {"n": n},
                    "response": {"echo": {"n": n}},
                }
                for n in range(3)
            ],
        }
        assert post.headers["webhook-id"] == f"{done.batch_id}-1"
        assert post.headers["Content-Type"] == "application/json"

    def test_a_receiver_can_verify_it_with_the_standard_library(
        self, world: World, done: Batch
    ) -> None:
        world.check(done)
        [post] = world.receiver.posts
        verify(WEBHOOK_SECRET, post.body, post.headers, now=world.clock.now())

    def test_every_attempt_has_the_same_id_and_the_same_bytes(
        self, world: World, done: Batch
    ) -> None:
        world.receiver.answers = [Reply(status=500), NoReply(reason="no answer in time")]
        world.check(done)
        world.run_to_the_end()
        assert len(world.receiver.posts) == 3
        assert len({(post.headers["webhook-id"], post.body) for post in world.receiver.posts}) == 1
        assert world.head(done).callback is CallbackState.DELIVERED

    def test_attempts_follow_the_schedule_until_the_callback_has_failed(
        self, world: World, done: Batch
    ) -> None:
        world.receiver.answers = [Reply(status=302)] * 20
        waits = []
        world.check(done)
        while (due := world.head(done).next_try_at) is not None:
            waits.append(due - world.clock.now())
            world.clock.set(due)
            world.check(done)
        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        scheduled = [
            timedelta(seconds=5),
            *[5 * minute, 30 * minute],
            *[2 * hour, 5 * hour, 10 * hour, 14 * hour],
        ]
        assert waits == [wait * 1.1 for wait in scheduled]
        head = world.head(done)
        assert (head.callback, head.attempts) == (CallbackState.FAILED, 8)
        assert (head.last_status, head.last_error, head.due_at) == (302, "HTTP 302", None)

    def test_a_near_next_try_is_made_punctual_by_a_message(self, world: World, done: Batch) -> None:
        world.receiver.answers = [Reply(status=500)]
        world.check(done)
        assert world.queue.batches == [(BatchMessage.of(done), 6)]
        assert world.head(done).due_at == START + timedelta(seconds=5.5, minutes=2)

    def test_a_receiver_that_is_gone_is_not_asked_again(self, world: World, done: Batch) -> None:
        world.receiver.answers = [Reply(status=410)]
        world.check(done)
        assert world.head(done).callback is CallbackState.FAILED
        assert world.queue.batches == []

    @pytest.mark.parametrize(("status", "wait"), [(429, 600), (503, 600), (500, 5.5)])
    def test_retry_after_is_waited_for_where_it_may_be_asked(
        self, world: World, done: Batch, status: int, wait: float
    ) -> None:
        world.receiver.answers = [Reply(status=status, retry_after="600")]
        world.check(done)
        assert world.head(done).next_try_at == START + timedelta(seconds=wait)

    def test_an_address_that_is_refused_ends_the_callback(self, world: World, done: Batch) -> None:
        refused = NoReply(reason="10.0.0.1 is a private address", is_final=True)
        world.receiver.answers = [refused]
        world.check(done)
        head = world.head(done)
        assert (head.callback, head.last_error) == (CallbackState.FAILED, refused.reason)

    def test_an_attempt_may_take_15_seconds_and_one_more_for_each_megabyte(
        self, world: World
    ) -> None:
        batch = world.submitted(10, chunk_size=10)
        world.behave(lambda _: Reply(status=200, body=b'"' + b"x" * 300_000 + b'"'))
        world.run_all_chunks(batch)
        world.check(batch)
        [post] = world.receiver.posts
        assert post.timeout_seconds == pytest.approx(15 + len(post.body) / 1_000_000)
        assert post.timeout_seconds > 18

    def test_an_attempt_ends_in_time_for_its_outcome_to_be_recorded(
        self, world: World, done: Batch
    ) -> None:
        world.service.advancer.advance_batch(BatchMessage.of(done), lambda: 22.0)
        [post] = world.receiver.posts
        assert post.timeout_seconds == 12

    def test_the_attempt_is_counted_before_the_post(self, world: World, done: Batch) -> None:
        seen = []

        def die(*_: object, **__: object) -> NoReturn:
            seen.append(world.head(done).attempts)
            raise KeyboardInterrupt

        world.receiver.post = die  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            world.check(done)
        assert seen == [1]

    def test_nobody_delivers_while_a_lease_runs(self, world: World, done: Batch) -> None:
        world.check(done)
        head = replace(world.head(done), callback=CallbackState.WAITING, next_try_at=START)
        world.store.heads[done.batch_id] = head
        leased = world.store.change(head, transitions.take_lease(head, "other", START))
        assert leased
        world.clock.set(leased.next_try_at or START)
        world.clock.advance(seconds=-1)
        world.check(done)
        assert len(world.receiver.posts) == 1
        world.clock.advance(seconds=1)
        world.check(done)
        assert len(world.receiver.posts) == 2

    def test_a_delivery_whose_lease_was_not_answered_knows_its_own(self) -> None:
        """Or each attempt that this befalls is lost, and none is recorded."""
        world = World(store=UnansweredStore())
        batch = world.submitted(1)
        world.run_all_chunks(batch)
        world.check(batch)
        head = world.head(batch)
        assert (head.callback, head.attempts) == (CallbackState.DELIVERED, 1)
        assert len(world.receiver.posts) == 1

    def test_whoever_comes_second_sends_nothing(self, world: World, done: Batch) -> None:
        """Another took the lease since the batch was read."""
        read = world.store.change(done, transitions.complete(done, START))
        assert read
        assert world.store.change(read, transitions.take_lease(read, "another's", START))
        world.service.delivery.attempt(read, lambda: 120.0)
        assert world.receiver.posts == []
        assert world.head(done).lease == "another's"

    def test_senders_that_die_use_up_the_attempts_too(self, world: World, done: Batch) -> None:
        """Or a body that kills its sender would be sent for as long as the batch lives."""

        def die(*_: object, **__: object) -> NoReturn:
            raise SystemExit

        world.receiver.post = die  # type: ignore[method-assign]
        for attempts in range(1, 9):
            with pytest.raises(SystemExit):
                world.check(done)
            assert world.head(done).attempts == attempts
            world.clock.advance(minutes=3)
        world.check(done)
        assert world.head(done).callback is CallbackState.FAILED

    def test_a_failure_of_ours_before_the_post_gives_the_attempt_back(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(world.store, "read_chunks", fail)
            world.check(done)
        assert world.head(done).attempts == 0
        assert world.receiver.posts == []
        world.clock.advance(minutes=2)
        world.check(done)
        assert world.head(done).callback is CallbackState.DELIVERED

    def test_results_too_large_to_send_are_a_failed_callback_that_says_so(
        self, world: World, done: Batch
    ) -> None:
        head = world.head(done)
        counts = replace(head.counts, result_bytes=60_000_000)
        world.store.heads[done.batch_id] = replace(head, counts=counts)
        world.check(done)
        after = world.head(done)
        assert after.callback is CallbackState.FAILED
        assert "page through the results" in (after.last_error or "")
        assert world.receiver.posts == []
