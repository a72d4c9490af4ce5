"""Every change a head can undergo, each as one conditional write.

A change says what must still be true and what is then written, together or not at all. Every one
of them names the submission and the round it was decided for, and the writes about the callback
also its round and the lease, so that of two writers the late one loses and nothing is half done.
"""

from dataclasses import dataclass, field, replace
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

#: When to see whether a submission's own sending got done.
FIRST_CHECK = timedelta(seconds=60)
#: How long after a wait the check comes that sees whether it has ended.
CHECK_AFTER_WAIT = timedelta(seconds=60)
#: From one check to the next; the last repeats.
CHECKS = (timedelta(minutes=30), timedelta(minutes=60))
#: A delivery that has not been recorded by then died: longer than the function may run.
LEASE = timedelta(seconds=150)
#: A worker that began before a stop, and so does not know of it, has ended by then.
WORKERS_END = timedelta(seconds=60) + EARLY
#: How long the sweep gives an SQS message that makes a next try punctual.
GRACE = timedelta(minutes=2)
#: How long a reservation of the sweep keeps other sweeps away: longer than most messages wait in
#: their queue, or there would be more and more of them.
RESERVATION = timedelta(minutes=15)
LAST_HOUR = timedelta(hours=1)


class Fields(TypedDict, total=False):
    """Some fields of a `Batch`, those that changes are about, with their values."""

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

    #: The values that fields must still have.
    only_if: Fields
    #: The new values of fields.
    put: Fields = field(default_factory=Fields)
    #: The new value of `waits_until`, on condition that it is later than the one it has.
    wait_until: datetime | None = None
    #: A chunk that joins `done`, on condition that it is not there yet.
    finish: int | None = None
    #: Whether that chunk joins `unanswered` too, and its counts those of that group.
    finish_unanswered: bool = False
    #: What that chunk adds to the counts of its group.
    finish_counts: Counts = field(default_factory=Counts)
    #: Chunks that leave `done`.
    reopen: frozenset[int] = frozenset()


def finish_chunk(batch: Batch, chunk: Chunk) -> Change:
    """Puts a chunk, all of whose jobs are answered, among the finished ones."""
    return Change(
        only_if=_same_round(batch),
        finish=chunk.number,
        finish_unanswered=holds_unanswered(chunk.answers(batch.round).values()),
        finish_counts=count(chunk, batch.round),
    )


def complete(batch: Batch, now: datetime) -> Change:
    """Ends a batch all of whose chunks are done, and makes its callback due: at once for whoever
    ends it, and for the sweep if nothing has come of that."""
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
    """Records that what was to be sent is sent; written after the last of it was."""
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
    """Ends the sentinel that is under way. Of two that receive it, one does this."""
    return Change(
        only_if={**_going_on(batch), "sentinel_at": batch.sentinel_at}, put={"sentinel_at": None}
    )


def rescue(batch: Batch, now: datetime) -> Change:
    """Ends the sentinel that found a standstill. Until the chunks are sent again the round counts
    as never checked: if the sender dies or fails, its check a minute later sends them."""
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
    """Records that a message of the batch waits, so that nobody takes that for a standstill. Of
    several waits the longest stands, whichever is recorded last."""
    return Change(only_if=_running(batch), wait_until=moment)


def check_now(batch: Batch, token: str, now: datetime) -> Change:
    """Makes a running batch's check due."""
    return Change(
        only_if={**_running(batch), "next_check_at": batch.next_check_at},
        put={"next_check_at": now, "due_at": now, "rerun": token},
    )


def cancel(batch: Batch, token: str, now: datetime) -> Change:
    """Asks for a running batch to end: whoever sees it starts no further call. One that stops ends
    already."""
    return Change(
        only_if={**_running(batch), "stopped": False},
        put={"cancelled": True, "due_at": now, "rerun": token},
    )


def stop(batch: Batch, now: datetime) -> Change:
    """Ends a running batch of which too many jobs failed: whoever sees it starts no further call.
    The rest is answered at its next check, when all calls under way are recorded. One that was
    cancelled ends already."""
    ends_at = now + WORKERS_END
    return Change(
        only_if=_going_on(batch),
        put={"stopped": True, "next_check_at": ends_at, "due_at": ends_at},
    )


def restart(batch: Batch, token: str, now: datetime, deadline: timedelta) -> Change:
    """Begins a new round of a completed batch: the chunks that hold an unanswered job are to do
    again, and a callback follows anew."""
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
    """Begins a new series of attempts at a completed batch's callback. One that is under way may
    still reach the receiver, so the new one begins after its lease."""
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
    """Moves the next check behind a wait, so that the wait is not taken for a standstill."""
    next_check_at = min(moment + CHECK_AFTER_WAIT, batch.deadline)
    return Change(
        only_if={**_going_on(batch), "next_check_at": batch.next_check_at},
        put={"next_check_at": next_check_at, "due_at": next_check_at},
    )


def clear_due(batch: Batch) -> Change:
    """Takes an expired batch out of the sweep's sight, until the database deletes it."""
    return Change(only_if=_same_round(batch), put={"due_at": None})


def take_lease(batch: Batch, token: str, now: datetime) -> Change:
    """Counts an attempt and gives it to the holder of `token`, before anything is sent: a death
    after this is an attempt too, so that a body that kills its sender is not sent for ever."""
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
    """Gives a counted attempt back: what failed was ours, and the receiver was not asked."""
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
    """The receiver has it."""
    return _end_callback(batch, CallbackEvent.TAKEN, made)


def record_refusal(batch: Batch, made: CallbackAttempt) -> Change:
    """No further attempt is made until a repost."""
    return _end_callback(batch, CallbackEvent.GIVEN_UP, made)


def record_failed_attempt(batch: Batch, made: CallbackAttempt, next_try_at: datetime) -> Change:
    """An attempt failed, and the next comes at `next_try_at`. A message with a delay makes it
    punctual; the due time comes later and finds the try made, or the message lost."""
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
    """When the attempt after `batch.attempts` is due; None where it was the last, or where the
    next would come after the batch's life."""
    if batch.attempts >= CALLBACK_TRIES:
        return None
    moment = now + timedelta(seconds=callback_wait(batch.attempts, retry_after, random_unit))
    return moment if moment < batch.expires_at else None


def _due_after_lease(now: datetime) -> datetime:
    """When to see what became of a delivery that begins now; in full minutes, as the sweep comes.
    Completing a batch sets the due time that the lease taken right after it asks for: two writes of
    the index less."""
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
    """The history with what became of its last attempt. Only the last error is kept whole."""
    before = (replace(each, error=each.short_error) for each in batch.history[:-1])
    return (*before, made)


def _same_round(batch: Batch) -> Fields:
    return {"submission": batch.submission, "round": batch.round}


def _running(batch: Batch) -> Fields:
    return {**_same_round(batch), "state": BatchState.RUNNING}


def _going_on(batch: Batch) -> Fields:
    """Cancel and stop set a due time that no check may move."""
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
