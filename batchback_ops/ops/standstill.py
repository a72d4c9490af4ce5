"""Whether a batch stands still, judged from its head and from when things should happen.

A batch ends without help. If it stands still, something around it does not work, and the sentence
names it.
"""

from datetime import datetime, timedelta

from chalicelib.domain.batch import Batch
from chalicelib.domain.transitions import RESERVATION

#: The sweep runs every minute, and may take long.
SWEEP_OVERDUE = timedelta(minutes=5)
#: After this, a check or an attempt that was due must have been made.
LATE = 2 * RESERVATION
#: How long a batch may go on without a finished chunk. A message may run for two minutes.
QUIET = timedelta(minutes=5)


def why_stuck(batch: Batch, now: datetime) -> str | None:
    """The reason in one sentence. None if the batch moves, waits for its time or has no work
    left."""
    if batch.due_at is not None and now - batch.due_at > SWEEP_OVERDUE:
        return f"it was due {_ago(batch.due_at, now)} and was not swept: does sweep run?"
    if batch.is_running:
        return _why_running(batch, now)
    if batch.has_callback_to_come and _is_late(batch.next_try_at, now):
        return f"its callback was due {_ago(batch.next_try_at, now)}: does call_back run?"
    return None


def _why_running(batch: Batch, now: datetime) -> str | None:
    if now - batch.deadline > LATE:
        return f"its deadline was {_ago(batch.deadline, now)}: does advance_batch run?"
    if _is_late(batch.next_check_at, now):
        return f"its check was due {_ago(batch.next_check_at, now)}: does advance_batch run?"
    quiet_since = _quiet_since(batch)
    if batch.waits_until is not None and quiet_since is not None:
        quiet_since = max(quiet_since, batch.waits_until)
    if quiet_since is not None and now - quiet_since >= QUIET:
        return (
            f"no chunk was finished in the last {_span(now - quiet_since)}: "
            "does run_jobs run, and does the platform answer?"
        )
    return None


def _quiet_since(batch: Batch) -> datetime | None:
    """Since when no chunk was finished, as far as the head shows. None if one was, or if that is
    unknown: a restart keeps finished chunks, and is judged only after its first check."""
    if batch.round == 1 and not batch.done:
        return batch.round_began_at
    has_moved = len(batch.done) != batch.done_at_last_check
    return None if has_moved else batch.checked_at


def _is_late(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now - moment > LATE


def _ago(moment: datetime | None, now: datetime) -> str:
    return f"{_span(timedelta() if moment is None else now - moment)} ago"


def _span(time: timedelta) -> str:
    hours, minutes = divmod(int(time / timedelta(minutes=1)), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
