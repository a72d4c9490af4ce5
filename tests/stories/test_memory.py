"""How much of a function's memory the largest of everything takes, counted where Python allocates
it.

The real operations and adapters run on a table and a receiver that keep nothing. Python itself and
the imports are not counted: about 60 MB of a worker, and 70 MB of `api`."""

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib.adapters import items
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain.batch import (
    Answer,
    AnswersPart,
    Batch,
    CallbackAttempt,
    Counts,
    Job,
    Verdict,
)
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, Reply
from chalicelib.domain.packing import fitting
from chalicelib.domain.results import MAX_CALLBACK_BYTES, Page, View, whole_size_bytes
from chalicelib.domain.states import BatchState
from chalicelib.errors import TooLarge
from chalicelib.operations.read_batch import BatchReader
from chalicelib.service import Service
from tests.adapters.http_servers import OK, Server, Visit, a_receiver
from tests.operations.world import World
from tests.samples import DEMO_CALLER, PLAIN_TERMS, a_batch

MB = 1_000_000
#: What is left of 512 MB for one message.
A_WORKER_HAS = 400 * MB


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A batch whose first jobs get answers of a given size, and the others short ones. A single
    four-byte character makes Python store a whole text with four bytes per character."""

    jobs: int
    chunk_size: int
    large: int
    answer_bytes: int
    character: str = "e"

    @property
    def batch(self) -> Batch:
        return a_batch(self.jobs, chunk_size=self.chunk_size)

    def answer(self, index: int) -> str:
        if index >= self.large:
            return "{}"
        text = "e" * (self.answer_bytes - len(self.character.encode()) - 2)
        return f'"{self.character}{text}"'


#: As much as one callback may hold: as very many answers, or as chunks of the largest ones.
MANY = Shape(jobs=10_000, chunk_size=25, large=10_000, answer_bytes=4_919)
WIDE = Shape(
    jobs=800, chunk_size=100, large=142, answer_bytes=MAX_ANSWER_BYTES, character="\U0001f600"
)
#: Much more than one response or callback may hold.
HUGE = Shape(jobs=300, chunk_size=25, large=300, answer_bytes=MAX_ANSWER_BYTES)


class Table:
    """The client of a table that holds one compressed batch and forgets what it is given."""

    def __init__(self, head: Batch, shape: Shape, url: str, *, answered: bool) -> None:
        jobs = [Job(index, "event", "inviteContacts", "{}") for index in range(shape.jobs)]
        parts = [
            items.answers_item(head, chunk, AnswersPart(round=1, number=number, answers=group))
            for chunk in (head.chunks if answered else [])
            for number, group in enumerate(fitting(_answers(shape, head.indexes(chunk))))
        ]
        stored = [
            items.head_item(head),
            items.terms_item(head, replace(PLAIN_TERMS, callback_url=url)),
        ]
        stored += [*items.jobs_items(head, jobs), *parts]
        self._items = {item["part"]["S"]: item for item in stored}

    def get_item(self, *, Key: Any, **_: object) -> Any:  # noqa: N803 - boto3's own
        return {"Item": self._items[Key["part"]["S"]]}

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        asked = [key["part"]["S"] for key in RequestItems["batches"]["Keys"]]
        found = [self._items[part] for part in asked if part in self._items]
        return {"Responses": {"batches": found}}

    def query(self, *, ExpressionAttributeValues: Any, **_: object) -> Any:  # noqa: N803
        values = {name: value["S"] for name, value in ExpressionAttributeValues.items()}
        first = values.get(":prefix") or values[":first"]
        last = values.get(":last", first + "~")
        return {
            "Items": [self._items[part] for part in sorted(self._items) if first <= part < last]
        }

    def put_item(self, **_: object) -> Any:
        return {}

    def update_item(self, **_: object) -> Any:
        return {"Attributes": self._items[items.HEAD]}


def _answers(shape: Shape, indexes: range) -> dict[int, Answer]:
    return {index: Answer(Verdict.SUCCEEDED, shape.answer(index)) for index in indexes}


def stored(
    head: Batch, shape: Shape, url: str = "https://example.com/", *, answered: bool = True
) -> DynamoBatchStore:
    client: Any = Table(head, shape, url, answered=answered)
    return DynamoBatchStore(client, "batches")


def completed(shape: Shape) -> Batch:
    """The head of the batch when all jobs are answered."""
    size = len('{"namespace":"event","action":"inviteContacts","request":{},"response":}')
    answers = sum(len(shape.answer(index).encode()) for index in range(shape.jobs))
    return replace(
        shape.batch,
        state=BatchState.COMPLETED,
        counts=Counts(succeeded=shape.jobs, result_bytes=shape.jobs * size + answers),
        next_try_at=shape.batch.created_at,
        history=(CallbackAttempt(at=shape.batch.created_at),),
    )


def peak_bytes(act: Callable[[], object]) -> int:
    """Measure the most that was allocated at one time inside the block."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def taking(received: list[int]) -> Callable[[Visit], None]:
    """A receiver that counts the bytes of a body and keeps none."""

    def behave(visit: Visit) -> None:
        received.append(visit.pass_over())
        visit.send(OK)

    return behave


@pytest.mark.parametrize(
    ("shape", "most"),
    [(MANY, MAX_CALLBACK_BYTES + 15 * MB), (WIDE, A_WORKER_HAS)],
    ids=["of many", "of the largest answers"],
)
def test_the_largest_callback_is_held_once(shape: Shape, most: int) -> None:
    received: list[int] = []
    world, head = World(), completed(shape)
    with Server(taking(received)) as server:
        store = stored(head, shape, f"{server.address}/")
        delivery = replace(world.service.delivery, store=store, receiver=a_receiver())
        message = BatchMessage.of(head)
        peak = peak_bytes(lambda: delivery.call_back(message, lambda: 120.0))
    assert world.journal.of("callback attempted")[0]["outcome"] == "delivered"
    assert received == [whole_size_bytes(head)]
    assert 0.99 * MAX_CALLBACK_BYTES < received[0] <= MAX_CALLBACK_BYTES
    assert peak < most


def test_a_worker_holds_a_message_of_the_largest_answers() -> None:
    world, head = World(), WIDE.batch
    store = stored(head, WIDE, answered=False)
    world.behave(lambda _: Reply(status=200, body=WIDE.answer(0).encode()))
    runner = Service(world.settings, replace(world.ports, store=store)).runner
    message = JobsMessage.of(head, 0)
    peak = peak_bytes(lambda: runner.run_jobs(message, receive_count=1, seconds_left=lambda: 60.0))
    assert len(world.platform.calls) == 100
    assert peak < A_WORKER_HAS


@pytest.mark.parametrize(
    ("head", "partial"), [(completed(HUGE), False), (HUGE.batch, True)], ids=["page", "so far"]
)
def test_huge_results_are_read_only_as_far_as_they_fit_one_response(
    head: Batch, partial: bool
) -> None:
    world = World()
    read = BatchReader(store=stored(head, HUGE), clock=world.clock)

    def results() -> None:
        page = Page(start=100, per_page=1_000)
        assert b'"totalResults":300,' in read.results(
            DEMO_CALLER, head.batch_id, page=page, view=View(partial=partial)
        )
        with pytest.raises(TooLarge, match="page through"):
            read.results(DEMO_CALLER, head.batch_id, page=None, view=View(partial=partial))

    peak = peak_bytes(results)
    assert peak < 40 * MB
