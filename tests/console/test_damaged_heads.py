"""Every view answers, even if a head is damaged or was written by a later release."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters import items
from chalicelib.domain.batch import Batch, CallbackAttempt, Chunk
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.trace import TraceContext
from tests.console.asking import Page, console_of
from tests.console.local_service import local_tools
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.operations.world import World
from tests.samples import PLAIN_TERMS, a_batch, some_jobs

TOTAL = 3
#: What DynamoDB can hold instead of what was stored. None: the attribute is missing.
WRONG: list[dict[str, Any] | None] = [
    None,
    {"NULL": True},
    {"S": "\0\u202e<script>" * 100},
    {"N": "0"},
    {"N": "-0.5"},
    {"N": "1E+125"},
    {"N": "253402300799"},
    {"NS": ["-7", "99999999999999999999999999999999999999"]},
    {"B": b"\x78\x9c"},
]


class DamagedStore(FakeBatchStore):
    """Reads the head of one batch from an item."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, items.Item] = {}

    def find(self, batch_id: str) -> Batch | None:
        if batch_id in self.items:
            return items.read_head(self.items[batch_id])
        return super().find(batch_id)

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        return {id: batch for id in batch_ids if (batch := self.find(id))}

    def load_chunk(self, batch: Batch, chunk: int) -> Chunk:
        """Like DynamoDB's store: jobs are unreadable if their number differs from the head's."""
        found = super().load_chunk(batch, chunk)
        is_whole = found.jobs is not None and len(found.jobs) == len(found.indexes)
        return found if is_whole else replace(found, jobs=None)


def a_full_batch(store: FakeBatchStore) -> Batch:
    """A batch whose head has every attribute."""
    batch = replace(
        a_batch(TOTAL),
        label="a label",
        trace=TraceContext("0af7651916cd43dd8448eb211c80319c", "01"),
        max_failed=1,
        checked_at=START,
        waits_until=START,
        sentinel_at=START,
        callback=CallbackState.WAITING,
        attempts=1,
        next_try_at=START,
        lease="a lease",
        lease_ends_at=START,
        history=(CallbackAttempt(at=START, status=500, error="HTTP 500", took_ms=3),),
        due_at=START,
        rerun="a token",
    )
    store.save_jobs(batch, PLAIN_TERMS, some_jobs(TOTAL))
    store.commit(batch, START)
    return batch


STORED = items.head_item(a_full_batch(FakeBatchStore()))
MORE = ("completed_at", "cancelled", "has_metadata", "stopped", "done", "unanswered", "voided")


@pytest.mark.parametrize(
    ("state", "is_local"), [(BatchState.RUNNING, True), (BatchState.COMPLETED, False)]
)
@pytest.mark.parametrize("attribute", sorted({*STORED, *MORE} - {"batch_id", "part"}))
def test_whatever_is_damaged_every_view_answers(
    attribute: str, state: BatchState, is_local: bool
) -> None:
    store = DamagedStore()
    batch = a_full_batch(store)
    fine = a_batch(TOTAL, batch_id="f" * 32)
    store.commit(fine, START)
    local = local_tools() if is_local else None
    page = Page(console_of(World(store=store), local=local))
    for value in WRONG:
        item = {**STORED, "state": {"S": state}, attribute: value}
        store.items[batch.batch_id] = {name: it for name, it in item.items() if it is not None}
        for path in ("", "/callback"):
            answer = page.asks("GET", f"/batches/{batch.batch_id}{path}")
            assert answer.status in {200, 404, 409, *_STATUS.get(attribute, ())}, value
        answer = page.posts(f"/batches/{batch.batch_id}/cancel", {"seen": ""})
        assert answer.status in {404, 409, *_STATUS.get(attribute, ())}, value
        shown = page.gets("/batches?show=all")["batches"]
        assert fine.batch_id in [row["id"] for row in shown], value
    assert page.told == []


#: For a batch of a later release, the answer says to use that release.
_STATUS = {"format": (502,)}


def test_a_batch_of_a_later_release_is_named_and_the_others_are_shown() -> None:
    store = DamagedStore()
    batch = a_full_batch(store)
    store.items[batch.batch_id] = {**STORED, "format": {"N": "2"}}
    answer = Page(console_of(World(store=store))).gets("/batches")
    assert answer["batches"] == []
    assert answer["note"] == f"Batch {batch.batch_id} is left out: a later release wrote it."
