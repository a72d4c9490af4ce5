"""Progress and results, only for the account that owns the batch."""

from collections.abc import Iterable, Iterator, Mapping

from chalicelib.domain import results
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.holds import Hold
from chalicelib.domain.results import Page, Result, View
from chalicelib.errors import NotCompleted, ResultsNotFound, TooLarge
from chalicelib.operations.find_batch import find_batch
from chalicelib.operations.ports import BatchStore, Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReader:
    """Reads batches without changing anything."""

    store: BatchStore
    clock: Clock

    def progress(self, caller: Caller, batch_id: str) -> Batch:
        """Return the batch's head. Raises BatchNotFound if the batch is not the caller's."""
        return find_batch(self.store, caller, batch_id, self.clock.now())

    def metadata(self, batch: Batch) -> Mapping[str, str] | None:
        """Return the caller's own metadata. It is read only if the head says that there is any."""
        terms = self.store.find_terms(batch) if batch.has_metadata else None
        return (terms.metadata or None) if terms else None

    def hold(self, batch: Batch) -> Hold | None:
        """Return what is holding up the batch's jobs. It is read only if the head says that they
        are waiting."""
        now = self.clock.now()
        if not batch.is_running or batch.is_to_be_ended(now) or not batch.waits(now):
            return None
        return self.store.find_holds(batch.account).hold(now)

    def results(
        self, caller: Caller, batch_id: str, *, page: Page | None, view: View = results.PLAIN
    ) -> bytes:
        """Return the answer's body, with all results shown or with a page of them."""
        batch = find_batch(self.store, caller, batch_id, self.clock.now(), ResultsNotFound)
        if not batch.is_completed and not view.partial:
            raise NotCompleted
        return self._whole(batch, view) if page is None else self._page(batch, page, view)

    def _whole(self, batch: Batch, view: View) -> bytes:
        """Return all results or raise TooLarge, never a part that could be mistaken for the whole.
        If the size is known to be too large, nothing is read."""
        size = results.whole_size_bytes(batch)
        if size > results.MAX_PAGE_BYTES and view.is_weighed:
            raise _too_large(f" are {size} bytes and")
        taken, stopped_at = results.fitting(self._results(batch, batch.chunks, view))
        if stopped_at is not None:
            shown = sum(len(result.text.encode()) for result in taken)
            raise _too_large("" if view.only else f" are more than {shown} bytes and")
        return _body(batch, taken, {})

    def _page(self, batch: Batch, page: Page, view: View) -> bytes:
        found = self._results(batch, batch.chunks_of(page.places), view)
        on_page = (result for result in found if result.index in page.places)
        taken, stopped_at = results.fitting(on_page)
        following = results.next_start(batch, page, stopped_at)
        meta = results.meta(total=batch.total, page=page, count=len(taken), following=following)
        return _body(batch, taken, {"meta": meta})

    def _results(self, batch: Batch, chunks: range, view: View) -> Iterator[Result]:
        for chunk in self.store.read_chunks(batch, chunks):
            yield from results.results_of(chunk, batch.round, view)


def _body(batch: Batch, taken: Iterable[Result], more: Mapping[str, object]) -> bytes:
    return b"".join(results.pieces(batch.batch_id, (result.text for result in taken), more))


def _too_large(size: str) -> TooLarge:
    return TooLarge(
        f"The results{size} do not fit one answer: page through them with 'start' and 'perPage'"
    )
