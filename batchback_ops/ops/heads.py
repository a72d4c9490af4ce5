"""The batches that have work left, and the heads of many batches, read even if one is damaged."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from itertools import islice

from chalicelib.domain.batch import LONGEST_LIFE, Batch, Due
from chalicelib.errors import TooNew
from chalicelib.operations.ports import BatchStore

#: What damaged items raise when they are read. The service's own errors are none of these.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_NOT_READABLE = (*DAMAGED, TooNew)
#: What every head has. If it is missing, it is read as None.
_ALWAYS = (
    *("batch_id", "submission", "account", "key"),
    *("created_at", "round_began_at", "deadline", "expires_at"),
)
#: Every time that a head may have.
_TIMES = (
    *("created_at", "round_began_at", "deadline", "expires_at", "completed_at", "next_check_at"),
    *("checked_at", "waits_until", "sentinel_at", "next_try_at", "lease_ends_at", "due_at"),
)
#: Ten times as many as a batch may have.
_MOST_JOBS = 100_000
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
#: Nothing is due later, because a batch lives for at most two weeks.
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


def find_with_work(store: BatchStore) -> Iterator[Due]:
    """The batches of all accounts that have work left, those that are due first before the others.
    They come from an index, which may lag behind."""
    return store.find_due(_FOR_EVER)


def find_due_next(store: BatchStore, now: datetime, most: int) -> list[Batch]:
    """The batches with work left that are due next, at most so many, as far as they can be read."""
    due = islice(store.find_due(now + LONGEST_LIFE), most)
    return [*readable(store, [each.batch_id for each in due]).values()]


def readable(store: BatchStore, ids: Collection[str]) -> dict[str, Batch]:
    """Those of the batches that exist and can be read, by id."""
    try:
        return store.find_all(ids)
    except _NOT_READABLE:
        return {id: batch for id in ids if (batch := _readable(store, id))}


def _readable(store: BatchStore, id: str) -> Batch | None:
    try:
        return store.find(id)
    except _NOT_READABLE:
        return None


def whole(batch: Batch | None) -> Batch | None:
    """The same batch. Raises one of DAMAGED if it lacks what every batch has, or has what none
    can have."""
    if batch and not is_whole(batch):
        raise ValueError(f"the head of {batch.batch_id} is damaged")
    return batch


def is_whole(batch: Batch) -> bool:
    """Whether a batch that could be read has what every batch has, and nothing that none can
    have."""
    return _is_complete(batch) and _is_possible(batch)


def _is_complete(batch: Batch) -> bool:
    return None not in [getattr(batch, name) for name in _ALWAYS]


def _is_possible(batch: Batch) -> bool:
    """Otherwise a wrong number would take all memory, or a wrong time could not be counted on."""
    times = [value for name in _TIMES if (value := getattr(batch, name))]
    has_jobs = batch.chunk_size >= 1 and 1 <= batch.total <= _MOST_JOBS
    return has_jobs and all(_FIRST < time < _LAST for time in times)
