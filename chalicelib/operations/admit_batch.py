"""Admit a round of a batch within its account's limits, and free its slot when it ends."""

from collections.abc import Callable
from dataclasses import field
from datetime import datetime, timedelta

from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.limits import AccountUsage, Limits, Slot
from chalicelib.errors import TooManyRequests, Unavailable
from chalicelib.operations.ports import BatchStore, Journal

#: How many times to try if a round is neither admitted nor refused, because another write came
#: first or because this one was based on old data.
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAdmission:
    """Keeps accounts within their limits. A limit that is off costs nothing, not even a read."""

    store: BatchStore
    journal: Journal
    limits: Limits
    #: Per account, its `paid_until` when last read. It only decides which of two writes to try
    #: first.
    heard: dict[str, datetime | None] = field(default_factory=dict)

    def admit(self, batch: Batch, jobs: int) -> None:
        """Take a slot for the batch's round and charge for its jobs.

        Raises TooManyRequests if it did neither, and Unavailable if it may have done either."""
        if self.limits.are_off:
            return
        slot = Slot.of(batch)
        for _ in range(_TRIES):
            usage = self._try(batch, slot, jobs)
            if slot in usage.open:
                return
            self._refuse_jobs(batch, usage, jobs)
            self._refuse_or_make_room(batch, usage)
        raise Unavailable("Other requests kept changing the usage of the account")

    def undo(self, batch: Batch, jobs: int) -> None:
        """Give back the slot and the charge of a round that will never begin. If that fails, the
        slot is found when slots run short."""
        if self.limits.are_off:
            return
        admission = self.limits.admission(Slot.of(batch), jobs, None)
        self._if_possible(batch, lambda: self.store.undo_admission(batch.account, admission))

    def leave(self, batch: Batch) -> None:
        """Free the slot of a round that has ended. If that fails, the slot is found when slots run
        short."""
        if not self.limits.open_batches:
            return
        self._if_possible(batch, lambda: self.store.vacate(batch.account, [Slot.of(batch)]))

    def _try(self, batch: Batch, slot: Slot, jobs: int) -> AccountUsage:
        paid_until = self.heard.get(batch.account)
        usage = self.store.admit(batch.account, self.limits.admission(slot, jobs, paid_until))
        self.heard[batch.account] = usage.paid_until
        return usage

    def _refuse_jobs(self, batch: Batch, usage: AccountUsage, jobs: int) -> None:
        wait = self.limits.wait_for_jobs(usage, jobs, batch.round_began_at)
        if wait is not None:
            raise self._refusal(batch, "jobs a minute", self.limits.jobs_per_minute, wait)

    def _refuse_or_make_room(self, batch: Batch, usage: AccountUsage) -> None:
        wait = self.limits.wait_for_a_slot(usage)
        if wait is not None and not self._prune(batch.account, usage, batch.round_began_at):
            raise self._refusal(batch, "open batches", self.limits.open_batches, wait)

    def _refusal(self, batch: Batch, what: str, limit: int, wait: timedelta) -> TooManyRequests:
        refusal = TooManyRequests(what, limit, wait.total_seconds())
        self.journal.write(
            "batch refused", account=batch.account, limit=what, retry_after=refusal.retry_after
        )
        return refusal

    def _prune(self, account: str, usage: AccountUsage, now: datetime) -> bool:
        """Free the slots that no round holds anymore, and return whether there were any.

        The pruning is reserved first, so that during a flood of requests not every one of them
        reads all batches."""
        if not usage.may_be_pruned(now):
            return False
        if not self.store.reserve_pruning(account, usage.pruned_at, now):
            return False
        standing = self.store.find_all({slot.batch_id for slot in usage.open})
        abandoned = [
            slot for slot in usage.open if slot.is_abandoned(standing.get(slot.batch_id), now)
        ]
        if abandoned:
            self.store.vacate(account, abandoned)
        return bool(abandoned)

    def _if_possible(self, batch: Batch, give_back: Callable[[], None]) -> None:
        try:
            give_back()
        except Unavailable as error:
            self.journal.write(
                "slot kept", batch_id=batch.batch_id, account=batch.account, error=str(error)
            )
