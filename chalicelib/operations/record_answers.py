"""Record answers in a chunk, and a full chunk in its batch.

Everything here can be repeated, or stop at any point and be repeated. Each answer is still recorded
once, because a flush gets the next free number only from a worker that has read all flushes before
it."""

from collections.abc import Mapping

from chalicelib.domain import packing, transitions
from chalicelib.domain.batch import Answer, AnswersPart, Batch, Chunk
from chalicelib.domain.dataclass import dataclass
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.ports import BatchStore


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRecorder:
    """Records one answer per job and round: the first."""

    store: BatchStore
    completion: BatchCompletion

    def record_answers(self, batch: Batch, chunk: Chunk, answers: Mapping[int, Answer]) -> Chunk:
        """Record the answers, and return the chunk with them. Drops the answers of jobs that
        already have one."""
        for group in packing.fitting(answers):
            chunk = self._flush(batch, chunk, group)
        return chunk

    def finish_if_full(self, batch: Batch, chunk: Chunk) -> None:
        """Mark a full chunk as done, and complete the batch if it was the last.

        A chunk that is marked already gets the same treatment, so that the last step cannot be
        lost. Full or not, the batch is stopped if too many jobs failed."""
        if chunk.missing(batch.round):
            failed = len(chunk.failed(batch.round))
            self.completion.stop_if_too_many_failed(batch, failed)
            return
        after = self.store.change(batch, transitions.finish_chunk(batch, chunk))
        after = after or self.store.find(batch.batch_id)
        if after and after.has_all_chunks_done:
            self.completion.complete(after)
        elif after:
            self.completion.stop_if_too_many_failed(after)

    def _flush(self, batch: Batch, chunk: Chunk, answers: Mapping[int, Answer]) -> Chunk:
        """Record what has no answer yet under the next free number. If the number is taken, read
        what was recorded there and try the next one. Each failed try means that another worker made
        progress."""
        while missing := [index for index in chunk.missing(batch.round) if index in answers]:
            part = AnswersPart(
                round=batch.round,
                number=chunk.next_number(batch.round),
                answers={index: answers[index] for index in missing},
            )
            if self.store.record(batch, chunk.number, part):
                return chunk.with_part(part)
            chunk = self.store.load_chunk(batch, chunk.number)
        return chunk
