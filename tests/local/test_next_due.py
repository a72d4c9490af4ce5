"""What happens next to the open batches, and when, in words."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from batchback_console.local_tools import NextDue
from batchback_local.aws.messages import QueuedMessage
from batchback_local.next_due import next_due
from chalicelib.adapters.sqs import compose_batch, compose_jobs, compose_sentinel
from chalicelib.domain.batch import Batch
from chalicelib.domain.holds import Outage, Pause
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.transitions import RESERVATION
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.samples import a_batch

NOW = START + timedelta(minutes=10)
DEADLINE = "The deadline of batch 01234567 comes: jobs without an answer fail."
CHECK = "Batch 01234567 is checked for lost messages."
CALLBACK = "The callback of batch 01234567 is retried."


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def store_with(*batches: Batch) -> FakeBatchStore:
    store = FakeBatchStore()
    for batch in batches:
        store.commit(batch, START)
    return store


def running(**fields: Any) -> Batch:
    return a_batch(**{"due_at": minutes(20), "next_check_at": minutes(20), **fields})


def ended(**fields: Any) -> Batch:
    given = {"next_try_at": minutes(30), "due_at": minutes(32), **fields}
    return running(state=BatchState.COMPLETED, **given)


def retry_of(batch: Batch, at: datetime) -> QueuedMessage:
    return QueuedMessage(comes_at=at, body=compose_jobs(JobsMessage.of(batch, 0)))


def callback_of(batch: Batch, at: datetime) -> QueuedMessage:
    return QueuedMessage(comes_at=at, body=compose_batch(BatchMessage.of(batch)))


def due(store: FakeBatchStore, *messages: QueuedMessage) -> NextDue | None:
    return next_due(store, messages, NOW)


class DamagedStore(FakeBatchStore):
    """One head cannot be read."""

    damaged: str

    def find(self, batch_id: str) -> Batch | None:
        if batch_id == self.damaged:
            raise ValueError
        return super().find(batch_id)

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        if self.damaged in batch_ids:
            raise ValueError
        return super().find_all(batch_ids)


def test_damaged_batches_are_skipped() -> None:
    store = DamagedStore()
    store.damaged = "e" * 32
    torn = running(batch_id=store.damaged, due_at=minutes(5))
    incomplete = running(batch_id="d" * 32, due_at=minutes(6), expires_at=None)
    for batch in (running(), torn, incomplete):
        store.heads[batch.batch_id] = batch
    found = due(store)
    assert found
    assert found.what == CHECK


class TestRunning:
    def test_a_delayed_message_retries_jobs(self) -> None:
        batch = running()
        messages = [retry_of(batch, minutes(7)), retry_of(batch, minutes(3))]
        what = "Jobs of batch 01234567 are retried."
        assert due(store_with(batch), *messages) == NextDue(at=minutes(3), what=what)

    def test_during_an_outage_it_calls_the_platform_again(self) -> None:
        batch = running()
        store = store_with(batch)
        store.begin_outage(batch.account, Outage.beginning(NOW))
        what = "The platform, which was down, is called again for batch 01234567."
        assert due(store, retry_of(batch, minutes(3))) == NextDue(at=minutes(3), what=what)

    def test_a_batch_is_named_by_its_label(self) -> None:
        batch = running(label="nightly")
        found = due(store_with(batch), retry_of(batch, minutes(3)))
        assert found
        assert found.what == 'Jobs of batch "nightly" are retried.'

    def test_the_deadline_comes_before_a_later_message(self) -> None:
        batch = running(deadline=minutes(2))
        found = due(store_with(batch), retry_of(batch, minutes(3)))
        assert found == NextDue(at=minutes(2), what=DEADLINE)

    def test_without_messages_there_is_a_check(self) -> None:
        assert due(store_with(running())) == NextDue(at=minutes(20), what=CHECK)

    def test_a_sentinel_is_such_a_check(self) -> None:
        batch = running()
        sentinel = Sentinel(
            batch_id=batch.batch_id,
            account=batch.account,
            submission=batch.submission,
            round=1,
            chunk=0,
            sent_at=NOW,
            done=0,
            answered=0,
            waits_until=None,
        )
        message = QueuedMessage(comes_at=minutes(15), body=compose_sentinel(sentinel))
        assert due(store_with(batch), message) == NextDue(at=minutes(15), what=CHECK)

    def test_a_pause_holds_up_its_messages_until_it_ends(self) -> None:
        batch = running()
        store = store_with(batch)
        store.pause(Pause(until=minutes(60), reason="a test"))
        found = due(store, retry_of(batch, minutes(3)))
        assert found == NextDue(at=minutes(60), what="The pause ends, and batch 01234567 goes on.")

    def test_a_pause_that_is_over_holds_up_nothing(self) -> None:
        batch = running()
        store = store_with(batch)
        store.pause(Pause(until=NOW, reason="a test"))
        found = due(store, retry_of(batch, minutes(3)))
        assert found
        assert found.at == minutes(3)

    @pytest.mark.parametrize(
        ("batch", "messages"),
        [
            (running(), [retry_of(running(), NOW)]),
            (running(due_at=NOW), []),
            (running(due_at=NOW + RESERVATION), []),
            (running(round_began_at=NOW), []),
            (running(cancelled=True, due_at=minutes(1)), [callback_of(running(), NOW)]),
        ],
        ids=["a message to receive", "a sweep", "a sweep that began", "a submission", "an end"],
    )
    def test_a_batch_whose_jobs_are_running_waits_for_nothing(
        self, batch: Batch, messages: list[QueuedMessage]
    ) -> None:
        """So nobody moves the clock to its deadline by accident."""
        assert due(store_with(batch), *messages) is None

    @pytest.mark.parametrize("fields", [{"cancelled": True}, {"stopped": True}])
    def test_a_batch_that_must_end_ends_next(self, fields: dict[str, bool]) -> None:
        batch = running(due_at=minutes(1), **fields)
        found = due(store_with(batch), retry_of(batch, minutes(3)))
        assert found == NextDue(at=minutes(1), what="Batch 01234567 ends.")


class TestCallback:
    def test_a_delayed_message_retries_it(self) -> None:
        batch = ended(next_try_at=minutes(5), attempts=1)
        found = due(store_with(batch), callback_of(batch, minutes(5)))
        assert found == NextDue(at=minutes(5), what=CALLBACK)

    def test_after_a_long_wait_the_sweep_retries_it(self) -> None:
        """The sweep waits two minutes longer, because a message could come first."""
        assert due(store_with(ended())) == NextDue(at=minutes(32), what=CALLBACK)

    @pytest.mark.parametrize(
        "batch",
        [
            ended(lease="x", lease_ends_at=minutes(2)),
            ended(next_try_at=NOW),
            ended(due_at=NOW + RESERVATION),
            ended(callback=CallbackState.DELIVERED, next_try_at=None, due_at=None),
        ],
        ids=["being sent", "about to be sent", "swept", "delivered"],
    )
    def test_nothing_is_retried_meanwhile_or_after(self, batch: Batch) -> None:
        assert due(store_with(batch)) is None


def test_of_several_batches_the_earliest_counts() -> None:
    other = ended(batch_id="f" * 32, next_try_at=minutes(2), due_at=minutes(4))
    found = due(store_with(running(), other))
    assert found
    assert (found.at, found.what) == (minutes(4), "The callback of batch ffffffff is retried.")


def test_an_expired_batch_and_messages_of_other_batches_are_ignored() -> None:
    expired = replace(running(), expires_at=NOW)
    strangers = [
        QueuedMessage(comes_at=minutes(1), body=body)
        for body in ("hello", "[]", '{"chunk"', '{"v": 99}', "{}", '"batch"')
    ]
    assert due(store_with(expired), *strangers) is None
