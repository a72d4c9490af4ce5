"""Read the terms and the chunks of a batch, even if some of them are damaged."""

from collections.abc import Iterator

from batchback_ops.ops.heads import DAMAGED
from chalicelib.domain.batch import Batch, Chunk, SubmissionTerms
from chalicelib.operations.ports import BatchStore


def find_terms(store: BatchStore, batch: Batch) -> SubmissionTerms | None:
    """The terms of a batch, or None if they are missing or damaged."""
    try:
        return store.find_terms(batch)
    except DAMAGED:
        return None


def read_chunks(store: BatchStore, batch: Batch, chunks: range) -> Iterator[Chunk]:
    """Yield consecutive chunks. A damaged one has no jobs and no answers."""
    following = chunks.start
    while following < chunks.stop:
        try:
            for chunk in store.read_chunks(batch, range(following, chunks.stop)):
                following = chunk.number + 1
                yield chunk
        except DAMAGED:
            yield Chunk(number=following, indexes=batch.indexes(following), jobs=None)
            following += 1
