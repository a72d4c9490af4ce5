"""A message that came back each time: find out what killed its workers, and let the rest go on."""

from dataclasses import dataclass

from chalicelib.domain import outcome
from chalicelib.domain.batch import Batch, Chunk
from chalicelib.domain.message import MAX_RECEIVES, JobsMessage
from chalicelib.operations.ports import BatchStore, Clock, Journal
from chalicelib.operations.record_answers import AnswerRecorder

#: One death can be bad luck: the two deliveries that ran under a marker must both have died.
_DEATHS_TO_BLAME = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBurier:
    """A job under whose marker the message's last two deliveries died gets its failure. Any other
    dead message was not a job's fault, and is left to the next check."""

    store: BatchStore
    recorder: AnswerRecorder
    clock: Clock
    journal: Journal

    def bury_jobs(self, message: JobsMessage) -> None:
        batch = self.store.find(message.batch_id)
        if batch is None or not message.concerns(batch, self.clock.now()):
            return
        chunk = self.store.load_chunk(batch, message.chunk)
        killers = [index for index in message.missing(chunk) if _killed(message, chunk, index)]
        for index in killers:
            chunk = self._bury(batch, chunk, index)
        if not killers:
            self.journal.write(
                "dead message", batch_id=batch.batch_id, account=batch.account, chunk=chunk.number
            )
        self.recorder.finish_if_full(batch, chunk)

    def _bury(self, batch: Batch, chunk: Chunk, index: int) -> Chunk:
        chunk = self.recorder.record_answers(batch, chunk, {index: outcome.worker_died()})
        self.store.unmark(batch, chunk.number, index)
        self.journal.write(
            "job buried", batch_id=batch.batch_id, account=batch.account, index=index
        )
        return chunk


def _killed(message: JobsMessage, chunk: Chunk, index: int) -> bool:
    """Whether the job had the message to itself, and the last two deliveries died of it."""
    marker = chunk.markers.get(index)
    return (
        marker is not None
        and not message.is_of_several(chunk)
        and marker.receive_count >= MAX_RECEIVES
        and message.deaths_under(marker) >= _DEATHS_TO_BLAME
    )
