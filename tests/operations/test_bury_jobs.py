"""What happens to a message whose every delivery came back."""

from dataclasses import replace

import pytest

from chalicelib.domain.batch import Marker, Verdict
from chalicelib.domain.message import MAX_RECEIVES, BatchMessage, JobsMessage
from chalicelib.errors import Misconfigured, Unavailable
from tests.operations.world import World, failing


@pytest.fixture
def world() -> World:
    return World()


LAST = Marker(round=1, hops=0, receive_count=MAX_RECEIVES, deaths=1)


def test_a_job_whose_marker_the_last_delivery_left_gets_its_failure(world: World) -> None:
    batch = world.submitted(1)
    world.store.mark(batch, 0, 0, LAST)
    world.service.burier.bury_jobs(JobsMessage.of(batch, 0))
    answer = world.answers(batch)[0]
    assert answer.verdict is Verdict.UNANSWERED
    assert "died each time" in answer.response
    assert world.store.markers == {}
    assert world.head(batch).is_completed
    assert world.queue.callbacks == [(BatchMessage.of(batch), 0)]


@pytest.mark.parametrize(
    "marker",
    [
        replace(LAST, receive_count=MAX_RECEIVES - 1),
        replace(LAST, deaths=0),
        replace(LAST, hops=1),
        replace(LAST, round=2),
        None,
    ],
)
def test_no_job_is_blamed_for_any_other_dead_message(world: World, marker: Marker | None) -> None:
    batch = world.submitted(1)
    if marker:
        world.store.mark(batch, 0, 0, marker)
    world.service.burier.bury_jobs(JobsMessage.of(batch, 0))
    assert world.answers(batch) == {}
    assert world.head(batch) == batch


@pytest.mark.parametrize("port", ["store", "platform"])
def test_an_error_is_not_a_death(world: World, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    """Three deliveries under a marker end in an error of ours, while the queue is down too."""
    batch = world.submitted(1)
    message = replace(JobsMessage.of(batch, 0), hops=1)
    with monkeypatch.context() as patch:
        failing(patch, world.queue, "send_jobs")
        if port == "store":
            failing(patch, world.store, "record")
        else:
            failing(patch, world.platform, "prepare", error=Misconfigured("Put the header"))
        for receive_count in range(1, MAX_RECEIVES + 1):
            with pytest.raises(Unavailable):
                world.work(message, receive_count)
    world.service.burier.bury_jobs(message)
    assert world.answers(batch) == {}
    assert world.store.markers == {}


def test_no_job_of_a_message_with_several_is_blamed(world: World) -> None:
    batch = world.submitted(3, chunk_size=3)
    world.store.mark(batch, 0, 1, LAST)
    world.service.burier.bury_jobs(JobsMessage.of(batch, 0))
    assert world.answers(batch) == {}


def test_an_outdated_message_is_dropped(world: World) -> None:
    batch = world.submitted(1)
    world.store.mark(batch, 0, 0, LAST)
    world.service.burier.bury_jobs(replace(JobsMessage.of(batch, 0), submission="other"))
    assert world.answers(batch) == {}


def test_a_poison_job_dies_alone_and_its_batch_completes(world: World) -> None:
    """The whole story: split at the second delivery, marked, dead, buried."""
    batch = world.submitted(3, chunk_size=3)

    def kill(call: object) -> None:
        if call.params["n"] == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    world.behave(kill)
    with pytest.raises(KeyboardInterrupt):
        world.work(JobsMessage.of(batch, 0))
    world.work(JobsMessage.of(batch, 0), receive_count=2)
    split = [message for message, _ in world.queue.take_jobs()]
    assert [message.indexes for message in split] == [(0,), (1,), (2,)]
    for message in (split[0], split[2]):
        world.work(message)
    for receive_count in range(1, MAX_RECEIVES + 1):
        with pytest.raises(KeyboardInterrupt):
            world.work(split[1], receive_count)
    world.service.burier.bury_jobs(split[1])
    world.run_to_the_end()
    assert [answer.verdict for _, answer in sorted(world.answers(batch).items())] == [
        Verdict.SUCCEEDED,
        Verdict.UNANSWERED,
        Verdict.SUCCEEDED,
    ]
    assert world.head(batch).is_completed
