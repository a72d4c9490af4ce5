"""End a round: complete the batch, free its slot and announce its callback. A round ends early if
too many jobs failed."""

import math
from datetime import timedelta

from chalicelib.domain import retry, transitions
from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import BatchMessage
from chalicelib.operations.admit_batch import BatchAdmission
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue
from chalicelib.operations.sent_later import sent_later


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCompletion:
    """Completes a batch once, no matter how many workers find the last chunk finished. Several of
    them may announce its callback."""

    store: BatchStore
    queue: Queue
    admission: BatchAdmission
    clock: Clock
    journal: Journal

    def complete(self, batch: Batch) -> None:
        """Complete a batch whose chunks are all done, and announce its callback.

        If the batch is cancelled or stopped in the meantime, it is completed as such. If the batch
        turns out to be completed already, perhaps by our own write whose answer was lost, the
        remaining steps still follow."""
        standing: Batch | None = batch
        while standing and standing.is_running and standing.has_all_chunks_done:
            change = transitions.complete(standing, self.clock.now())
            if completed := self.store.change(standing, change):
                self._tell(completed)
                self.admission.leave(completed)
                self.announce(completed)
                return
            standing = self.store.find(batch.batch_id)
        if standing and standing.is_completed and standing.round == batch.round:
            self.admission.leave(standing)
            self.announce_if_due(standing)

    def stop_if_too_many_failed(self, batch: Batch, elsewhere: int = 0) -> None:
        """Stop a batch if more of its jobs have failed than are allowed, counting those in finished
        chunks and `elsewhere`.

        Several workers may notice this, each of them more than once. If the message is lost, the
        due time that the same write sets ends the batch."""
        now = self.clock.now()
        if not batch.is_running or batch.is_to_be_ended(now):
            return
        if not batch.has_failed_too_often(elsewhere):
            return
        if self.store.change(batch, transitions.stop(batch, now)):
            self.journal.write("batch stopped", batch_id=batch.batch_id, account=batch.account)
            with sent_later(batch, self.journal):
                self.queue.send_batch(BatchMessage.of(batch), transitions.WORKERS_END.seconds)

    def announce(self, batch: Batch) -> None:
        """Send the callback's message if a callback is to come, unless its time is so far off that
        the sweep sends it."""
        if not batch.has_callback_to_come or batch.next_try_at is None:
            return
        wait = math.ceil(max(0.0, (batch.next_try_at - self.clock.now()).total_seconds()))
        if wait <= retry.MAX_MESSAGE_DELAY:
            self.queue.send_callback(BatchMessage.of(batch), wait)

    def announce_if_due(self, batch: Batch) -> None:
        """Announce the callback if its time has come and no worker is delivering it. For callers
        that cannot know whether it was announced."""
        if batch.may_deliver(self.clock.now()):
            self.announce(batch)

    def _tell(self, completed: Batch) -> None:
        took = self.clock.now() - completed.created_at
        self.journal.write(
            "batch completed",
            batch_id=completed.batch_id,
            account=completed.account,
            round=completed.round,
            succeeded=completed.answered.succeeded,
            failed=completed.answered.failed,
            took_ms=round(took / timedelta(milliseconds=1)),
        )
