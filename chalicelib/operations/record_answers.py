"""Recording: answers into a chunk, a full chunk among the finished ones. Shared by all who answer.

Everything here may happen twice, or stop anywhere and happen again. What is recorded is recorded
once, because a flush is put under the next free number, by someone who has read all before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.domain import packing, transitions
from chalicelib.domain.batch import Answer, AnswersPart, Batch, Chunk
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.ports import BatchStore


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRecorder:
    """Each job gets one answer in each round: the first recorded."""

    store: BatchStore
    completion: BatchCompletion

    def record_answers(self, batch: Batch, chunk: Chunk, answers: Mapping[int, Answer]) -> Chunk:
        """The chunk after the answers; those of jobs that had one already are dropped."""
        for group in packing.fitting(answers):
            chunk = self._flush(batch, chunk, group)
        return chunk

    def finish_if_full(self, batch: Batch, chunk: Chunk) -> None:
        """Puts a full chunk among the finished ones, and completes the batch if it is the last;
        also if it was put there before, so that the last step cannot be lost. Full or not, if too
        many jobs failed the batch is stopped."""
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
        """Records what has no answer yet under the next free number. Whoever finds the number
        taken reads what was recorded there, and tries the next: somebody got on each time."""
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
