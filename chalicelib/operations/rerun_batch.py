"""Restart, repost or cancel a batch: each is one conditional write to the head, then a message that
triggers the work. If the message is lost, the due time that the same write sets triggers it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain import transitions
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.limits import Slot
from chalicelib.domain.message import BatchMessage
from chalicelib.domain.states import CallbackState
from chalicelib.domain.transitions import Change
from chalicelib.errors import (
    Conflict,
    NotCompleted,
    ParameterMissing,
)
from chalicelib.operations.admit_batch import BatchAdmission
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.find_batch import find_batch
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue
from chalicelib.operations.sent_later import sent_later

#: After losing this many writes in a row, the caller learns that the batch keeps changing.
_TRIES = 5

#: Returns what a rerun would change in a batch, or None if there is nothing to change, which is
#: fine.
Decide = Callable[[Batch, str, datetime], Change | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRerunner:
    """Reruns a batch. Each action is judged by the state that its write finds, and judged again if
    the batch moved on in between."""

    admission: BatchAdmission
    completion: BatchCompletion
    store: BatchStore
    queue: Queue
    clock: Clock
    journal: Journal
    new_id: Callable[[], str]
    deadline: timedelta

    def restart(self, caller: Caller, batch_id: str) -> None:
        """In a completed batch, run the jobs again whose calls never got an answer. Have a running
        batch checked."""
        self._change("restarted", caller, batch_id, self._restart)

    def repost(self, caller: Caller, batch_id: str) -> None:
        """Send the callback of a completed batch again."""
        self._change("reposted", caller, batch_id, self._repost)

    def cancel(self, caller: Caller, batch_id: str) -> None:
        """End a running batch. A stopped or completed batch stays as it is."""
        self._change("cancelled", caller, batch_id, self._cancel)

    def _restart(self, batch: Batch, token: str, now: datetime) -> Change | None:
        if batch.is_running and batch.cancelled:
            raise Conflict("The batch is being cancelled")
        if batch.is_running and batch.stopped:
            raise Conflict("The batch is being stopped")
        if batch.is_near_its_end(now):
            raise Conflict("The batch is too near the end of its life to be restarted")
        if batch.is_completed:
            return transitions.restart(batch, token, now, self._deadline_of(batch))
        if batch.was_checked_lately(now) or batch.waits(now):
            return None
        return transitions.check_now(batch, token, now)

    def _deadline_of(self, batch: Batch) -> timedelta:
        """The deadline from the submission, or the stage's current default if it gave none."""
        terms = self.store.find_terms(batch)
        return terms.deadline if terms and terms.deadline else self.deadline

    def _repost(self, batch: Batch, token: str, now: datetime) -> Change:
        if not batch.is_completed:
            raise NotCompleted
        if batch.callback is CallbackState.NONE:
            raise ParameterMissing("callbackUrl")
        return transitions.repost(batch, token, now)

    def _cancel(self, batch: Batch, token: str, now: datetime) -> Change | None:
        is_ending = batch.stopped or not batch.is_running
        return None if is_ending else transitions.cancel(batch, token, now)

    def _change(self, what: str, caller: Caller, batch_id: str, decide: Decide) -> None:
        token = self.new_id()
        for _ in range(_TRIES):
            now = self.clock.now()
            batch = find_batch(self.store, caller, batch_id, now)
            if batch.rerun == token:
                break
            change = decide(batch, token, now)
            if change is None:
                return
            changed = self._make(batch, change, now)
            if changed:
                batch = changed
                break
        else:
            raise Conflict("The batch keeps changing: retry")
        self.journal.write(f"batch {what}", batch_id=batch_id, account=caller.account)
        with sent_later(batch, self.journal):
            self._send(batch)

    def _send(self, batch: Batch) -> None:
        if batch.is_completed:
            self.completion.announce(batch)
        else:
            self.queue.send_batch(BatchMessage.of(batch))

    def _make(self, batch: Batch, change: Change, now: datetime) -> Batch | None:
        """Return the changed batch, or None if the change was not made. A new round is first
        admitted like a submission, with the jobs that run again."""
        if "round" not in change.put:
            return self.store.change(batch, change)
        again = replace(batch, round=batch.round + 1, round_began_at=now)
        self.admission.admit(again, batch.answered.unanswered)
        if changed := self.store.change(batch, change):
            return changed
        standing = self.store.find(batch.batch_id)
        if standing is None or Slot.of(standing) != Slot.of(again):
            self.admission.undo(again, batch.answered.unanswered)
        return None
