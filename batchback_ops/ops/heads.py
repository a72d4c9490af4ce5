"""Find batches that have work left, and read many heads even if one of them is damaged."""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from itertools import islice

from chalicelib.domain.batch import LONGEST_LIFE, Batch, Due
from chalicelib.errors import TooNew
from chalicelib.operations.ports import BatchStore

#: What damaged items raise when they are read. The service's own errors are none of these.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_NOT_READABLE = (*DAMAGED, TooNew)
#: Returns the head that was found, or raises one of DAMAGED.
_Check = Callable[[Batch | None], Batch | None]
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
#: Ten times the limit of a batch.
_MOST_JOBS = 100_000
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
#: Nothing is due later, because a batch lives for at most two weeks.
_FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


def find_with_work(store: BatchStore) -> Iterator[Due]:
    """The batches of all accounts that have work left, those due first at the beginning. They come
    from an index, which may lag behind."""
    return store.find_due(_FOR_EVER)


def find_due_next(store: BatchStore, now: datetime, most: int) -> list[Batch]:
    """The batches with work left that are due next, at most this many. Unreadable ones are left
    out."""
    due = islice(store.find_due(now + LONGEST_LIFE), most)
    return [*readable(store, [each.batch_id for each in due]).values()]


def find_heads(store: BatchStore, ids: Collection[str]) -> tuple[dict[str, Batch], dict[str, str]]:
    """The batches that exist and are whole, and why each of the others cannot be read. Both by
    id."""
    return _find(store, ids, whole)


def readable(store: BatchStore, ids: Collection[str]) -> dict[str, Batch]:
    """The batches that exist and can be read, by id. They need not be whole."""
    return _find(store, ids, lambda batch: batch)[0]


def _find(
    store: BatchStore, ids: Collection[str], check: _Check
) -> tuple[dict[str, Batch], dict[str, str]]:
    """Read all at once, or one by one if one of them cannot be read or fails the check."""
    try:
        found = store.find_all(ids)
        for each in found.values():
            check(each)
    except _NOT_READABLE:
        return _find_each(store, ids, check)
    return found, {}


def _find_each(
    store: BatchStore, ids: Collection[str], check: _Check
) -> tuple[dict[str, Batch], dict[str, str]]:
    found, faults = {}, {}
    for id in ids:
        try:
            if batch := check(store.find(id)):
                found[id] = batch
        except TooNew:
            faults[id] = "a later release wrote it"
        except DAMAGED:
            faults[id] = "its stored head is damaged"
    return found, faults


def whole(batch: Batch | None) -> Batch | None:
    """The same batch. Raises ValueError if it lacks something that every batch has, or has a value
    that no batch can have."""
    if batch and not is_whole(batch):
        raise ValueError(f"the head of {batch.batch_id} is damaged")
    return batch


def is_whole(batch: Batch) -> bool:
    """Whether a batch that could be read has everything that every batch has, and no value that
    no batch can have."""
    return _is_complete(batch) and _is_possible(batch)


def _is_complete(batch: Batch) -> bool:
    return None not in [getattr(batch, name) for name in _ALWAYS]


def _is_possible(batch: Batch) -> bool:
    """A wrong number could take all memory, and calculating with a wrong time could fail."""
    times = [value for name in _TIMES if (value := getattr(batch, name))]
    has_jobs = batch.chunk_size >= 1 and 1 <= batch.total <= _MOST_JOBS
    return has_jobs and all(_FIRST < time < _LAST for time in times)
