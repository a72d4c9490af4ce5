"""What the sweep promises: whatever was lost, batches are checked, and none waits for another."""

from datetime import timedelta
from typing import NoReturn

import pytest

from chalicelib.domain.batch import Batch, Due
from chalicelib.errors import Unavailable
from tests.fakes.clock import START
from tests.operations.world import World


@pytest.fixture
def world() -> World:
    return World()


def test_a_batch_that_is_due_is_checked(world: World) -> None:
    batch = world.submitted(1)
    world.service.sweeper.sweep(lambda: 50)
    assert world.queue.batches == []
    world.clock.advance(seconds=60)
    world.service.sweeper.sweep(lambda: 50)
    assert [message.batch_id for message, _ in world.queue.batches] == [batch.batch_id]


def test_a_reserved_batch_is_left_alone_for_five_minutes(world: World) -> None:
    batch = world.submitted(1)
    world.clock.advance(seconds=60)
    world.service.sweeper.sweep(lambda: 50)
    world.service.sweeper.sweep(lambda: 50)
    assert len(world.queue.batches) == 1
    assert world.head(batch).due_at == START + timedelta(minutes=6)
    assert world.head(batch).next_check_at == batch.next_check_at


def test_an_expired_batch_leaves_the_sweeps_sight(world: World) -> None:
    batch = world.submitted(1)
    world.clock.set(batch.expires_at)
    world.service.sweeper.sweep(lambda: 50)
    assert world.head(batch).due_at is None
    assert world.queue.batches == []


def test_one_bad_batch_stops_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = (world.submitted(1, batch_id=name * 32) for name in "ab")
    reserve = world.store.reserve

    def fail_once(due: Due, until: object) -> Batch | None:
        if due.batch_id == bad.batch_id:
            raise Unavailable("down")
        return reserve(due, until)  # type: ignore[arg-type]

    monkeypatch.setattr(world.store, "reserve", fail_once)
    world.clock.advance(seconds=60)
    world.service.sweeper.sweep(lambda: 50)
    assert [message.batch_id for message, _ in world.queue.batches] == [good.batch_id]
    assert len(world.journal.of("sweep failed")) == 1


def test_a_sweep_that_cannot_send_leaves_the_batch_to_one_five_minutes_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise Unavailable("down")

    world.submitted(1)
    world.clock.advance(seconds=60)
    with monkeypatch.context() as patch:
        patch.setattr(world.queue, "send_batch", fail)
        world.service.sweeper.sweep(lambda: 50)
    world.clock.advance(minutes=5)
    world.service.sweeper.sweep(lambda: 50)
    assert len(world.queue.batches) == 1


def test_a_sweep_ends_in_time(world: World) -> None:
    world.submitted(1)
    world.clock.advance(seconds=60)
    world.service.sweeper.sweep(lambda: 5)
    assert world.queue.batches == []
