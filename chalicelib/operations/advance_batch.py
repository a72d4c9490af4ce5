"""Check one batch and do whatever is due. Repeated checks do no harm."""

from collections.abc import Callable

from chalicelib.domain import outcome
from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import BatchMessage
from chalicelib.errors import Unavailable
from chalicelib.operations.check_batch import BatchChecker
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.hand_over import Handover
from chalicelib.operations.ports import BatchStore, Clock, Queue
from chalicelib.operations.record_answers import AnswerRecorder

#: Time kept back to hand a batch on to the next function.
_SECONDS_TO_HAND_ON = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAdvancer:
    """Ends a batch that was cancelled, was stopped or is past its deadline; sends what was not
    sent; completes and announces what a worker left behind when it died.

    Each step is one conditional write, so only one of two concurrent checks takes it. After an
    error the batch is retried by message, and finally by its due time."""

    store: BatchStore
    queue: Queue
    recorder: AnswerRecorder
    completion: BatchCompletion
    checker: BatchChecker
    handover: Handover
    clock: Clock

    def advance_batch(self, message: BatchMessage, seconds_left: Callable[[], float]) -> None:
        try:
            self._advance_batch(message, seconds_left)
        except Unavailable as error:
            self.handover.batch_after_error(message, error, self.queue.send_batch)

    def _advance_batch(self, message: BatchMessage, seconds_left: Callable[[], float]) -> None:
        batch = self.store.find(message.batch_id)
        now = self.clock.now()
        if batch is None or batch.is_expired(now):
            return
        if batch.is_completed:
            self.completion.announce_if_due(batch)
        elif batch.has_all_chunks_done:
            self.completion.complete(batch)
        elif batch.waits_for_its_workers(now):
            return
        elif batch.is_to_be_ended(now):
            self._answer_the_rest(batch, message, seconds_left)
        elif batch.is_check_due(now):
            self.checker.check(batch)

    def _answer_the_rest(
        self, batch: Batch, message: BatchMessage, seconds_left: Callable[[], float]
    ) -> None:
        """Give every job without an answer the answer that replaces its call. Hand on the jobs for
        which there is no time."""
        answer = outcome.instead_of_a_call(batch)
        for number in batch.chunks_to_do:
            if seconds_left() < _SECONDS_TO_HAND_ON:
                self.queue.send_batch(message.handed_on())
                return
            chunk = self.store.load_chunk(batch, number)
            chunk = self.recorder.record_answers(
                batch, chunk, dict.fromkeys(chunk.missing(batch.round), answer)
            )
            self.recorder.finish_if_full(batch, chunk)
