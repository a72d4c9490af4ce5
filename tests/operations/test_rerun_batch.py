"""Restart, repost and cancel: what each changes, when it is refused, and that it survives races."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain import transitions
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Batch, Verdict
from chalicelib.domain.message import BatchMessage
from chalicelib.domain.outcome import Reply
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.transitions import Change
from chalicelib.errors import (
    BatchNotFound,
    Conflict,
    NotCompleted,
    ParameterMissing,
)
from chalicelib.operations.rerun_batch import BatchRerunner
from tests.operations.world import UnansweredStore, World, failing
from tests.samples import DEMO_CALLER


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def rerun(world: World) -> BatchRerunner:
    return world.service.rerunner


@pytest.fixture
def half_done(world: World) -> Batch:
    """A completed batch whose second job never got an answer."""
    world.behave(lambda call: Reply(status=500) if call.params["n"] == 1 else None)
    batch = world.submitted(2)
    world.run_all_chunks(batch)
    world.run_to_the_end()
    assert world.head(batch).is_completed
    world.behave(lambda _: None)
    world.platform.calls.clear()
    return batch


class TestRestart:
    def test_only_jobs_without_an_answer_run_again_and_a_callback_follows(
        self, world: World, rerun: BatchRerunner, half_done: Batch
    ) -> None:
        before = world.texts(half_done)
        rerun.restart(DEMO_CALLER, half_done.batch_id)
        world.run_to_the_end()
        assert [call.params["n"] for call in world.platform.calls] == [1]
        after = world.texts(half_done)
        assert after[0] == before[0]
        assert '"echo"' in after[1]
        ids = [post.headers["webhook-id"] for post in world.receiver.posts]
        assert ids == [half_done.callback_id, replace(half_done, round=2).callback_id]

    def test_a_restarted_batch_is_running_and_its_failed_jobs_wait(
        self, world: World, rerun: BatchRerunner, half_done: Batch
    ) -> None:
        rerun.restart(DEMO_CALLER, half_done.batch_id)
        head = world.head(half_done)
        assert (head.state, head.round, head.progress) == (BatchState.RUNNING, 2, 50)
        assert head.answered.total == 1
        assert head.callback is CallbackState.WAITING

    def test_it_inherits_neither_a_wait_nor_a_sentinel_from_the_previous_round(
        self, world: World, rerun: BatchRerunner, half_done: Batch
    ) -> None:
        now = world.clock.now()
        world.store.heads[half_done.batch_id] = replace(
            world.head(half_done), waits_until=now + timedelta(minutes=15), sentinel_at=now
        )
        rerun.restart(DEMO_CALLER, half_done.batch_id)
        head = world.head(half_done)
        assert (head.waits_until, head.sentinel_at, head.checks) == (None, None, 0)

    def test_with_nothing_to_run_it_ends_immediately_and_calls_back_again(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(1)
        world.run_all_chunks(batch)
        world.run_to_the_end()
        rerun.restart(DEMO_CALLER, batch.batch_id)
        world.run_to_the_end()
        assert len(world.platform.calls) == 1
        assert len(world.receiver.posts) == 2

    def test_a_running_batch_is_only_checked_once_in_five_minutes(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(1)
        rerun.restart(DEMO_CALLER, batch.batch_id)
        world.check(batch)
        assert len(world.queue.take_jobs()) == 1
        rerun.restart(DEMO_CALLER, batch.batch_id)
        world.check(batch)
        assert world.queue.jobs == []
        world.clock.advance(minutes=5)
        rerun.restart(DEMO_CALLER, batch.batch_id)
        world.check(batch)
        assert world.head(batch).checks == 2
        assert (len(world.queue.sentinels), world.queue.jobs) == (1, [])

    @pytest.mark.parametrize(
        ("own", "expected"),
        [(timedelta(minutes=7), timedelta(minutes=7)), (None, timedelta(hours=12))],
    )
    def test_the_deadline_comes_from_the_submission_or_the_stage(
        self,
        world: World,
        rerun: BatchRerunner,
        half_done: Batch,
        own: timedelta | None,
        expected: timedelta,
    ) -> None:
        world.save_terms(half_done, deadline=own)
        world.clock.advance(hours=1)
        rerun.restart(DEMO_CALLER, half_done.batch_id)
        assert world.head(half_done).deadline == world.clock.now() + expected

    def test_it_keeps_the_original_expiry(
        self, world: World, rerun: BatchRerunner, half_done: Batch
    ) -> None:
        world.save_terms(half_done, deadline=None)
        world.clock.set(half_done.expires_at - timedelta(hours=3))
        rerun.restart(DEMO_CALLER, half_done.batch_id)
        head = world.head(half_done)
        assert head.expires_at == half_done.expires_at
        assert head.deadline == half_done.expires_at - timedelta(hours=1)

    def test_it_is_refused_in_the_last_two_hours_of_the_batchs_life(
        self, world: World, rerun: BatchRerunner, half_done: Batch
    ) -> None:
        world.clock.set(half_done.expires_at - timedelta(hours=2) + timedelta(seconds=1))
        before = world.head(half_done)
        with pytest.raises(Conflict):
            rerun.restart(DEMO_CALLER, half_done.batch_id)
        assert world.head(half_done) == before

    def test_it_is_refused_while_a_cancel_is_not_finished(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(1)
        rerun.cancel(DEMO_CALLER, batch.batch_id)
        with pytest.raises(Conflict):
            rerun.restart(DEMO_CALLER, batch.batch_id)

    def test_it_is_refused_while_a_stop_is_not_finished(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(1, max_failed=0, stopped=True)
        with pytest.raises(Conflict, match="being stopped"):
            rerun.restart(DEMO_CALLER, batch.batch_id)


class TestRepost:
    def test_the_callback_is_sent_again_with_the_same_id_and_bytes(
        self, world: World, rerun: BatchRerunner, half_done: Batch
    ) -> None:
        rerun.repost(DEMO_CALLER, half_done.batch_id)
        world.run_to_the_end()
        first, second = world.receiver.posts
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body

    def test_it_is_refused_while_the_batch_is_not_completed(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        with pytest.raises(NotCompleted):
            rerun.repost(DEMO_CALLER, world.submitted(1).batch_id)

    def test_it_triggers_only_the_callback(
        self, world: World, rerun: BatchRerunner, half_done: Batch
    ) -> None:
        rerun.repost(DEMO_CALLER, half_done.batch_id)
        assert world.queue.callbacks == [(BatchMessage.of(half_done), 0)]
        assert world.queue.batches == []

    def test_a_repost_waits_for_a_lease_that_was_taken_meanwhile(
        self,
        world: World,
        rerun: BatchRerunner,
        half_done: Batch,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The lease was taken after the batch was read, so the batch has to be read again."""
        rerun.repost(DEMO_CALLER, half_done.batch_id)
        change = world.store.change

        def be_overtaken(batch: Batch, made: Change) -> Batch | None:
            monkeypatch.setattr(world.store, "change", change)
            lease = transitions.take_lease(batch, "another's", world.clock.now())
            assert change(batch, lease)
            return change(batch, made)

        monkeypatch.setattr(world.store, "change", be_overtaken)
        rerun.repost(DEMO_CALLER, half_done.batch_id)
        head = world.head(half_done)
        assert (head.callback_round, head.attempts, head.lease) == (3, 0, None)
        assert head.next_try_at == head.due_at == head.lease_ends_at
        assert head.lease_ends_at == world.clock.now() + transitions.LEASE

    def test_without_a_callback_url_there_is_nothing_to_repost(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(1, callback=CallbackState.NONE)
        world.run_all_chunks(batch)
        world.run_to_the_end()
        with pytest.raises(ParameterMissing, match="callbackUrl"):
            rerun.repost(DEMO_CALLER, batch.batch_id)


class TestCancel:
    def test_jobs_without_an_answer_get_cancelled_and_the_callback_is_sent(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(2)
        first, *_ = world.store.find_due(batch.due_at or batch.created_at)
        assert first.batch_id == batch.batch_id
        rerun.cancel(DEMO_CALLER, batch.batch_id)
        world.run_to_the_end()
        head = world.head(batch)
        assert (head.status, head.progress) == ("cancelled", 100)
        assert {answer.response for answer in world.answers(batch).values()} == {
            '{"errorCode": 461, "message": "Cancelled"}'
        }
        assert world.platform.calls == []
        assert len(world.receiver.posts) == 1

    def test_a_worker_that_sees_it_starts_no_call(self, world: World, rerun: BatchRerunner) -> None:
        batch = world.submitted(2)
        rerun.cancel(DEMO_CALLER, batch.batch_id)
        world.run_all_chunks(batch)
        assert world.platform.calls == []

    def test_it_changes_nothing_in_a_completed_batch(
        self, world: World, rerun: BatchRerunner, half_done: Batch
    ) -> None:
        before = world.head(half_done)
        rerun.cancel(DEMO_CALLER, half_done.batch_id)
        assert world.head(half_done) == before

    def test_it_changes_nothing_in_a_stopped_batch(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(2, max_failed=0, stopped=True)
        rerun.cancel(DEMO_CALLER, batch.batch_id)
        assert world.head(batch) == batch
        world.clock.advance(seconds=60)
        world.check(batch)
        assert world.head(batch).status == "stopped"

    def test_a_stop_that_comes_in_between_stands(
        self, world: World, rerun: BatchRerunner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(2, max_failed=0)
        change = world.store.change

        def stopped_meanwhile(head: Batch, wanted: transitions.Change) -> Batch | None:
            change(head, transitions.stop(head, world.clock.now()))
            return change(head, wanted)

        monkeypatch.setattr(world.store, "change", stopped_meanwhile)
        rerun.cancel(DEMO_CALLER, batch.batch_id)
        assert (world.head(batch).cancelled, world.head(batch).stopped) == (False, True)

    def test_restart_runs_the_cancelled_jobs(self, world: World, rerun: BatchRerunner) -> None:
        batch = world.submitted(2)
        rerun.cancel(DEMO_CALLER, batch.batch_id)
        world.run_to_the_end()
        rerun.restart(DEMO_CALLER, batch.batch_id)
        world.run_to_the_end()
        assert world.head(batch).status == "completed"
        assert {answer.verdict for answer in world.answers(batch).values()} == {Verdict.SUCCEEDED}

    def test_jobs_for_which_there_is_no_time_are_handed_on(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(2)
        rerun.cancel(DEMO_CALLER, batch.batch_id)
        [(message, _)] = world.queue.take_batches()
        world.service.advancer.advance_batch(message, lambda: 1.0)
        assert world.head(batch).is_running
        world.run_to_the_end()
        assert world.head(batch).status == "cancelled"

    def test_no_job_is_sent_again_while_the_batch_takes_long_to_end(
        self, world: World, rerun: BatchRerunner
    ) -> None:
        batch = world.submitted(2)
        rerun.cancel(DEMO_CALLER, batch.batch_id)
        [(message, _)] = world.queue.take_batches()
        world.clock.advance(minutes=1)
        assert world.head(batch).is_check_due(world.clock.now())
        world.service.advancer.advance_batch(message, lambda: 1.0)
        assert world.queue.jobs == []


class TestAll:
    @pytest.mark.parametrize("action", ["restart", "repost", "cancel"])
    def test_a_batch_of_another_account_is_not_found(
        self, rerun: BatchRerunner, half_done: Batch, action: str
    ) -> None:
        stranger = Caller(account="other", key="k")
        for batch_id in (half_done.batch_id, "0" * 32):
            with pytest.raises(BatchNotFound):
                getattr(rerun, action)(stranger, batch_id)

    @pytest.mark.parametrize("action", ["restart", "repost", "cancel"])
    def test_with_the_queue_down_the_sweep_does_it(
        self, world: World, rerun: BatchRerunner, action: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        state = BatchState.RUNNING if action == "cancel" else BatchState.COMPLETED
        batch = world.submitted(1, state=state, callback=CallbackState.WAITING)
        with monkeypatch.context() as patch:
            for send in ("send_batch", "send_callback"):
                failing(patch, world.queue, send)
            getattr(rerun, action)(DEMO_CALLER, batch.batch_id)
        assert len(world.journal.of("batch not sent yet")) == 1
        assert world.head(batch).due_at == world.clock.now()
        world.service.sweeper.sweep(lambda: 50)
        world.run_to_the_end()
        assert len(world.receiver.posts) == 1

    @pytest.mark.parametrize("action", ["restart", "repost"])
    def test_a_write_recognizes_itself_after_a_lost_answer(self, action: str) -> None:
        """Anything it did next, on seeing its own change, would be unasked for."""
        store = UnansweredStore()
        world = World(store=store)
        batch = world.submitted(1, state=BatchState.COMPLETED, callback=CallbackState.FAILED)
        getattr(world.service.rerunner, action)(DEMO_CALLER, batch.batch_id)
        assert len(store.made) == 1
        sent = world.queue.batches if action == "restart" else world.queue.callbacks
        assert sent == [(BatchMessage.of(batch), 0)]
        head = world.head(batch)
        assert (head.callback, head.callback_round) == (CallbackState.WAITING, 2)
        assert head.round == (2 if action == "restart" else 1)

    def test_after_losing_every_race_the_caller_learns_that_the_batch_keeps_changing(
        self,
        world: World,
        rerun: BatchRerunner,
        half_done: Batch,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(world.store, "change", lambda *_: None)
        with pytest.raises(Conflict, match="keeps changing"):
            rerun.repost(DEMO_CALLER, replace(half_done).batch_id)
