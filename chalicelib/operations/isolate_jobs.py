"""Keep a job that kills its workers away from all others.

A message that was received before had a worker that died. If it is of several jobs it is split, so
that the killer is alone the next time. If it is of one, that job runs under a marker, from which
`bury_jobs` can tell that the job is to blame.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from chalicelib.domain.batch import Marker
from chalicelib.errors import Misconfigured, Unavailable
from chalicelib.operations.ports import BatchStore, Journal, Queue
from chalicelib.operations.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class JobIsolation:
    """For messages that were received before."""

    store: BatchStore
    queue: Queue
    journal: Journal

    def check_the_table(self, work: Work) -> None:
        """For a message that met errors: make sure that its answers can be recorded before anybody
        is called. A marker is a good write for that. Raises Unavailable if they cannot."""
        if work.message.errors:
            index = min(work.open)
            self._mark(work, index)
            self._unmark(work, index)

    def split(self, work: Work) -> None:
        """Each of its jobs goes on in a message of its own."""
        self.queue.send_jobs([work.message.handed_on([index]) for index in work.open])
        self.journal.write(
            "message split",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            jobs=len(work.open),
        )
        work.close(work.open)

    def run_under_marker(self, work: Work, answer: Callable[[Work], None]) -> None:
        """Have the one job of a message answered. What fails meanwhile is not the job's fault, and
        the marker goes; a death leaves it. Where it cannot be removed it names a message that is
        carried on by another one, and so blames nobody. Only if database and queue fail in the same
        moment does it stand as if the worker had died."""
        [index] = work.open
        self._mark(work, index)
        try:
            answer(work)
        except (Unavailable, Misconfigured):
            self._unmark_if_possible(work, index)
            raise
        self._unmark_if_possible(work, index)

    def _mark(self, work: Work, index: int) -> None:
        marker = Marker(
            round=work.batch.round,
            hops=work.message.hops,
            receive_count=work.receive_count,
            deaths=work.message.deaths_under(work.chunk.markers.get(index)),
        )
        self.store.mark(work.batch, work.chunk.number, index, marker)

    def _unmark_if_possible(self, work: Work, index: int) -> None:
        with suppress(Unavailable):
            self._unmark(work, index)

    def _unmark(self, work: Work, index: int) -> None:
        self.store.unmark(work.batch, work.chunk.number, index)
