"""Whether the platform is up for an account, and whether an operator has paused the stage.

This is asked before each call, and the answer is up to five seconds old. It is read together with a
batch's head, so while the platform is up it costs no extra request and no write."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime, timedelta
from threading import Lock

from chalicelib.domain import outcome
from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.holds import (
    ANSWER_COUNTS,
    ATTEMPT_TO_TRIP,
    CALLS_TO_TRIP,
    OUTAGE_WAITS,
    Hold,
    Holds,
    Outage,
)
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.retry import MAX_MESSAGE_DELAY
from chalicelib.errors import Unavailable
from chalicelib.operations.ports import BatchStore, Clock, Journal

#: How old an answer may be.
_KNOWN_FOR = timedelta(seconds=5)
#: Messages that wait for the same time come back spread over this many seconds.
_JITTER_SECONDS = 10
#: A container remembers at most this many accounts.
_MOST_ACCOUNTS = 1_000


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What this container knows about one account's platform."""

    holds: Holds = field(default_factory=Holds)
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    #: How many calls in a row found it away.
    misses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformWatch:
    """Begins an outage, lets single calls test whether it is over, and ends it.

    Safe to use from many threads. If an outage cannot be recorded there is none, and jobs are
    retried as if the platform were up."""

    store: BatchStore
    clock: Clock
    journal: Journal
    random_unit: Callable[[], float]
    #: How long an outage holds up a message. Until then, calls that find the platform away use no
    #: attempt.
    spare_for: timedelta
    seen: dict[str, _Seen] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def find(self, message: JobsMessage) -> Batch | None:
        """Return the message's batch. The same request reads what is holding up its account's jobs,
        if what is known is too old."""
        seen = self._seen(message.account)
        if self._is_known(seen, self.clock.now()):
            return self.store.find(message.batch_id)
        batch, holds = self.store.find_with_holds(message.batch_id, message.account)
        seen.holds, seen.asked_at = holds, self.clock.now()
        return batch

    def may_call(self, message: JobsMessage) -> bool:
        """Whether a call of the message may begin now."""
        seen = self._seen(message.account)
        now = self.clock.now()
        if not self._is_known(seen, now):
            seen.asked_at = now
            with suppress(Unavailable):
                seen.holds = self.store.find_holds(message.account)
        return self._holds(message, now).hold(now) is None

    def hold(self, message: JobsMessage, *, was_received_before: bool) -> Hold | None:
        """Return what is holding up a message. A redelivered message is never used to test whether
        the platform is back, because it may kill its worker."""
        now = self.clock.now()
        holds = self._holds(message, now)
        if was_received_before and holds.outage:
            until = max(holds.outage.until, now + timedelta(seconds=OUTAGE_WAITS[0]))
            holds = replace(holds, outage=replace(holds.outage, until=until))
        return holds.hold(now)

    def is_away(self, message: JobsMessage) -> bool:
        """Whether an outage holds up the message, so that one call has to test the platform
        first."""
        return self._holds(message, self.clock.now()).outage is not None

    def wait(self, hold: Hold) -> int:
        """How many whole seconds a message waits for the end of a hold."""
        seconds = (hold.until - self.clock.now()).total_seconds()
        wait = math.ceil(seconds + self.random_unit() * _JITTER_SECONDS)
        return max(1, min(MAX_MESSAGE_DELAY, wait))

    def note(self, account: str, reply: Reply | NoReply, began_at: datetime) -> None:
        """Note what a call of the account found. Any answer, even an error, ends an outage that
        began before the call. A call that our own side refused to make says nothing."""
        seen = self._seen(account)
        if outcome.is_away(reply):
            self._note_miss(account, seen, began_at)
            return
        if not isinstance(reply, Reply):
            return
        seen.answered_at, seen.misses = self.clock.now(), 0
        outage = seen.holds.outage
        if outage and began_at > outage.began_at:
            self._end(account, seen, began_at)

    def note_message(self, message: JobsMessage) -> None:
        """Note that all calls of a message found the platform away."""
        seen = self._seen(message.account)
        if message.attempt >= ATTEMPT_TO_TRIP and seen.holds.outage is None:
            self._begin(message.account, seen)

    def spares(self, message: JobsMessage) -> bool:
        """Whether a call of the message that found the platform away uses no attempt."""
        return self.is_away(message) and not self._was_answered_lately(self._seen(message.account))

    def _holds(self, message: JobsMessage, now: datetime) -> Holds:
        """What holds up the message. After `spare_for` no outage does: if each of its jobs then had
        to wait its turn to test the platform, its attempts would take days."""
        holds = self._seen(message.account).holds
        is_in_time = now < (message.away_since or now) + self.spare_for
        return holds if is_in_time else replace(holds, outage=None)

    # --- how an outage begins and ends ----------------------------------------------------------

    def _note_miss(self, account: str, seen: _Seen, began_at: datetime) -> None:
        outage = seen.holds.outage
        if outage is None:
            if self._is_the_last_straw(seen):
                self._begin(account, seen)
        elif began_at >= outage.until:
            self._go_on(account, seen, outage)

    def _is_the_last_straw(self, seen: _Seen) -> bool:
        """Whether enough calls in a row found it away. If so, counting starts again."""
        with self.lock:
            seen.misses = (seen.misses + 1) % CALLS_TO_TRIP
            return seen.misses == 0

    def _begin(self, account: str, seen: _Seen) -> None:
        if self._was_answered_lately(seen):
            return
        outage = Outage.beginning(self.clock.now())
        seen.holds = replace(seen.holds, outage=outage)  # so no call begins during the write
        try:
            if self.store.begin_outage(account, outage):
                self._tell("platform down", account, outage)
        except Unavailable:
            seen.holds = replace(seen.holds, outage=None)

    def _go_on(self, account: str, seen: _Seen, outage: Outage) -> None:
        """Move the time of the next test. If several calls find the platform still away, one of
        them moves it. If that cannot be written, this container still waits."""
        later = outage.still_away(self.clock.now())
        seen.holds = replace(seen.holds, outage=later)
        with suppress(Unavailable):
            if self.store.move_outage(account, outage, later):
                self._tell("platform down", account, later)

    def _end(self, account: str, seen: _Seen, began_at: datetime) -> None:
        outage, seen.holds = seen.holds.outage, replace(seen.holds, outage=None)
        with suppress(Unavailable):
            if self.store.end_outage(account, began_at) and outage:
                self._tell("platform back", account, outage)

    def _tell(self, event: str, account: str, outage: Outage) -> None:
        down = self.clock.now() - outage.began_at
        self.journal.write(event, account=account, down_seconds=round(down.total_seconds()))

    def _was_answered_lately(self, seen: _Seen) -> bool:
        answered_at = seen.answered_at
        return answered_at is not None and self.clock.now() - answered_at < ANSWER_COUNTS

    def _is_known(self, seen: _Seen, now: datetime) -> bool:
        return seen.asked_at is not None and now - seen.asked_at < _KNOWN_FOR

    def _seen(self, account: str) -> _Seen:
        if len(self.seen) > _MOST_ACCOUNTS:
            self.seen.clear()
        return self.seen.get(account) or self.seen.setdefault(account, _Seen())
