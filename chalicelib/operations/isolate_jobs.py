"""Keep a job that kills its workers away from all others.

A message that was received before had a worker that died. If it is of several jobs it is split, so
that the killer is alone the next time. If it is of one, that job runs under a marker, from which
`bury_jobs` can tell that the job is to blame.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.batch import Chunk, Marker
from chalicelib.domain.message import sendable
from chalicelib.errors import Unavailable
from chalicelib.operations.ports import BatchStore, Journal, Queue
from chalicelib.operations.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class JobIsolation:
    """For messages that were received before."""

    store: BatchStore
    queue: Queue
    journal: Journal

    def isolate(self, work: Work, answer: Callable[[Work], Chunk]) -> Chunk:
        """Split a message of several jobs, or have the one job of it answered under its marker.
        Return the chunk as it is then."""
        if work.message.is_of_several(work.chunk):
            self._split(work)
            return work.chunk
        return self._under_marker(work, answer)

    def _split(self, work: Work) -> None:
        self.queue.send_jobs(sendable(work.message.handed_on([index]) for index in work.missing))
        self.journal.write(
            "message split",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            jobs=len(work.missing),
        )

    def _under_marker(self, work: Work, answer: Callable[[Work], Chunk]) -> Chunk:
        """A database or a queue that fails meanwhile is not the job's fault. Only if both fail in
        the same moment does the marker stand as if the worker had died."""
        [index] = work.missing
        try:
            self.store.mark(work.batch, work.chunk.number, index, _marker(work, index))
            chunk = answer(work)
            self.store.unmark(work.batch, work.chunk.number, index)
        except Unavailable:
            self._begin_anew(work, index)
            return work.chunk
        return chunk

    def _begin_anew(self, work: Work, index: int) -> None:
        """A new message, of which the marker does not speak; or the old one without its marker."""
        try:
            self.queue.send_jobs(sendable([work.message.handed_on([index])]))
        except Unavailable:
            self.store.unmark(work.batch, work.chunk.number, index)
            raise


def _marker(work: Work, index: int) -> Marker:
    return Marker(
        round=work.batch.round,
        hops=work.message.hops,
        receive_count=work.receive_count,
        deaths=work.message.deaths_under(work.chunk.markers.get(index)),
    )
