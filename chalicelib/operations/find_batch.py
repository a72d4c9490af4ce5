"""Find a caller's batch, or raise the error that the caller gets."""

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
    """Return the batch if it has not expired and is the caller's own. Another account's batch gets
    the same answer as one that does not exist."""
    batch = store.find(batch_id)
    if batch is None or not batch.is_seen_by(caller.account, now):
        raise not_found
    return batch
