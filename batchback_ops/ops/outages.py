"""The accounts whose platform is down."""

from collections.abc import Iterator
from datetime import datetime

from batchback_ops.ops.heads import find_due_next
from chalicelib.domain.holds import Outage
from chalicelib.operations.ports import BatchStore

#: The accounts of this many batches are checked: those that are due next, in one request.
BATCHES = 100


def outages(store: BatchStore, now: datetime) -> Iterator[tuple[str, Outage]]:
    """The outages of accounts with open batches, by account."""
    batches = find_due_next(store, now, BATCHES)
    for account in sorted({batch.account for batch in batches if batch.account}):
        if outage := store.find_holds(account).outage:
            yield account, outage
