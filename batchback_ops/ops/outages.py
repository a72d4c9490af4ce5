"""The accounts whose platform is down."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from batchback_ops.ops.heads import readable
from chalicelib.domain.batch import LONGEST_LIFE
from chalicelib.domain.holds import Outage
from chalicelib.operations.ports import BatchStore

#: The accounts of this many batches are checked: those that are due next, in one request.
BATCHES = 100


def outages(store: BatchStore, now: datetime) -> Iterator[tuple[str, Outage]]:
    """Those of the accounts with open batches."""
    due = islice(store.find_due(now + LONGEST_LIFE), BATCHES)
    batches = readable(store, [each.batch_id for each in due]).values()
    for account in sorted({batch.account for batch in batches if batch.account}):
        if outage := store.find_holds(account).outage:
            yield account, outage
