"""Batches and keys in memory, with the conditions that the real table has."""

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chalicelib.domain.account import Account, Key
from chalicelib.domain.batch import (
    AnswersPart,
    Batch,
    Chunk,
    Due,
    Job,
    Listed,
    Marker,
    SubmissionTerms,
)
from chalicelib.domain.holds import Holds, Outage, Pause
from chalicelib.domain.limits import AccountUsage, Admission, Charge, Slot
from chalicelib.domain.transitions import Change


class FakeBatchStore:
    def __init__(self) -> None:
        self.heads: dict[str, Batch] = {}
        self.voided: dict[str, set[str]] = {}
        self.terms: dict[tuple[str, str], SubmissionTerms] = {}
        self.jobs: dict[tuple[str, str, int], tuple[Job, ...]] = {}
        self.answers: dict[tuple[str, str, int, int, int], AnswersPart] = {}
        self.markers: dict[tuple[str, str, int, int], Marker] = {}
        self.usages: dict[str, AccountUsage] = {}
        self.outages: dict[str, Outage] = {}
        self.paused: Pause | None = None
        self._lock = threading.RLock()

    def copy(self) -> "FakeBatchStore":
        """Another store with the same content, which never changes in place."""
        other = FakeBatchStore()
        other.heads = dict(self.heads)
        other.voided = {batch_id: set(voided) for batch_id, voided in self.voided.items()}
        other.terms = dict(self.terms)
        other.jobs = dict(self.jobs)
        other.answers = dict(self.answers)
        other.markers = dict(self.markers)
        other.usages = dict(self.usages)
        other.outages = dict(self.outages)
        other.paused = self.paused
        return other

    def find(self, batch_id: str) -> Batch | None:
        return self.heads.get(batch_id)

    def find_with_holds(self, batch_id: str, account: str) -> tuple[Batch | None, Holds]:
        return self.find(batch_id), self.find_holds(account)

    def find_holds(self, account: str) -> Holds:
        return Holds(outage=self.outages.get(account), pause=self.paused)

    def find_pause(self) -> Pause | None:
        return self.paused

    def begin_outage(self, account: str, outage: Outage) -> bool:
        with self._lock:
            return self.outages.setdefault(account, outage) is outage

    def move_outage(self, account: str, seen: Outage, later: Outage) -> bool:
        with self._lock:
            if self.outages.get(account) != seen:
                return False
            self.outages[account] = later
            return True

    def end_outage(self, account: str, began_before: datetime) -> bool:
        with self._lock:
            outage = self.outages.get(account)
            if outage is None or outage.began_at >= began_before:
                return False
            del self.outages[account]
            return True

    def pause(self, pause: Pause | None) -> None:
        self.paused = pause

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        return {id: self.heads[id] for id in batch_ids if id in self.heads}

    def find_terms(self, batch: Batch) -> SubmissionTerms | None:
        return self.terms.get((batch.batch_id, batch.submission))

    def save_jobs(self, batch: Batch, terms: SubmissionTerms, jobs: Sequence[Job]) -> None:
        self.terms[batch.batch_id, batch.submission] = terms
        for chunk in batch.chunks:
            indexes = batch.indexes(chunk)
            of_chunk = tuple(jobs[indexes.start : indexes.stop])
            self.jobs[batch.batch_id, batch.submission, chunk] = of_chunk

    def commit(self, batch: Batch, now: datetime) -> Batch | None:
        with self._lock:
            standing = self.heads.get(batch.batch_id)
            if standing is not None and not standing.is_expired(now):
                return standing
            if batch.submission in self.voided.get(batch.batch_id, set()):
                return None
            self.heads[batch.batch_id] = batch
            self.voided.pop(batch.batch_id, None)
            return batch

    def void(self, batch: Batch, now: datetime) -> Batch | None:
        with self._lock:
            standing = self.heads.get(batch.batch_id)
            if standing is not None and not standing.is_expired(now):
                return standing
            self.heads.pop(batch.batch_id, None)
            self.voided.setdefault(batch.batch_id, set()).add(batch.submission)
            return None

    def change(self, batch: Batch, change: Change) -> Batch | None:
        with self._lock:
            head = self.heads.get(batch.batch_id)
            if head is None or not _allows(head, change):
                return None
            after = _changed(head, change)
            self.heads[batch.batch_id] = after
            return after

    def load_chunk(self, batch: Batch, chunk: int) -> Chunk:
        with self._lock:
            of_chunk = (batch.batch_id, batch.submission, chunk)
            parts = sorted(key for key in self.answers if key[:3] == of_chunk)
            return Chunk(
                number=chunk,
                indexes=batch.indexes(chunk),
                jobs=self.jobs.get(of_chunk),
                parts=tuple(self.answers[key] for key in parts),
                markers={
                    key[3]: marker for key, marker in self.markers.items() if key[:3] == of_chunk
                },
            )

    def record(self, batch: Batch, chunk: int, part: AnswersPart) -> bool:
        with self._lock:
            key = (batch.batch_id, batch.submission, chunk, part.round, part.number)
            if key in self.answers:
                return False
            self.answers[key] = part
            return True

    def mark(self, batch: Batch, chunk: int, index: int, marker: Marker) -> None:
        self.markers[batch.batch_id, batch.submission, chunk, index] = marker

    def unmark(self, batch: Batch, chunk: int, index: int) -> None:
        self.markers.pop((batch.batch_id, batch.submission, chunk, index), None)

    def find_due(self, now: datetime) -> Iterator[Due]:
        due = [
            Due(batch_id=head.batch_id, due_at=head.due_at)
            for head in self.heads.values()
            if head.due_at is not None and head.due_at <= now
        ]
        return iter(sorted(due, key=lambda each: each.due_at))

    def reserve(self, due: Due, until: datetime) -> Batch | None:
        with self._lock:
            head = self.heads.get(due.batch_id)
            if head is None or head.due_at != due.due_at:
                return None
            self.heads[due.batch_id] = replace(head, due_at=until)
            return self.heads[due.batch_id]

    def find_of_account(
        self,
        account: str,
        since: datetime,
        *,
        after: Listed | None = None,
        limit: int | None = None,
    ) -> Iterator[Listed]:
        found = [
            Listed(batch_id=head.batch_id, created_at=head.created_at)
            for head in self.heads.values()
            if head.account == account and head.created_at > since
        ]
        found.sort(key=_place, reverse=True)
        behind = [each for each in found if after is None or _place(each) < _place(after)]
        return iter(behind[:limit])

    def read_chunks(self, batch: Batch, chunks: range) -> Iterator[Chunk]:
        for chunk in chunks:
            yield self.load_chunk(batch, chunk)

    def admit(self, account: str, admission: Admission) -> AccountUsage:
        with self._lock:
            usage = self._usage(account)
            is_in = admission.slot in usage.open
            if not is_in and _has_room(usage, admission) and _is_paid(usage, admission.charge):
                self.usages[account] = _admitted(usage, admission)
            return self._usage(account)

    def undo_admission(self, account: str, admission: Admission) -> None:
        with self._lock:
            usage = self._usage(account)
            if admission.slot not in usage.open:
                return
            self.vacate(account, [admission.slot])
            if admission.charge and usage.paid_until:
                paid_until = usage.paid_until - admission.charge.cost
                self.usages[account] = replace(self._usage(account), paid_until=paid_until)

    def vacate(self, account: str, slots: Collection[Slot]) -> None:
        with self._lock:
            usage = self._usage(account)
            self.usages[account] = replace(usage, open=usage.open - {*slots})

    def reserve_pruning(self, account: str, seen: datetime | None, now: datetime) -> bool:
        with self._lock:
            usage = self._usage(account)
            if usage.pruned_at != seen:
                return False
            self.usages[account] = replace(usage, pruned_at=now)
            return True

    def _usage(self, account: str) -> AccountUsage:
        return self.usages.get(account, AccountUsage())


class FakeKeyStore:
    def __init__(self, keys: Sequence[Key] = (), accounts: Sequence[Account] = ()) -> None:
        self.keys = {key.key: key for key in keys}
        self.accounts = {account.account: account for account in accounts}

    def find_key(self, key: str) -> Key | None:
        return self.keys.get(key)

    def find_account(self, account: str) -> Account | None:
        return self.accounts.get(account)


def _place(listed: Listed) -> tuple[datetime, str]:
    return listed.created_at, listed.batch_id


def _has_room(usage: AccountUsage, admission: Admission) -> bool:
    return admission.fewer_than is None or len(usage.open) < admission.fewer_than


def _is_paid(usage: AccountUsage, charge: Charge | None) -> bool:
    if charge is None:
        return True
    if charge.no_later_than is None:
        return usage.paid_until is None or usage.paid_until <= charge.now
    return usage.paid_until is not None and charge.now < usage.paid_until <= charge.no_later_than


def _admitted(usage: AccountUsage, admission: Admission) -> AccountUsage:
    ours = frozenset({admission.slot})
    after = replace(usage, open=ours if admission.fewer_than is None else usage.open | ours)
    charge = admission.charge
    if charge is None:
        return after
    paid_until = usage.paid_until if charge.no_later_than else charge.now
    assert paid_until is not None
    return replace(after, paid_until=paid_until + charge.cost)


def _allows(head: Batch, change: Change) -> bool:
    stands = all(getattr(head, name) == wanted for name, wanted in change.only_if.items())
    waits_less = change.wait_until is None or not head.waits_as_long_as(change.wait_until)
    return stands and waits_less and (change.finish is None or change.finish not in head.done)


def _changed(head: Batch, change: Change) -> Batch:
    put: dict[str, Any] = {**change.put}
    if change.wait_until:
        put["waits_until"] = change.wait_until
    if change.reopen:
        put["done"] = head.done - change.reopen
    if change.finish is not None:
        put |= _finished(head, change, frozenset({change.finish}))
    return replace(head, **put)


def _finished(head: Batch, change: Change, chunk: frozenset[int]) -> dict[str, Any]:
    if not change.finish_unanswered:
        return {"done": head.done | chunk, "counts": head.counts + change.finish_counts}
    return {
        "done": head.done | chunk,
        "unanswered": head.unanswered | chunk,
        "unanswered_counts": head.unanswered_counts + change.finish_counts,
    }
