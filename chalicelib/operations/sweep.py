"""Every minute: reserve the batches that are due, and have each checked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain import transitions
from chalicelib.domain.batch import Due
from chalicelib.domain.message import BatchMessage
from chalicelib.errors import Unavailable
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue

#: What a sweep keeps of its time; what it leaves, the next one finds.
_SECONDS_TO_END = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Reserves before it does anything else, so that a batch that cannot be checked comes again in
    five minutes and keeps nobody waiting."""

    store: BatchStore
    queue: Queue
    clock: Clock
    journal: Journal

    def sweep(self, seconds_left: Callable[[], float]) -> None:
        for due in self.store.find_due(self.clock.now()):
            if seconds_left() < _SECONDS_TO_END:
                return
            try:
                self._wake(due)
            except Unavailable as error:
                self.journal.write("sweep failed", batch_id=due.batch_id, error=str(error))

    def _wake(self, due: Due) -> None:
        now = self.clock.now()
        batch = self.store.reserve(due, now + transitions.RESERVATION)
        if batch is None:
            return
        if batch.is_expired(now):
            self.store.change(batch, transitions.clear_due(batch))
            return
        self.queue.send_batch(BatchMessage.of(batch))
        self.journal.write(
            "batch swept",
            batch_id=batch.batch_id,
            account=batch.account,
            late_ms=round((now - due.due_at) / timedelta(milliseconds=1)),
            open_seconds=round((now - batch.created_at).total_seconds())
            if batch.is_running
            else None,
        )
