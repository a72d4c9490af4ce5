"""Keep a job that kills its workers away from all others.

If a message was received before, its worker died. A message of several jobs is split, so that the
killer is alone next time. The job of a single-job message runs under a marker, which tells
`bury_jobs` that the job is to blame."""

from collections.abc import Callable
from contextlib import suppress

from chalicelib.domain.batch import Marker
from chalicelib.domain.dataclass import dataclass
from chalicelib.errors import Misconfigured, Unavailable
from chalicelib.operations.ports import BatchStore, Journal, Queue
from chalicelib.operations.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class JobIsolation:
    """Handles messages that were received before."""

    store: BatchStore
    queue: Queue
    journal: Journal

    def check_the_table(self, work: Work) -> None:
        """Check that answers can be recorded before the jobs of a message that met errors are
        called. Writing a marker shows it. Raises Unavailable if they cannot be recorded."""
        if work.message.errors:
            index = min(work.open)
            self._mark(work, index)
            self._unmark(work, index)

    def split(self, work: Work) -> None:
        """Send each job on in a message of its own."""
        self.queue.send_jobs([work.message.handed_on([index]) for index in work.open])
        self.journal.write(
            "message split",
            batch_id=work.batch.batch_id,
            account=work.batch.account,
            jobs=len(work.open),
        )
        work.close(work.open)

    def run_under_marker(self, work: Work, answer: Callable[[Work], None]) -> None:
        """Get the message's only job answered under a marker.

        A death leaves the marker; an error does not, because the job is not to blame for it. If the
        marker cannot be removed after an error, it blames nobody, because it names a message that
        another one carries on. Only if the database and the queue fail at the same moment does the
        marker stay as if the worker had died."""
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
