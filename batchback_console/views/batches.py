"""The list of batches: those in trouble first, then those that run, then the finished ones.

Batches with work left come from the index of what is due, whatever their account. The others come
from their account's index, newest first, a hundred heads at a time.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from flask import Blueprint, abort, request

from batchback_console import summary
from batchback_console.console import Console
from batchback_ops.ops.batch_life import time
from batchback_ops.ops.heads import find_heads, find_with_work
from chalicelib.domain import unix_time
from chalicelib.domain.batch import LONGEST_LIFE, Batch, Listed
from chalicelib.domain.holds import Holds

#: How many batches are on a page.
PER_PAGE = 100
#: How many heads one request reads at most.
EXAMINED = 1_000
_HEADS_AT_ONCE = 100
_STATUSES = ("running", "completed", "cancelled", "stopped", "trouble")
_IN_TROUBLE, _WITH_WORK, _ENDED = range(3)


def routes(console: Console) -> Blueprint:
    view = Blueprint("batches", __name__)

    @view.get("/batches")
    def batches() -> dict[str, Any]:
        return Listing(console=console, asked=_asked(console)).page()

    return view


# ---- what is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page begins: after a batch, which may no longer exist."""

    rank: int
    after: Listed | None

    @property
    def text(self) -> str:
        if self.after is None:
            return f"{self.rank}"
        created = unix_time.compose(self.after.created_at)
        return f"{self.rank}.{created}.{self.after.batch_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The query of a request."""

    status: str | None
    #: The beginning of the labels that are wanted.
    label: str
    account: str | None
    shows_ended: bool
    place: Place | None

    @property
    def is_filtered(self) -> bool:
        return bool(self.status or self.label)

    def wants(self, batch: Batch, now: datetime, holds: Holds) -> bool:
        return (
            self.account in {None, batch.account}
            and (batch.label or "").startswith(self.label)
            and self._wants_status(batch, now, holds)
        )

    def _wants_status(self, batch: Batch, now: datetime, holds: Holds) -> bool:
        if self.status == "trouble":
            return summary.is_in_trouble(batch, holds, now)
        return self.status in {None, batch.status}


def _asked(console: Console) -> Asked:
    given = request.args
    status = given.get("status") or None
    if status not in {None, *_STATUSES}:
        abort(400, f"`status` must be one of {', '.join(_STATUSES)}.")
    show = given.get("show") or ("all" if console.is_local else "open")
    if show not in {"open", "all"}:
        abort(400, "`show` must be open or all.")
    return Asked(
        status=status,
        label=given.get("label", ""),
        account=given.get("account") or None,
        shows_ended=show == "all",
        place=_place(given.get("after", "")),
    )


_PLACE = re.compile(r"([012])(?:\.([0-9]{1,13})\.([0-9a-f]{32}))?")


def _place(text: str) -> Place | None:
    if not text:
        return None
    match = _PLACE.fullmatch(text)
    if match is None:
        abort(400, "`after` must be the `next` of an earlier answer.")
    rank, created, batch_id = match.groups()
    if created is None:
        return Place(rank=int(rank), after=None)
    listed = Listed(batch_id=batch_id, created_at=unix_time.parse(int(created)))
    return Place(rank=int(rank), after=listed)


# ---- the page


@dataclass(slots=True, kw_only=True)
class Listing:
    """One page of the list."""

    console: Console
    asked: Asked
    notes: list[str] = field(default_factory=list)
    _holds: dict[str, Holds] = field(default_factory=dict)
    _now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._now = self.console.clock.now()

    def page(self) -> dict[str, Any]:
        with_work = self._with_work()
        shown, following = self._of_those_with_work(with_work)
        accounts = self._accounts_of_ended(with_work)
        if accounts and following is None:
            ended, following = self._ended(accounts, with_work, PER_PAGE - len(shown))
            shown += ended
        known = {*self.console.accounts(), *(batch.account for batch in with_work.values())}
        return {
            "now": time(self._now),
            "batches": [self._row(batch) for batch in sorted(shown, key=self._order)],
            "next": following.text if following else None,
            "accounts": sorted(known),
            "note": " ".join(self.notes) or None,
        }

    def _with_work(self) -> dict[str, Batch]:
        """All batches that have work left."""
        due = [*islice(find_with_work(self.console.store), EXAMINED + 1)]
        if len(due) > EXAMINED:
            self.notes.append(
                f"More than {EXAMINED:,} batches have work left: this shows those that are due "
                "first."
            )
        heads = self._heads([each.batch_id for each in due[:EXAMINED]])
        return {id: batch for id, batch in heads.items() if _has_work(batch)}

    def _of_those_with_work(self, found: dict[str, Batch]) -> tuple[list[Batch], Place | None]:
        """Those on this page, and where the next page begins if there are more."""
        place = self.asked.place
        if place and place.rank == _ENDED:
            return [], None
        batches = sorted(filter(self._wants, found.values()), key=self._order)
        if place and place.after:
            reached = _order(place.rank, place.after.created_at, place.after.batch_id)
            batches = [batch for batch in batches if self._order(batch) > reached]
        if len(batches) <= PER_PAGE:
            return batches, None
        return batches[:PER_PAGE], self._after(batches[PER_PAGE - 1])

    def _accounts_of_ended(self, with_work: dict[str, Batch]) -> Sequence[str]:
        """The accounts whose finished batches are shown."""
        if not self.asked.shows_ended:
            return []
        if self.asked.account:
            return [self.asked.account]
        known = {*self.console.accounts(), *(batch.account for batch in with_work.values())}
        if self.console.is_local or len(known) == 1:
            return sorted(known)
        self.notes.append("Finished batches are listed by account: choose one.")
        return []

    def _ended(
        self, accounts: Sequence[str], with_work: Collection[str], room: int
    ) -> tuple[list[Batch], Place | None]:
        """The batches of the accounts that have no work left, newest first."""
        if room == 0:
            return [], Place(rank=_ENDED, after=None)
        most = EXAMINED if self.asked.is_filtered else room + len(with_work)
        listed = [*islice(self._listed(accounts, most + 1), most + 1)]
        shown: list[Batch] = []
        reached = None
        for each, batch in self._each(listed[:most], with_work):
            reached = each
            shown += [batch] if batch and self._wants(batch) else []
            if len(shown) == room:
                break
        if reached is None or reached == listed[-1]:
            return shown, None
        if len(shown) < room and self.asked.is_filtered:
            self.notes.append(
                f"Only the newest {EXAMINED:,} were searched: show older ones to go on."
            )
        return shown, Place(rank=_ENDED, after=reached)

    def _listed(self, accounts: Sequence[str], limit: int) -> Iterator[Listed]:
        place, since = self.asked.place, self._now - LONGEST_LIFE
        after = place.after if place and place.rank == _ENDED else None
        return merge(
            *(
                self.console.store.find_of_account(account, since, after=after, limit=limit)
                for account in accounts
            ),
            key=lambda each: (each.created_at, each.batch_id),
            reverse=True,
        )

    def _each(
        self, listed: Sequence[Listed], with_work: Collection[str]
    ) -> Iterator[tuple[Listed, Batch | None]]:
        """Each batch with its head, unless it is shown among those with work. Heads are read only
        as far as they are needed."""
        for first in range(0, len(listed), _HEADS_AT_ONCE):
            group = listed[first : first + _HEADS_AT_ONCE]
            heads = self._heads([each.batch_id for each in group if each.batch_id not in with_work])
            yield from ((each, heads.get(each.batch_id)) for each in group)

    def _heads(self, ids: Sequence[str]) -> dict[str, Batch]:
        """The batches that have not expired. One that cannot be read is named in a note."""
        found, faults = find_heads(self.console.store, ids)
        self.notes += [f"Batch {id} is left out: {fault}." for id, fault in faults.items()]
        return {id: batch for id, batch in found.items() if not batch.is_expired(self._now)}

    def _wants(self, batch: Batch) -> bool:
        return self.asked.wants(batch, self._now, self._holds_of(batch))

    def _row(self, batch: Batch) -> dict[str, Any]:
        return summary.row(batch, self._holds_of(batch), self._now)

    def _holds_of(self, batch: Batch) -> Holds:
        """What holds up the batch's account. It is read once, and only if jobs may wait."""
        if not summary.may_wait(batch, self._now):
            return Holds()
        if batch.account not in self._holds:
            self._holds[batch.account] = self.console.store.find_holds(batch.account)
        return self._holds[batch.account]

    def _order(self, batch: Batch) -> tuple[int, int, str]:
        return _order(self._rank(batch), batch.created_at, batch.batch_id)

    def _after(self, batch: Batch) -> Place:
        listed = Listed(batch_id=batch.batch_id, created_at=batch.created_at)
        return Place(rank=self._rank(batch), after=listed)

    def _rank(self, batch: Batch) -> int:
        if summary.trouble(batch, self._now):
            return _IN_TROUBLE
        return _WITH_WORK if _has_work(batch) else _ENDED


def _has_work(batch: Batch) -> bool:
    """Whether it has work left. The index that it was found in may lag behind."""
    return batch.is_running or batch.has_callback_to_come


def _order(rank: int, created_at: datetime, batch_id: str) -> tuple[int, int, str]:
    """In trouble first, then with work left, then ended; within each the newest first."""
    return rank, -unix_time.compose(created_at), batch_id
