"""The sweep: no matter what was lost, batches go on, and none delays another."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from chalicelib.domain.batch import Batch, Due
from chalicelib.domain.message import BatchMessage
from chalicelib.domain.states import BatchState
from chalicelib.errors import Unavailable
from chalicelib.operations.sweep import Sweeper
from tests.fakes.clock import START
from tests.operations.world import World, failing

Result = TypeVar("Result")


@pytest.fixture
def world() -> World:
    return World()


def sweep(world: World, seconds_left: float = 50) -> None:
    world.service.sweeper.sweep(lambda: seconds_left)


def test_a_batch_that_is_due_is_checked(world: World) -> None:
    batch = world.submitted(1)
    sweep(world)
    assert not world.queue.is_busy
    world.clock.advance(seconds=60)
    sweep(world)
    assert world.queue.batches == [(BatchMessage.of(batch), 0)]
    assert world.queue.callbacks == []


def test_a_callback_that_is_due_is_sent(world: World) -> None:
    batch = world.submitted(1, state=BatchState.COMPLETED, next_try_at=START, due_at=START)
    sweep(world)
    assert world.queue.callbacks == [(BatchMessage.of(batch), 0)]
    assert world.queue.batches == []


@pytest.mark.parametrize("state", BatchState)
def test_a_reserved_batch_is_left_alone_for_15_minutes(world: World, state: BatchState) -> None:
    """This is longer than its message waits. Otherwise, each sweep would send one more."""
    batch = world.submitted(1, state=state, due_at=START)
    sweep(world)
    world.clock.advance(minutes=15, milliseconds=-1)
    sweep(world)
    assert len(world.queue.batches + world.queue.callbacks) == 1
    assert world.head(batch).due_at == START + timedelta(minutes=15)
    assert world.head(batch).next_check_at == batch.next_check_at
    world.clock.advance(milliseconds=1)
    sweep(world)
    assert len(world.queue.batches + world.queue.callbacks) == 2


def test_a_batch_that_another_sweep_reserved_first_is_left_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.submitted(1)
    world.clock.advance(seconds=60)
    found = [*world.store.find_due(world.clock.now())]
    sweep(world)
    monkeypatch.setattr(world.store, "find_due", lambda _: iter(found))
    sweep(world)
    assert len(world.queue.batches) == 1


def test_an_expired_batch_is_no_longer_swept(world: World) -> None:
    batch = world.submitted(1)
    world.clock.set(batch.expires_at)
    sweep(world)
    assert world.head(batch).due_at is None
    assert not world.queue.is_busy


def test_one_bad_batch_stops_no_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = (world.submitted(1, batch_id=name * 32) for name in "ab")
    reserve = world.store.reserve

    def fail_once(due: Due, until: Any) -> Batch | None:
        if due.batch_id == bad.batch_id:
            raise Unavailable("down")
        return reserve(due, until)

    monkeypatch.setattr(world.store, "reserve", fail_once)
    world.clock.advance(seconds=60)
    sweep(world)
    assert [message.batch_id for message, _ in world.queue.batches] == [good.batch_id]
    assert len(world.journal.of("sweep failed")) == 1


def test_a_batch_whose_message_cannot_be_sent_is_left_to_a_sweep_15_minutes_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.submitted(1)
    world.clock.advance(seconds=60)
    with monkeypatch.context() as patch:
        failing(patch, world.queue, "send_batch")
        sweep(world)
    world.clock.advance(minutes=15)
    sweep(world)
    assert len(world.queue.batches) == 1


def test_a_sweep_ends_in_time(world: World) -> None:
    world.submitted(1)
    world.clock.advance(seconds=60)
    sweep(world, seconds_left=5)
    assert world.queue.batches == []


class Groups:
    """Records how many calls were passed to it together."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        self.sizes.append(len(calls))
        yield [call() for call in calls]


def test_batches_are_handled_a_hundred_at_a_time_while_there_is_time(world: World) -> None:
    for number in range(350):
        world.submitted(1, batch_id=f"{number:032x}")
    world.clock.advance(seconds=60)
    groups = Groups()
    sweeper = Sweeper(
        store=world.store,
        queue=world.queue,
        concurrent=groups,
        clock=world.clock,
        journal=world.journal,
    )
    times = iter([50.0, 30.0, 10.0, 9.9])
    sweeper.sweep(lambda: next(times))
    assert groups.sizes == [100, 100, 100]
    assert len(world.queue.batches) == 300
    sweep(world)
    assert len({message.batch_id for message, _ in world.queue.batches}) == 350
