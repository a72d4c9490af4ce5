"""The heads of many batches, read together even if one of them is damaged."""

from collections.abc import Collection

from chalicelib.domain.batch import Batch
from chalicelib.errors import TooNew
from chalicelib.operations.ports import BatchStore

#: What damaged items raise when they are read. The service's own errors are none of these.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
_NOT_READABLE = (*DAMAGED, TooNew)


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
