"""Whether a batch stands still: what its head says to whoever knows when things should happen.

Nothing here has to be done for a batch to end. A batch that stands still says that something around
it does not work, and the sentence names it.
"""

from datetime import datetime, timedelta

from chalicelib.domain.batch import Batch
from chalicelib.domain.states import CallbackState

#: A sweep runs each minute and reserves a batch for five.
SWEEP_OVERDUE = timedelta(minutes=5)
#: From the time of a check or of a try to when somebody must have made it: two reservations.
LATE = timedelta(minutes=10)
#: Younger batches have a right to be slow.
GROWN_UP = timedelta(hours=1)
#: The second check of a round comes half an hour after the first, and finds what moved in between.
_CHECKS_TO_JUDGE_BY = 2


def why_stuck(batch: Batch, now: datetime) -> str | None:
    """In one sentence; None: it moves, waits for its time, or has nothing left to do."""
    if batch.due_at is not None and now - batch.due_at > SWEEP_OVERDUE:
        return f"it was due {_ago(batch.due_at, now)} and nothing swept it: does sweep run?"
    if batch.is_running:
        return _why_running(batch, now)
    if batch.callback is CallbackState.WAITING and _is_late(batch.next_try_at, now):
        return f"its callback was due {_ago(batch.next_try_at, now)}: does advance_batch run?"
    return None


def _why_running(batch: Batch, now: datetime) -> str | None:
    if now - batch.deadline > LATE:
        return f"its deadline was {_ago(batch.deadline, now)}: does advance_batch run?"
    if _is_late(batch.next_check_at, now):
        return f"its check was due {_ago(batch.next_check_at, now)}: does advance_batch run?"
    if now - batch.created_at > GROWN_UP and _has_not_moved(batch):
        return (
            f"no chunk was finished since the check {_ago(batch.checked_at, now)}: "
            "does run_jobs run, and does the platform answer?"
        )
    return None


def _has_not_moved(batch: Batch) -> bool:
    return batch.checks >= _CHECKS_TO_JUDGE_BY and len(batch.done) == batch.done_at_last_check


def _is_late(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now - moment > LATE


def _ago(moment: datetime | None, now: datetime) -> str:
    minutes = 0 if moment is None else int((now - moment) / timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min ago" if hours else f"{rest} min ago"
