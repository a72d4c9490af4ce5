"""Every change a head can undergo, each as one conditional write.

A change says what must still be true and what is then written, all of it or nothing. Every change
names the submission and the round that it was decided for, and changes of the callback also name
its round and lease. So if there are two writers, the later one fails, and no change is half made.
"""

from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import TypedDict

from chalicelib.domain.batch import (
    EARLY,
    Batch,
    CallbackAttempt,
    Chunk,
    Counts,
    holds_unanswered,
)
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.results import count
from chalicelib.domain.retry import CALLBACK_TRIES, callback_wait
from chalicelib.domain.states import (
    BATCH_MOVES,
    CALLBACK_MOVES,
    BatchEvent,
    BatchState,
    CallbackEvent,
    CallbackState,
    after,
)

#: When to check that a submission has sent all its messages.
FIRST_CHECK = timedelta(seconds=60)
#: How long after a wait to check that it has ended.
CHECK_AFTER_WAIT = timedelta(seconds=60)
#: The time from one check to the next; the last one repeats.
CHECKS = (timedelta(minutes=30), timedelta(minutes=60))
#: A delivery that is not recorded within this time has died: it is longer than the function's
#: timeout.
LEASE = timedelta(seconds=150)
#: Within this time, workers that began before a stop and so do not know of it have ended.
WORKERS_END = timedelta(seconds=60) + EARLY
#: How long the sweep waits for the delayed SQS message that makes the next attempt on time.
GRACE = timedelta(minutes=2)
#: How long a reservation of the sweep keeps other sweeps away. It is longer than most messages wait
#: in their queue, because otherwise they would accumulate.
RESERVATION = timedelta(minutes=15)
LAST_HOUR = timedelta(hours=1)


class Fields(TypedDict, total=False):
    """Values for those fields of a `Batch` that changes are about."""

    submission: str
    state: BatchState
    round: int
    round_began_at: datetime
    deadline: datetime
    completed_at: datetime | None
    cancelled: bool
    stopped: bool
    unanswered: frozenset[int]
    unanswered_counts: Counts
    next_check_at: datetime | None
    checks: int
    checked_at: datetime | None
    done_at_last_check: int
    waits_until: datetime | None
    sentinel_at: datetime | None
    callback: CallbackState
    callback_round: int
    attempts: int
    next_try_at: datetime | None
    lease: str | None
    lease_ends_at: datetime | None
    history: tuple[CallbackAttempt, ...]
    due_at: datetime | None
    rerun: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One conditional write to a head."""

    #: The values that these fields must still have.
    only_if: Fields
    #: The new values of these fields.
    put: Fields = field(default_factory=Fields)
    #: The new value of `waits_until`, which must be later than the current one.
    wait_until: datetime | None = None
    #: A chunk to add to `done`, which must not contain it yet.
    finish: int | None = None
    #: Whether to add that chunk to `unanswered` and `unanswered_counts` too.
    finish_unanswered: bool = False
    #: What to add to the counts for that chunk.
    finish_counts: Counts = field(default_factory=Counts)
    #: Chunks to remove from `done`.
    reopen: frozenset[int] = frozenset()


def finish_chunk(batch: Batch, chunk: Chunk) -> Change:
    """Add a chunk whose jobs are all answered to the finished ones."""
    return Change(
        only_if=_same_round(batch),
        finish=chunk.number,
        finish_unanswered=holds_unanswered(chunk.answers(batch.round).values()),
        finish_counts=count(chunk, batch.round),
    )


def complete(batch: Batch, now: datetime) -> Change:
    """End a batch whose chunks are all done, and make its callback due. The worker that ends the
    batch sends it immediately; if that fails, the sweep finds it later."""
    is_due = batch.callback is CallbackState.WAITING
    first_try_at = batch.delivers_from(now)
    return Change(
        only_if={**_running(batch), "cancelled": batch.cancelled, "stopped": batch.stopped},
        put={
            "state": after(BATCH_MOVES, batch.state, BatchEvent.ALL_CHUNKS_DONE),
            "completed_at": now,
            "next_check_at": None,
            "next_try_at": first_try_at if is_due else None,
            "due_at": _due_after_lease(first_try_at) if is_due else None,
        },
    )


def record_check(batch: Batch, now: datetime, *, sends_sentinel: bool = False) -> Change:
    """Record that everything due at a check was sent. Written after the last message was sent."""
    next_check_at = min(now + CHECKS[min(batch.checks, len(CHECKS) - 1)], batch.deadline)
    return Change(
        only_if={**_going_on(batch), "checks": batch.checks},
        put={
            "checks": batch.checks + 1,
            "checked_at": now,
            "done_at_last_check": len(batch.done),
            "next_check_at": next_check_at,
            "due_at": next_check_at,
            **(Fields(sentinel_at=now) if sends_sentinel else Fields()),
        },
    )


def clear_sentinel(batch: Batch) -> Change:
    """End the current sentinel. If it is received twice, only one receiver succeeds."""
    return Change(
        only_if={**_going_on(batch), "sentinel_at": batch.sentinel_at}, put={"sentinel_at": None}
    )


def rescue(batch: Batch, now: datetime) -> Change:
    """End the sentinel that found a standstill. Until the chunks are sent again the round counts as
    never checked: if the sender dies or fails, the check a minute later sends them."""
    next_check_at = now + FIRST_CHECK
    return Change(
        only_if={**_going_on(batch), "sentinel_at": batch.sentinel_at},
        put={
            "sentinel_at": None,
            "checks": 0,
            "next_check_at": next_check_at,
            "due_at": next_check_at,
        },
    )


def wait_until(batch: Batch, moment: datetime) -> Change:
    """Record that a message of the batch waits, so that the wait is not mistaken for a standstill.
    Of several waits the longest is kept, whichever is recorded last."""
    return Change(only_if=_running(batch), wait_until=moment)


def check_now(batch: Batch, token: str, now: datetime) -> Change:
    """Make a running batch's check due now."""
    return Change(
        only_if={**_running(batch), "next_check_at": batch.next_check_at},
        put={"next_check_at": now, "due_at": now, "rerun": token},
    )


def cancel(batch: Batch, token: str, now: datetime) -> Change:
    """Ask for a running batch to end: workers that see this start no further call. Fails if the
    batch is already stopping."""
    return Change(
        only_if={**_running(batch), "stopped": False},
        put={"cancelled": True, "due_at": now, "rerun": token},
    )


def stop(batch: Batch, now: datetime) -> Change:
    """End a running batch in which too many jobs failed: workers that see this start no further
    call. The remaining jobs are answered at the next check, when all calls in progress are
    recorded. Fails if the batch is already cancelled."""
    ends_at = now + WORKERS_END
    return Change(
        only_if=_going_on(batch),
        put={"stopped": True, "next_check_at": ends_at, "due_at": ends_at},
    )


def restart(batch: Batch, token: str, now: datetime, deadline: timedelta) -> Change:
    """Begin a new round of a completed batch: the chunks that contain an unanswered job are run
    again, followed by a new callback."""
    return Change(
        only_if=_completed(batch),
        put={
            "state": after(BATCH_MOVES, batch.state, BatchEvent.RESTARTED),
            "round": batch.round + 1,
            "round_began_at": now,
            "completed_at": None,
            "cancelled": False,
            "stopped": False,
            "unanswered": frozenset(),
            "unanswered_counts": Counts(),
            **_no_checks_yet(now),
            "deadline": min(now + deadline, batch.expires_at - LAST_HOUR),
            **_new_callback(batch),
            "next_try_at": None,
            "due_at": now,
            "rerun": token,
        },
        reopen=batch.unanswered,
    )


def repost(batch: Batch, token: str, now: datetime) -> Change:
    """Begin a new series of attempts at a completed batch's callback. An attempt in progress may
    still reach the receiver, so the new series begins after its lease."""
    first_try_at = batch.delivers_from(now)
    return Change(
        only_if={
            **_completed(batch),
            "callback_round": batch.callback_round,
            "lease_ends_at": batch.lease_ends_at,
        },
        put={
            **_new_callback(batch),
            "next_try_at": first_try_at,
            "due_at": first_try_at,
            "rerun": token,
        },
    )


def postpone_check(batch: Batch, moment: datetime) -> Change:
    """Move the next check to after a wait, so that the wait is not mistaken for a standstill."""
    next_check_at = min(moment + CHECK_AFTER_WAIT, batch.deadline)
    return Change(
        only_if={**_going_on(batch), "next_check_at": batch.next_check_at},
        put={"next_check_at": next_check_at, "due_at": next_check_at},
    )


def clear_due(batch: Batch) -> Change:
    """Hide an expired batch from the sweep until the database deletes it."""
    return Change(only_if=_same_round(batch), put={"due_at": None})


def take_lease(batch: Batch, token: str, now: datetime) -> Change:
    """Count an attempt and lease it to the holder of `token`, before anything is sent. So an
    attempt whose sender dies is counted too, and a body that kills its sender is not sent
    forever."""
    lease_ends_at = now + LEASE
    return Change(
        only_if={**_delivering(batch), "attempts": batch.attempts},
        put={
            "lease": token,
            "lease_ends_at": lease_ends_at,
            "attempts": batch.attempts + 1,
            "history": (*batch.history, CallbackAttempt(at=now)),
            "next_try_at": lease_ends_at,
            "due_at": _due_after_lease(now),
        },
    )


def return_attempt(batch: Batch, now: datetime) -> Change:
    """Undo a counted attempt: the failure was ours, and the receiver was not called."""
    return Change(
        only_if=_delivering(batch),
        put={
            "lease": None,
            "lease_ends_at": None,
            "attempts": batch.attempts - 1,
            "history": batch.history[:-1],
            "next_try_at": now + GRACE,
            "due_at": now + GRACE,
        },
    )


def record_delivery(batch: Batch, made: CallbackAttempt) -> Change:
    """Record that the receiver took the callback."""
    return _end_callback(batch, CallbackEvent.TAKEN, made)


def record_refusal(batch: Batch, made: CallbackAttempt) -> Change:
    """Record that no further attempt is made until a repost."""
    return _end_callback(batch, CallbackEvent.GIVEN_UP, made)


def record_failed_attempt(batch: Batch, made: CallbackAttempt, next_try_at: datetime) -> Change:
    """Record that an attempt failed and that the next one is due at `next_try_at`. A delayed
    message makes that attempt on time; the later `due_at` covers the case that the message was
    lost."""
    return Change(
        only_if=_delivering(batch),
        put={
            "lease": None,
            "lease_ends_at": None,
            "callback": after(CALLBACK_MOVES, batch.callback, CallbackEvent.FAILED_FOR_NOW),
            "history": _with_outcome(batch, made),
            "next_try_at": next_try_at,
            "due_at": next_try_at + GRACE,
        },
    )


def next_try_at(
    batch: Batch, now: datetime, retry_after: float | None, random_unit: float
) -> datetime | None:
    """Return when the attempt after `batch.attempts` is due; None if that was the last one, or if
    the next would be after the batch expires."""
    if batch.attempts >= CALLBACK_TRIES:
        return None
    moment = now + timedelta(seconds=callback_wait(batch.attempts, retry_after, random_unit))
    return moment if moment < batch.expires_at else None


def _due_after_lease(now: datetime) -> datetime:
    """Return when to check the outcome of a delivery that begins now, in full minutes, as the sweep
    runs. Completing a batch and taking the lease right after it set the same due time, which saves
    two writes of the index."""
    return (now + LEASE + timedelta(minutes=1)).replace(second=0, microsecond=0)


def _end_callback(batch: Batch, event: CallbackEvent, made: CallbackAttempt) -> Change:
    return Change(
        only_if=_delivering(batch),
        put={
            "callback": after(CALLBACK_MOVES, batch.callback, event),
            "lease": None,
            "lease_ends_at": None,
            "history": _with_outcome(batch, made),
            "next_try_at": None,
            "due_at": None,
        },
    )


def _with_outcome(batch: Batch, made: CallbackAttempt) -> tuple[CallbackAttempt, ...]:
    """Return the history with the outcome of its last attempt. Only the last error is kept in
    full."""
    before = (replace(each, error=each.short_error) for each in batch.history[:-1])
    return (*before, made)


def _same_round(batch: Batch) -> Fields:
    return {"submission": batch.submission, "round": batch.round}


def _running(batch: Batch) -> Fields:
    return {**_same_round(batch), "state": BatchState.RUNNING}


def _going_on(batch: Batch) -> Fields:
    """Require that the batch is running and neither cancelled nor stopped, because both set a due
    time that no check may move."""
    return {**_running(batch), "cancelled": False, "stopped": False}


def _completed(batch: Batch) -> Fields:
    return {**_same_round(batch), "state": BatchState.COMPLETED}


def _no_checks_yet(first_at: datetime) -> Fields:
    return {
        "checks": 0,
        "checked_at": None,
        "done_at_last_check": 0,
        "waits_until": None,
        "sentinel_at": None,
        "next_check_at": first_at,
    }


def _new_callback(batch: Batch) -> Fields:
    return {
        "callback": after(CALLBACK_MOVES, batch.callback, CallbackEvent.ASKED_ANEW),
        "callback_round": batch.callback_round + 1,
        "attempts": 0,
        "lease": None,
        "history": (),
    }


def _delivering(batch: Batch) -> Fields:
    return {
        **_completed(batch),
        "callback": CallbackState.WAITING,
        "callback_round": batch.callback_round,
        "lease": batch.lease,
    }
