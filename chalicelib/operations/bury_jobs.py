"""Handle a dead-lettered message: find out what killed its workers, and let the other jobs go
on."""

from chalicelib.domain import outcome
from chalicelib.domain.batch import Batch, Chunk
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import MAX_RECEIVES, JobsMessage
from chalicelib.operations.ports import BatchStore, Clock, Journal
from chalicelib.operations.record_answers import AnswerRecorder

#: One death can be bad luck, so both deliveries that ran under a marker must have died.
_DEATHS_TO_BLAME = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBurier:
    """Records the failure of a job if the last two deliveries of its message died under its marker.
    For any other dead message no job is to blame, and the batch's next check sends it again."""

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
    """Whether the job was alone in the message and the last two deliveries died of it."""
    marker = chunk.markers.get(index)
    return (
        marker is not None
        and not message.is_of_several(chunk)
        and marker.receive_count >= MAX_RECEIVES
        and message.deaths_under(marker) >= _DEATHS_TO_BLAME
    )
