"""List an account's own batches page by page, newest first. A page costs the same however many
batches the account has: one request for ids, and one per hundred heads read.

The index that holds the ids knows when a batch was created, but not when it expires, and may keep
it for days after that. It does not know labels either: to find one, heads are read until a page is
full, but no more than EXAMINED."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.account import Caller
from chalicelib.domain.batch import LONGEST_LIFE, Batch, Listed
from chalicelib.domain.cursor import Cursor
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.results import Page
from chalicelib.errors import ParameterInvalid
from chalicelib.operations.ports import BatchStore, Clock

#: Batches are counted up to this number. Beyond it, only a cursor leads to the next page.
COUNTED = 1_000
#: How many batches a page examines for a label.
EXAMINED = 1_000
#: How many heads one request reads.
_HEADS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of an account's batches."""

    batches: Sequence[Batch]
    #: How many batches came before.
    start: int
    #: How many batches there are in all. None if there are more than COUNTED, or if a label was
    #: given.
    total: int | None
    #: Where the next page begins. None if this is the last page.
    following: Cursor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLister:
    """Lists batches without changing anything. Never lists or counts another account's batches."""

    store: BatchStore
    clock: Clock
    #: How long a batch that is submitted now will live.
    expiry: timedelta

    def list_from(self, caller: Caller, page: Page, label: str | None = None) -> Listing:
        """Return a page counted from the newest batch.

        Raises ParameterInvalid if the page begins beyond COUNTED and there are more batches than
        that, or if a label is given and the page does not begin at the newest batch."""
        if label is not None:
            if page.start:
                raise ParameterInvalid(
                    "start", ["with 'label', pass the 'next' of the page before"]
                )
            return self._labelled(caller, label, page.per_page)
        now = self.clock.now()
        limit = max(COUNTED, min(page.start, COUNTED) + page.per_page) + 1
        listed = self._listed(caller, now, limit)
        lasting = self._lasting(listed, now)
        total = len(lasting) if len(lasting) <= COUNTED else None
        if total is None and page.start > COUNTED:
            raise ParameterInvalid(
                "start", [f"beyond {COUNTED}, pass the 'next' of the page before"]
            )
        on_page = lasting[page.places.start : page.places.stop]
        following = None
        if len(lasting) > page.places.stop:
            following = Cursor(after=on_page[-1], start=page.places.stop, total=total)
        elif len(listed) == limit:
            following = Cursor(after=listed[-1], start=len(lasting), total=total)
        return Listing(
            batches=self._seen(on_page, caller, now),
            start=page.start,
            total=total,
            following=following,
        )

    def list_after(
        self, caller: Caller, cursor: Cursor, per_page: int, label: str | None = None
    ) -> Listing:
        """Return the page that a cursor leads to. Batches submitted since then come before it.
        Expired batches are left out, so a page may be short or even empty without being the
        last."""
        if label is not None:
            return self._labelled(caller, label, per_page, cursor)
        now = self.clock.now()
        listed = self._listed(caller, now, per_page + 1, cursor.after)
        on_page = listed[:per_page]
        batches = self._seen(on_page, caller, now)
        following = None
        if len(listed) > per_page:
            following = replace(cursor, after=on_page[-1], start=cursor.start + len(batches))
        return Listing(batches=batches, start=cursor.start, total=cursor.total, following=following)

    def _labelled(
        self, caller: Caller, label: str, per_page: int, cursor: Cursor | None = None
    ) -> Listing:
        """Return a page of batches with the label, from the next EXAMINED batches."""
        now, start = self.clock.now(), cursor.start if cursor else 0
        listed = self._listed(caller, now, EXAMINED + 1, cursor.after if cursor else None)
        on_page: list[Batch] = []
        reached = None
        for each, batch in self._each(listed[:EXAMINED], caller, now):
            reached = each
            on_page += [batch] if batch and batch.label == label else []
            if len(on_page) == per_page:
                break
        following = None
        if reached is not None and reached != listed[-1]:
            following = Cursor(after=reached, start=start + len(on_page), total=None)
        return Listing(batches=on_page, start=start, total=None, following=following)

    def _each(
        self, listed: Sequence[Listed], caller: Caller, now: datetime
    ) -> Iterator[tuple[Listed, Batch | None]]:
        """Yield each batch with its head, if the caller may see it. Heads are read only as far as
        they are needed."""
        for first in range(0, len(listed), _HEADS_AT_ONCE):
            group = listed[first : first + _HEADS_AT_ONCE]
            heads = {batch.batch_id: batch for batch in self._seen(group, caller, now)}
            yield from ((each, heads.get(each.batch_id)) for each in group)

    def _listed(
        self, caller: Caller, now: datetime, limit: int, after: Listed | None = None
    ) -> Sequence[Listed]:
        since = now - LONGEST_LIFE
        return [*self.store.find_of_account(caller.account, since, after=after, limit=limit)]

    def _lasting(self, listed: Sequence[Listed], now: datetime) -> Sequence[Listed]:
        """Drop the expired batches. A batch younger than the current lifetime is assumed to be
        alive; the head of an older one tells whether it was given a longer life."""
        older = {each.batch_id for each in listed if each.created_at <= now - self.expiry}
        heads = self.store.find_all(older).values()
        expired = older - {head.batch_id for head in heads if not head.is_expired(now)}
        return [each for each in listed if each.batch_id not in expired]

    def _seen(self, listed: Sequence[Listed], caller: Caller, now: datetime) -> Sequence[Batch]:
        heads = self.store.find_all([each.batch_id for each in listed])
        found = [heads[each.batch_id] for each in listed if each.batch_id in heads]
        return [batch for batch in found if batch.is_seen_by(caller.account, now)]
