"""A short description of a batch, for the list, from its head alone.

A sentence contains times as `{2026-11-30T09:12:00.000Z}`; the page shows them in its reader's zone.
"""

from datetime import datetime
from typing import Any

from batchback_ops.ops.batch_life import time
from batchback_ops.ops.standstill import why_stuck
from chalicelib.domain.batch import Batch
from chalicelib.domain.holds import Holds, Outage
from chalicelib.domain.states import CallbackState

#: How much of the error of a callback is shown.
_ERROR_CHARACTERS = 300


def row(batch: Batch, holds: Holds, now: datetime) -> dict[str, Any]:
    """A batch in the list. Jobs are counted once their whole chunk is done."""
    return {
        "id": batch.batch_id,
        "label": batch.label,
        "account": batch.account,
        "status": batch.status,
        "round": batch.round,
        "jobs": _jobs(batch),
        "createdAt": time(batch.created_at),
        "completedAt": time(batch.completed_at),
        "deadline": time(batch.deadline),
        "expiresAt": time(batch.expires_at),
        "callback": _callback(batch),
        "trouble": trouble(batch, now),
        "waits": _waits(batch, holds, now),
    }


def may_wait(batch: Batch, now: datetime) -> bool:
    """Whether jobs of the batch are still to be called, so that something may hold them up."""
    return batch.is_running and not batch.is_to_be_ended(now)


def trouble(batch: Batch, now: datetime) -> str | None:
    """What is wrong with the batch in one sentence, or None."""
    if stuck := why_stuck(batch, now):
        return stuck[0].upper() + stuck[1:]
    if batch.callback is CallbackState.FAILED:
        return f"The callback failed{_because(batch)}."
    if batch.last_attempt and batch.next_try_at:
        again = f"next try at {when(batch.next_try_at)}"
        return f"The callback failed {_times(batch.attempts)}{_because(batch)}; {again}."
    return None


def is_in_trouble(batch: Batch, holds: Holds, now: datetime) -> bool:
    """Whether something is wrong with the batch, or holds it up."""
    return bool(trouble(batch, now) or _waits(batch, holds, now))


def when(moment: datetime | None) -> str:
    """A time as the page finds it in a sentence, to show it in the reader's zone."""
    return f"{{{time(moment)}}}"


def last_error(batch: Batch) -> str | None:
    """Why the last attempt at the callback failed; None if it did not."""
    error = batch.last_attempt and batch.last_attempt.error
    return error[:_ERROR_CHARACTERS] if error else None


def _jobs(batch: Batch) -> dict[str, int]:
    counts = batch.answered
    return {
        "total": batch.total,
        "succeeded": counts.succeeded,
        "failed": counts.failed - counts.unanswered,
        "unanswered": counts.unanswered,
        "waiting": batch.total - counts.total,
    }


def _callback(batch: Batch) -> dict[str, Any]:
    return {
        "state": batch.callback.value,
        "attempts": batch.attempts,
        "nextTryAt": time(batch.next_try_at) if batch.has_callback_to_come else None,
        "lastError": last_error(batch),
    }


def _waits(batch: Batch, holds: Holds, now: datetime) -> dict[str, str | None] | None:
    """What the batch's jobs wait for, and until when; None if they do not wait.

    The batch itself records only waits of more than a minute. An outage begins with shorter ones.
    """
    if not may_wait(batch, now):
        return None
    hold = holds.hold(now)
    if hold and hold.reason == "pause" and holds.pause:
        until, reason = when(hold.until), holds.pause.reason
        return _wait(f"An operator has paused all jobs until {until}. Reason: {reason}", hold.until)
    if holds.outage:
        return _wait(_down(holds.outage, now), holds.outage.until)
    if batch.waits(now):
        until = when(batch.waits_until)
        delayed = "Jobs are delayed after a failed call or a pause."
        return _wait(f"{delayed} They run by {until} at the latest.", batch.waits_until)
    return None


def _wait(sentence: str, until: datetime | None) -> dict[str, str | None]:
    return {"sentence": sentence, "until": time(until)}


def _down(outage: Outage, now: datetime) -> str:
    since = f"The platform has been down since {when(outage.began_at)}."
    if now < outage.until:
        return f"{since} Next try at {when(outage.until)}."
    return f"{since} It is being called again now."


def _because(batch: Batch) -> str:
    error = last_error(batch)
    return f": {error}" if error else ""


def _times(attempts: int) -> str:
    return "once" if attempts == 1 else f"{attempts} times"
