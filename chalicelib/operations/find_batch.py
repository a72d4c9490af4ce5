"""A caller's batch, or what the caller is told if there is none."""

from datetime import datetime

from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Batch
from chalicelib.errors import BatchNotFound
from chalicelib.operations.ports import BatchStore


def find_batch(
    store: BatchStore,
    caller: Caller,
    batch_id: str,
    now: datetime,
    not_found: type[BatchNotFound] = BatchNotFound,
) -> Batch:
    """The batch, if it lives and is the caller's own. Another account's is answered like one that
    does not exist."""
    batch = store.find(batch_id)
    if batch is None or not batch.is_seen_by(caller.account, now):
        raise not_found
    return batch
