"""Reads and writes batches in DynamoDB. The format of their items is in `items`, and that of an
account's usage in `usage`. Every commit is one conditional write.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import chain, groupby, zip_longest
from typing import TYPE_CHECKING

from chalicelib.adapters import hold_items, items, usage
from chalicelib.adapters.dynamodb import ITEMS_PER_REQUEST, ConditionFailed, Table
from chalicelib.adapters.expressions import Update
from chalicelib.adapters.items import Item
from chalicelib.adapters.sequential import Sequential
from chalicelib.domain.batch import (
    AnswersPart,
    Batch,
    Chunk,
    Due,
    Job,
    Listed,
    Marker,
    SubmissionTerms,
)
from chalicelib.domain.holds import Holds, Outage, Pause
from chalicelib.domain.limits import AccountUsage, Admission, Slot
from chalicelib.domain.transitions import Change
from chalicelib.operations.ports import Concurrent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: The conditions, in words.
_NO_LIVE_HEAD = (
    "(attribute_not_exists(#batch_id) OR #expires_at <= :now OR attribute_exists(#voided))"
)
_NOT_VOID_FOR_US = "NOT contains(#voided, :submission)"
_NUMBER_IS_FREE = "attribute_not_exists(#part)"
_STILL_DUE = "#due_at = :seen"
_NOT_DONE = "NOT contains(#done, :chunk)"
_WAITS_LESS = "(attribute_not_exists(#waits_until) OR #waits_until < :moment)"
#: The conditions of queries.
_OF_ONE_CHUNK = "#batch_id = :batch_id AND begins_with(#part, :prefix)"
_OF_CHUNKS = "#batch_id = :batch_id AND #part BETWEEN :first AND :last"
_DUE_IN_BUCKET = "#due_bucket = :bucket AND #due_at <= :now"
_OF_ACCOUNT = "#account = :account AND #created_at > :since"


class DynamoBatchStore:
    """Implements the port; see `operations.ports.BatchStore`. The parts of a large batch are stored
    concurrently."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        sleep: Callable[[float], None] = time.sleep,
        concurrent: Concurrent = Sequential(),  # noqa: B008 - it has no state
    ) -> None:
        self._table = Table(client, table, sleep)
        self._concurrent = concurrent

    def find(self, batch_id: str) -> Batch | None:
        return items.read_head(self._table.get(_head_key(batch_id)))

    def find_with_holds(self, batch_id: str, account: str) -> tuple[Batch | None, Holds]:
        found = self._by_part([_head_key(batch_id), *hold_items.keys(account)])
        return items.read_head(found.get(items.HEAD)), hold_items.read(found)

    def find_holds(self, account: str) -> Holds:
        return hold_items.read(self._by_part(hold_items.keys(account)))

    def _by_part(self, keys: Sequence[Item]) -> dict[str, Item]:
        """Return the items that exist, by their sort keys."""
        return {item["part"]["S"]: item for item in self._table.get_all(keys)}

    def find_pause(self) -> Pause | None:
        return hold_items.read_pause(self._table.get(hold_items.PAUSE_KEY))

    def begin_outage(self, account: str, outage: Outage) -> bool:
        item = hold_items.outage_item(account, outage)
        return _takes_effect(self._table.put_when, hold_items.STANDS_NO_OUTAGE, item)

    def move_outage(self, account: str, seen: Outage, later: Outage) -> bool:
        item, values = hold_items.outage_item(account, later), hold_items.seen(seen)
        return _takes_effect(self._table.put_when, hold_items.STANDS_AS_SEEN, item, **values)

    def end_outage(self, account: str, began_before: datetime) -> bool:
        key, before = hold_items.outage_key(account), items.number(began_before)
        return _takes_effect(self._table.delete_when, hold_items.BEGAN_BEFORE, key, before=before)

    def pause(self, pause: Pause | None) -> None:
        if pause is None:
            self._table.delete(hold_items.PAUSE_KEY)
        else:
            self._table.put(hold_items.pause_item(pause))

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        found = self._table.get_all([_head_key(batch_id) for batch_id in sorted(set(batch_ids))])
        return {head.batch_id: head for head in map(items.read_head, found) if head}

    def find_terms(self, batch: Batch) -> SubmissionTerms | None:
        item = self._table.get(items.key(batch.batch_id, items.terms_part(batch.submission)))
        return items.read_terms(item) if item else None

    def save_jobs(self, batch: Batch, terms: SubmissionTerms, jobs: Sequence[Job]) -> None:
        parts = [items.terms_item(batch, terms), *items.jobs_items(batch, jobs)]
        groups = range(0, len(parts), ITEMS_PER_REQUEST)
        writes = [
            partial(self._table.put_group, parts[start : start + ITEMS_PER_REQUEST])
            for start in groups
        ]
        for _ in self._concurrent.run(writes):
            pass

    def commit(self, batch: Batch, now: datetime) -> Batch | None:
        try:
            self._table.put_when(
                f"{_NO_LIVE_HEAD} AND {_NOT_VOID_FOR_US}",
                items.head_item(batch),
                now=items.number(now),
                submission={"S": batch.submission},
            )
        except ConditionFailed:
            return self.find(batch.batch_id)
        return batch

    def void(self, batch: Batch, now: datetime) -> Batch | None:
        update = (
            Update()
            .when(_NO_LIVE_HEAD, now=items.number(now))
            .add(voided={"SS": [batch.submission]})
            .set(expires_at=items.number(batch.expires_at), format={"N": str(items.FORMAT)})
            .set(submission=None, account=None, due_bucket=None, due_at=None)
        )
        try:
            self._table.update(_head_key(batch.batch_id), update)
        except ConditionFailed:
            return self.find(batch.batch_id)
        return None

    def change(self, batch: Batch, change: Change) -> Batch | None:
        return self._change_head(batch.batch_id, _update_of(change, batch.batch_id))

    def _change_head(self, batch_id: str, update: Update) -> Batch | None:
        """Return the head after the update; None if a condition failed."""
        try:
            head = self._table.update(_head_key(batch_id), update, ReturnValues="ALL_NEW")
        except ConditionFailed:
            return None
        return items.read_head(head)

    def load_chunk(self, batch: Batch, chunk: int) -> Chunk:
        prefix = items.chunk_prefix(batch.submission, chunk)
        found = self._table.query(
            _OF_ONE_CHUNK, batch_id={"S": batch.batch_id}, prefix={"S": prefix}
        )
        return items.read_chunk(batch, chunk, found)

    def record(self, batch: Batch, chunk: int, part: AnswersPart) -> bool:
        """Store a flush, and wait if large answers exceed the write capacity of the batch's
        partition. A worker that waits repeats no call, but one that gives its message back does."""
        item = items.answers_item(batch, chunk, part)
        return _takes_effect(self._table.put_patiently, _NUMBER_IS_FREE, item)

    def mark(self, batch: Batch, chunk: int, index: int, marker: Marker) -> None:
        self._table.put(items.marker_item(batch, chunk, index, marker))

    def unmark(self, batch: Batch, chunk: int, index: int) -> None:
        self._table.delete(items.key(batch.batch_id, items.marker_part(batch, chunk, index)))

    def find_due(self, now: datetime) -> Iterator[Due]:
        """Yield from each bucket in turn, so that a full one does not delay the others."""
        buckets = [self._due_in(str(bucket), now) for bucket in range(items.DUE_BUCKETS)]
        for due in chain.from_iterable(zip_longest(*buckets)):
            if due is not None:
                yield due

    def _due_in(self, bucket: str, now: datetime) -> Iterator[Due]:
        found = self._table.query(
            _DUE_IN_BUCKET, index="due", bucket={"S": bucket}, now=items.number(now)
        )
        return map(items.read_due, found)

    def reserve(self, due: Due, until: datetime) -> Batch | None:
        update = Update().when(_STILL_DUE, seen=items.number(due.due_at))
        return self._change_head(due.batch_id, update.set(due_at=items.number(until)))

    def find_of_account(
        self,
        account: str,
        since: datetime,
        *,
        after: Listed | None = None,
        limit: int | None = None,
    ) -> Iterator[Listed]:
        if after is not None and after.created_at <= since:
            return iter(())  # DynamoDB refuses a start key that its condition excludes
        found = self._table.query(
            _OF_ACCOUNT,
            index="by_account",
            newest_first=True,
            after=items.listed_key(account, after) if after else None,
            limit=limit,
            account={"S": account},
            since=items.number(since),
        )
        return map(items.read_listed, found)

    def read_chunks(self, batch: Batch, chunks: range) -> Iterator[Chunk]:
        if not chunks:
            return
        found = self._table.query(
            _OF_CHUNKS,
            batch_id={"S": batch.batch_id},
            first={"S": items.chunk_prefix(batch.submission, chunks[0])},
            last={"S": items.after_chunk(batch.submission, chunks[-1])},
        )
        expected = iter(chunks)
        for number, of_chunk in groupby(found, key=items.chunk_of):
            for missing in iter(lambda: next(expected), number):
                yield items.read_chunk(batch, missing, [])
            yield items.read_chunk(batch, number, of_chunk)
        for missing in expected:
            yield items.read_chunk(batch, missing, [])

    def admit(self, account: str, admission: Admission) -> AccountUsage:
        try:
            item = self._table.update(
                usage.key(account),
                usage.admission_of(admission),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as failed:
            return usage.read(failed.item)
        return usage.read(item)

    def undo_admission(self, account: str, admission: Admission) -> None:
        with suppress(ConditionFailed):
            self._table.update(usage.key(account), usage.undoing_of(admission))

    def vacate(self, account: str, slots: Collection[Slot]) -> None:
        self._table.update(usage.key(account), usage.vacating_of(slots))

    def reserve_pruning(self, account: str, seen: datetime | None, now: datetime) -> bool:
        pruning = usage.pruning_of(seen, now)
        return _takes_effect(self._table.update, usage.key(account), pruning)


def _takes_effect(write: Callable[..., object], *arguments: object, **values: object) -> bool:
    """Make a conditional write, and return whether its condition held."""
    try:
        write(*arguments, **values)
    except ConditionFailed:
        return False
    return True


def _head_key(batch_id: str) -> Item:
    return items.key(batch_id, items.HEAD)


def _update_of(change: Change, batch_id: str) -> Update:
    update = Update()
    update.when_equal(**items.attributes_of(change.only_if, batch_id))
    update.set(**items.attributes_of(change.put, batch_id))
    if change.wait_until is not None:
        moment = items.number(change.wait_until)
        update.when(_WAITS_LESS, moment=moment).set(waits_until=moment)
    if change.finish is not None:
        update.when(_NOT_DONE, chunk={"N": str(change.finish)})
        update.add(**_finished(change, frozenset({change.finish}), batch_id))
    if change.reopen:
        update.delete(**items.attributes_of({"done": change.reopen}, batch_id))
    return update


def _finished(change: Change, chunk: frozenset[int], batch_id: str) -> Item:
    """What a finished chunk adds to the head."""
    if change.finish_unanswered:
        added = {"done": chunk, "unanswered": chunk, "unanswered_counts": change.finish_counts}
    else:
        added = {"done": chunk, "counts": change.finish_counts}
    return items.attributes_of(added, batch_id)
