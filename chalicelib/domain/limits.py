"""How much an account may have going: open batches, and jobs a minute.

What an account has going is its usage: one record, and every write to it is one condition and what
is then written, so that of two who reach for the last slot one gets it.

**Open batches** are a set of slots, one for each round of each submission, and never a counter. A
slot is taken before its round can begin and freed after its round has ended: whoever dies in
between, there are never more rounds that run than slots taken. A slot that nobody freed is found
when slots are short, by reading the batches that hold them: that is pruning.

**Jobs a minute** are one time, `paid_until`: each job admitted moves it on by a minute's share, and
it may be a minute ahead of now at most (the generic cell rate algorithm, ITU-T I.371).

    now - - - - - - - paid_until - - - - - - - now + 1 minute
        paid already             left to be spent

So an account that was quiet may send a minute's worth at once, and over any time it gets that and
the rate. If all is paid, a batch of any size is admitted, so that one larger than a minute's worth
only has to wait its turn, and makes the next ones wait longer.

This module does not know how a usage is stored, or what time it is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.batch import Batch

#: How long a round may be on its way between taking its slot and beginning: twice as long as the
#: function lives that admits it.
GRACE = timedelta(seconds=60)
#: How often an account's slots are pruned at most, however many requests find them taken; and when
#: to ask again if they all are.
BETWEEN_PRUNINGS = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What a round of a submission holds among the open batches of its account."""

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
        """Whether its round has ended, or never began, as the batch tells that stands under the id
        now. A round that does not stand may still be on its way: it is left alone for the grace."""
        if standing is not None and Slot.of(standing) == self:
            return not standing.is_running or standing.is_expired(now)
        return now - self.began_at >= GRACE


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUsage:
    """What an account has going."""

    open: frozenset[Slot] = frozenset()
    #: Until when the jobs admitted so far are paid for; None: there were none yet.
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
    #: On condition that something is still to be paid, though not for longer than until then. None:
    #: on condition that nothing is, and then the cost counts from now.
    no_later_than: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """One conditional write that lets a round begin: it takes the slot and charges for the jobs,
    or does neither."""

    slot: Slot
    #: On condition that fewer are open. None: slots are not limited, and only the newest is kept.
    fewer_than: int | None
    #: None: jobs are not limited.
    charge: Charge | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an account may have going; 0: as much as it likes."""

    open_batches: int = 0
    jobs_per_minute: int = 0

    @property
    def are_off(self) -> bool:
        return not self.open_batches and not self.jobs_per_minute

    def admission(self, slot: Slot, jobs: int, paid_until: datetime | None) -> Admission:
        """The write that lets a round of so many jobs begin, if the account is paid until about
        then. If it is not, the write changes nothing and brings the right time."""
        return Admission(
            slot=slot,
            fewer_than=self.open_batches or None,
            charge=self._charge(jobs, slot.began_at, paid_until) if self.jobs_per_minute else None,
        )

    def wait_for_a_slot(self, usage: AccountUsage) -> timedelta | None:
        """None: there is one."""
        is_full = 0 < self.open_batches <= len(usage.open)
        return BETWEEN_PRUNINGS if is_full else None

    def wait_for_jobs(self, usage: AccountUsage, jobs: int, now: datetime) -> timedelta | None:
        """How long until so many jobs may be admitted; None: they may be now."""
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
        """How far ahead of now an account may be paid when so many jobs are admitted."""
        return max(MINUTE - self._cost(jobs), timedelta())
