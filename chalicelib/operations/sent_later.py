"""Leave what cannot be sent now to the batch's next check."""

from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.domain.batch import Batch
from chalicelib.errors import Unavailable
from chalicelib.operations.ports import Journal


@contextmanager
def sent_later(batch: Batch, journal: Journal) -> Iterator[None]:
    """Swallow a failure of the queue or the database: the batch is already safe. Logs that its
    messages will come later."""
    try:
        yield
    except Unavailable as error:
        journal.write(
            "batch not sent yet",
            batch_id=batch.batch_id,
            account=batch.account,
            error=str(error),
        )
