"""Every minute, reserve the batches that are due and have each one checked or called back."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import islice

from chalicelib.domain import transitions
from chalicelib.domain.batch import Due
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import BatchMessage
from chalicelib.errors import Unavailable
from chalicelib.operations.ports import BatchStore, Clock, Concurrent, Journal, Queue

#: Time that a sweep keeps back. Batches that it leaves are found by the next sweep.
_SECONDS_TO_END = 10
#: How many batches are handled before the sweep checks the time again.
_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Reserves batches before doing anything else, so that a batch whose message cannot be sent
    is found again in 15 minutes and delays no other. Handles several batches concurrently."""

    store: BatchStore
    queue: Queue
    concurrent: Concurrent
    clock: Clock
    journal: Journal

    def sweep(self, seconds_left: Callable[[], float]) -> None:
        found = self.store.find_due(self.clock.now())
        while seconds_left() >= _SECONDS_TO_END:
            calls = [partial(self._wake_if_possible, due) for due in islice(found, _AT_ONCE)]
            if not calls:
                return
            for _ in self.concurrent.run(calls):
                pass

    def _wake_if_possible(self, due: Due) -> None:
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
        if batch.is_running:
            self.queue.send_batch(BatchMessage.of(batch))
        else:
            self.queue.send_callback(BatchMessage.of(batch))
        self.journal.write(
            "batch swept",
            batch_id=batch.batch_id,
            account=batch.account,
            late_ms=round((now - due.due_at) / timedelta(milliseconds=1)),
            open_seconds=round((now - batch.created_at).total_seconds())
            if batch.is_running
            else None,
        )
