"""The limits of an account: open batches, and jobs per minute.

The usage of an account is one record. Every write to it is conditional, so that if two requests
compete for the last slot, only one gets it.

**Open batches** are a set of slots, one for each round of each submission, and never a counter. A
slot is taken before its round can begin and freed after its round has ended. Whatever dies in
between, there are never more running rounds than slots taken. If slots run short, the batches that
hold them are read to find slots that nobody freed; this is called pruning.

**Jobs per minute** are one time, `paid_until`. Each admitted job moves it forward by the job's
share of a minute, and it may be at most a minute ahead of now (the generic cell rate algorithm,
ITU-T I.371).

    now - - - - - - - paid_until - - - - - - - now + 1 minute
        paid already             left to be spent

So an idle account may send a minute's worth of jobs in one go, and on average it gets the rate. If
nothing is left to pay, a batch of any size is admitted. A batch larger than a minute's worth
therefore only has to wait its turn, and makes the next ones wait longer.

This module does not know how a usage is stored, or what time it is.
"""

from datetime import datetime, timedelta

from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass

#: The longest time between taking a slot and the beginning of its round: twice the timeout of the
#: function that admits it.
GRACE = timedelta(seconds=60)
#: The shortest time between two prunings of an account's slots, however many requests find them
#: taken. It is also how long to wait before retrying if they all are.
BETWEEN_PRUNINGS = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The place that a round of a submission takes among its account's open batches."""

    batch_id: str
    submission: str
    round: int
    began_at: datetime

    @classmethod
    def of(cls, batch: Batch) -> "Slot":
        return cls(
            batch_id=batch.batch_id,
            submission=batch.submission,
            round=batch.round,
            began_at=batch.round_began_at,
        )

    def is_abandoned(self, standing: Batch | None, now: datetime) -> bool:
        """Whether the slot's round has ended or never began, judged by the batch that now has this
        id. If that batch is in another round, the slot's round may still be beginning, so the slot
        is kept for the grace period."""
        if standing is not None and Slot.of(standing) == self:
            return not standing.is_running or standing.is_expired(now)
        return now - self.began_at >= GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUsage:
    """How much of its limits an account is using."""

    open: frozenset[Slot] = frozenset()
    #: Until when the jobs admitted so far are paid for; None if there were none yet.
    paid_until: datetime | None = None
    #: When the slots were last pruned.
    pruned_at: datetime | None = None

    def may_be_pruned(self, now: datetime) -> bool:
        return self.pruned_at is None or now - self.pruned_at >= BETWEEN_PRUNINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What the jobs of a round cost, in time."""

    cost: timedelta
    now: datetime
    #: The write requires that something is still to be paid, but not beyond this time. None: the
    #: write requires that nothing is to be paid, and the cost counts from now.
    no_later_than: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """One conditional write that lets a round begin: it takes the slot and charges for the jobs,
    or does neither."""

    slot: Slot
    #: The write requires that fewer slots are taken. None: slots are not limited, and only the
    #: newest is kept.
    fewer_than: int | None
    #: None if jobs are not limited.
    charge: Charge | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of an account; 0 for no limit."""

    open_batches: int = 0
    jobs_per_minute: int = 0

    @property
    def are_off(self) -> bool:
        return not self.open_batches and not self.jobs_per_minute

    def admission(self, slot: Slot, jobs: int, paid_until: datetime | None) -> Admission:
        """Return the write that lets a round with this many jobs begin, assuming that `paid_until`
        is still right. If it is not, the write changes nothing and returns the right one."""
        return Admission(
            slot=slot,
            fewer_than=self.open_batches or None,
            charge=self._charge(jobs, slot.began_at, paid_until) if self.jobs_per_minute else None,
        )

    def wait_for_a_slot(self, usage: AccountUsage) -> timedelta | None:
        """How long to wait for a slot; None if one is free."""
        is_full = 0 < self.open_batches <= len(usage.open)
        return BETWEEN_PRUNINGS if is_full else None

    def wait_for_jobs(self, usage: AccountUsage, jobs: int, now: datetime) -> timedelta | None:
        """How long until this many jobs may be admitted; None if they may be now."""
        if not self.jobs_per_minute or usage.paid_until is None:
            return None
        wait = usage.paid_until - now - self._ahead(jobs)
        return wait if wait > timedelta() else None

    def _charge(self, jobs: int, now: datetime, paid_until: datetime | None) -> Charge:
        is_to_be_paid = paid_until is not None and paid_until > now
        return Charge(
            cost=self._cost(jobs),
            now=now,
            no_later_than=now + self._ahead(jobs) if is_to_be_paid else None,
        )

    def _cost(self, jobs: int) -> timedelta:
        return MINUTE * jobs / self.jobs_per_minute

    def _ahead(self, jobs: int) -> timedelta:
        """How far ahead of now `paid_until` may be when this many jobs are admitted."""
        return max(MINUTE - self._cost(jobs), timedelta())
