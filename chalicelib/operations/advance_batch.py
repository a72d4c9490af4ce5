"""Check one batch and do whatever is due. Any number of checks does no harm."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain import outcome, transitions
from chalicelib.domain.batch import Batch
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.operations.admit_batch import BatchAdmission
from chalicelib.operations.deliver_callback import CallbackDelivery
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue
from chalicelib.operations.record_answers import AnswerRecorder

#: What is kept of the function's time to hand a batch on to the next one.
_SECONDS_TO_HAND_ON = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAdvancer:
    """Sends what was not sent, completes what is done, calls back what is completed. Each step is
    one conditional write, so that of two that check at once one does it."""

    store: BatchStore
    queue: Queue
    recorder: AnswerRecorder
    clock: Clock
    journal: Journal
    admission: BatchAdmission
    delivery: CallbackDelivery

    def advance_batch(self, message: BatchMessage, seconds_left: Callable[[], float]) -> None:
        batch = self.store.find(message.batch_id)
        if batch is None or batch.is_expired(self.clock.now()):
            return
        if batch.is_running:
            batch = self._advance(batch, message, seconds_left)
        if batch.may_deliver(self.clock.now()):
            self.delivery.attempt(batch, seconds_left)

    def _advance(
        self, batch: Batch, message: BatchMessage, seconds_left: Callable[[], float]
    ) -> Batch:
        is_to_be_ended = batch.is_to_be_ended(self.clock.now())
        if is_to_be_ended and batch.chunks_to_do:
            batch = self._answer_the_rest(batch, message, seconds_left)
        if batch.has_all_chunks_done:
            return self._complete(batch)
        if not is_to_be_ended and batch.is_check_due(self.clock.now()):
            self._check(batch)
        return batch

    def _answer_the_rest(
        self, batch: Batch, message: BatchMessage, seconds_left: Callable[[], float]
    ) -> Batch:
        """Gives every job without an answer the one it gets instead of a call; what there is no
        time for is handed on. The batch as it is then."""
        answer = outcome.cancelled() if batch.cancelled else outcome.past_deadline()
        for number in batch.chunks_to_do:
            if seconds_left() < _SECONDS_TO_HAND_ON:
                self._hand_on(message)
                break
            chunk = self.store.load_chunk(batch, number)
            chunk = self.recorder.record_answers(
                batch, chunk, dict.fromkeys(chunk.missing(batch.round), answer)
            )
            self.recorder.finish_if_full(batch, chunk)
        return self.store.find(batch.batch_id) or batch

    def _hand_on(self, message: BatchMessage) -> None:
        following = message.handed_on()
        if following.may_be_sent:
            self.queue.send_batch(following)

    def _complete(self, batch: Batch) -> Batch:
        now = self.clock.now()
        completed = self.store.change(batch, transitions.complete(batch, now))
        if completed is None:
            return self.store.find(batch.batch_id) or batch
        self.journal.write(
            "batch completed",
            batch_id=batch.batch_id,
            account=batch.account,
            round=batch.round,
            succeeded=completed.answered.succeeded,
            failed=completed.answered.failed,
            took_ms=round((now - batch.created_at) / timedelta(milliseconds=1)),
        )
        self.admission.leave(completed)
        return completed

    def _check(self, batch: Batch) -> None:
        """Sends the unfinished chunks again if nothing moved; the check is recorded last."""
        if batch.has_stood_still:
            self.journal.write(
                "chunks sent again",
                batch_id=batch.batch_id,
                account=batch.account,
                chunks=len(batch.chunks_to_do),
            )
            self.queue.send_jobs([JobsMessage.of(batch, chunk) for chunk in batch.chunks_to_do])
        self.store.change(batch, transitions.record_check(batch, self.clock.now()))
