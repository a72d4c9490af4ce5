"""Detect that messages of a running batch were lost, and send them again.

Waiting is not a standstill: while a message of the batch is delayed, nothing needs to move. A
standstill may also be a backlog, in which the messages queue behind those of other batches. That is
why a check first sends a sentinel, which queues behind them too. The messages are sent again only
if nothing has moved by the time the sentinel arrives."""

from chalicelib.domain import transitions
from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import JobsMessage, Sentinel
from chalicelib.domain.retry import MAX_MESSAGE_DELAY
from chalicelib.errors import Unavailable
from chalicelib.operations.hand_over import Handover
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchChecker:
    """Checks as often as you like without harm: each check is recorded last, by one conditional
    write, and a batch waits for one sentinel only."""

    store: BatchStore
    queue: Queue
    handover: Handover
    clock: Clock
    journal: Journal

    def check(self, batch: Batch) -> None:
        """Do what is due: send the chunks the first time, and look for a standstill after that."""
        now = self.clock.now()
        if not batch.was_ever_checked:
            self._send_again("chunks sent", batch)
            self.store.change(batch, transitions.record_check(batch, now))
        elif batch.waits_until and batch.waits(now):
            self.store.change(batch, transitions.postpone_check(batch, batch.waits_until))
        else:
            self._look_for_a_standstill(batch)

    def receive(self, sentinel: Sentinel) -> None:
        """Compare the batch with what the sentinel saw when it was sent, and send the unfinished
        chunks again if nothing has moved. A redelivered sentinel does nothing."""
        try:
            self._compare(sentinel)
        except Unavailable as error:
            self.handover.sentinel_after_error(sentinel, error)

    def _look_for_a_standstill(self, batch: Batch) -> None:
        now = self.clock.now()
        needs_sentinel = batch.has_stood_still and not batch.has_sentinel(now)
        if needs_sentinel:
            sentinel = Sentinel(
                batch_id=batch.batch_id,
                account=batch.account,
                submission=batch.submission,
                round=batch.round,
                chunk=batch.chunks_to_do[0],
                sent_at=now,
                done=len(batch.done),
                answered=self._answered(batch),
                waits_until=batch.waits_until,
            )
            self.queue.send_sentinel(sentinel, MAX_MESSAGE_DELAY)
        change = transitions.record_check(batch, now, sends_sentinel=needs_sentinel)
        self.store.change(batch, change)

    def _compare(self, sentinel: Sentinel) -> None:
        batch = self.store.find(sentinel.batch_id)
        if batch is None or not sentinel.stands_in(batch):
            return
        has_moved = self._has_moved(batch, sentinel)
        if has_moved:
            self.store.change(batch, transitions.clear_sentinel(batch))
        elif rescued := self.store.change(batch, transitions.rescue(batch, self.clock.now())):
            self._send_again("chunks sent again", rescued)
            self.store.change(rescued, transitions.record_check(rescued, self.clock.now()))

    def _has_moved(self, batch: Batch, sentinel: Sentinel) -> bool:
        return (
            len(batch.done) != sentinel.done
            or batch.waits_until != sentinel.waits_until
            or self._answered(batch) != sentinel.answered
        )

    def _answered(self, batch: Batch) -> int:
        """Count the answers from the first unfinished chunk to the last one, including finished
        chunks in between."""
        to_do = batch.chunks_to_do
        chunks = self.store.read_chunks(batch, range(to_do[0], to_do[-1] + 1))
        return sum(len(chunk.answers(batch.round)) for chunk in chunks)

    def _send_again(self, event: str, batch: Batch) -> None:
        self.journal.write(
            event,
            batch_id=batch.batch_id,
            account=batch.account,
            chunks=len(batch.chunks_to_do),
        )
        self.queue.send_jobs([JobsMessage.again(batch, chunk) for chunk in batch.chunks_to_do])
