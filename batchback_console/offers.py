"""What can be done to a batch now: what each action would do, or why it cannot be done.

An offer is judged from the batch's head alone. It carries what it was judged by (`seen`), so that
it cannot be accepted twice, or after the batch has moved on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from batchback_console.summary import when
from chalicelib.domain.batch import BETWEEN_RESTARTS, Batch
from chalicelib.domain.retry import CALLBACK_TRIES
from chalicelib.domain.states import CallbackState
from chalicelib.domain.transitions import GRACE


class NotNow(Exception):
    """An action cannot be done now. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One action, as it can be done now."""

    name: str
    title: str
    may: bool
    #: What will happen, or why nothing can.
    effect: str
    seen: str


def offers(batch: Batch, now: datetime) -> list[Offer]:
    """Every action, in the order in which they are shown."""
    return [offer(name, batch, now) for name in ACTIONS]


def offer(name: str, batch: Batch, now: datetime) -> Offer:
    try:
        may, effect = True, ACTIONS[name](batch, now)
    except NotNow as why:
        may, effect = False, str(why)
    return Offer(
        name=name, title=_title(name, batch), may=may, effect=effect, seen=_seen(name, batch)
    )


def _seen(name: str, batch: Batch) -> str:
    """What an action was judged by: it differs if the action would do something else. Canceling or
    rerunning twice has the same effect as once."""
    matters: dict[str, tuple[object, ...]] = {
        "restart": (batch.state,),
        "repost": (batch.callback, batch.callback_round),
    }
    return "-".join(map(str, (batch.life, batch.round, *matters.get(name, ()))))


def _title(name: str, batch: Batch) -> str:
    return "Check now" if name == "restart" and batch.is_running else _TITLES[name]


_TITLES = {
    "restart": "Restart",
    "repost": "Send the callback again",
    "cancel": "Cancel",
    "rerunFailed": "Rerun failed jobs",
}


# ---- restart


def _restart(batch: Batch, now: datetime) -> str:
    if batch.is_running:
        _require_that_it_is_not_ending(batch)
    if batch.is_near_its_end(now):
        raise NotNow(f"It expires at {when(batch.expires_at)}, too soon to run jobs again.")
    return _check(batch, now) if batch.is_running else _new_round(batch)


def _check(batch: Batch, now: datetime) -> str:
    if batch.waits(now):
        raise NotNow(
            f"Its jobs wait until {when(batch.waits_until)}: a check would change nothing."
        )
    if batch.checked_at is not None and batch.was_checked_lately(now):
        again = when(batch.checked_at + BETWEEN_RESTARTS)
        raise NotNow(f"It was checked at {when(batch.checked_at)}: check it again at {again}.")
    return (
        "Checks now whether messages of the batch got lost, and sends those again within about 15 "
        "minutes. No job that has an answer runs again."
    )


def _new_round(batch: Batch) -> str:
    unanswered = batch.answered.unanswered
    failed = batch.answered.failed - unanswered
    if not unanswered:
        raise NotNow("Every job got an answer, so there is nothing to run again.")
    return _sentences(
        f"Reruns {_the_jobs(unanswered)} whose call never got an answer.",
        failed == 1 and "The failed job keeps its answer.",
        failed > 1 and f"The {failed:,} failed jobs keep their answers.",
        batch.callback is not CallbackState.NONE and "Then the callback is sent again.",
    )


# ---- repost


def _repost(batch: Batch, now: datetime) -> str:
    if batch.callback is CallbackState.NONE:
        raise NotNow("The batch has no callback URL.")
    if batch.is_running:
        raise NotNow("The batch is still running: its callback is sent when it ends.")
    if batch.is_leased(now) or _is_about_to_be_sent(batch, now):
        raise NotNow("The callback is being sent now.")
    return f"{_why_again(batch, now)} There are up to {CALLBACK_TRIES} attempts."


def _is_about_to_be_sent(batch: Batch, now: datetime) -> bool:
    return batch.next_try_at is not None and batch.next_try_at <= now < batch.next_try_at + GRACE


def _why_again(batch: Batch, now: datetime) -> str:
    if batch.callback is CallbackState.DELIVERED:
        return "Sends the callback again, although the receiver accepted it."
    if batch.next_try_at is not None and now < batch.next_try_at:
        return f"Sends the callback now instead of at {when(batch.next_try_at)}."
    return "Sends the callback again."


# ---- cancel


def _cancel(batch: Batch, _now: datetime) -> str:
    if batch.is_completed:
        raise NotNow(f"The batch has ended: it is {batch.status}.")
    _require_that_it_is_not_ending(batch)
    waiting = batch.total - batch.answered.total
    return _sentences(
        f"Ends the batch: up to {_jobs(waiting)} without an answer will not be called.",
        "Calls in progress are finished, and answers are kept.",
        batch.callback is not CallbackState.NONE and "Then the callback is sent.",
    )


def _require_that_it_is_not_ending(batch: Batch) -> None:
    if batch.cancelled:
        raise NotNow("The batch is being cancelled.")
    if batch.stopped:
        raise NotNow("The batch is being stopped, because more jobs failed than `maxFailed`.")


# ---- rerun the failed jobs


def _rerun_failed(batch: Batch, _now: datetime) -> str:
    if batch.is_running:
        raise NotNow("The batch is still running: its failed jobs can be run again when it ends.")
    failed, unanswered = batch.answered.failed, batch.answered.unanswered
    if not failed:
        raise NotNow("No job failed.")
    return _sentences(
        f"Submits {_the_jobs(failed)} that did not succeed as a new batch, with the same callback, "
        "label, metadata and deadline.",
        unanswered and f"Of these, {unanswered:,} never got an answer.",
        batch.max_failed is not None and "`maxFailed` is left out.",
        "This batch stays as it is.",
    )


ACTIONS: dict[str, Callable[[Batch, datetime], str]] = {
    "restart": _restart,
    "repost": _repost,
    "cancel": _cancel,
    "rerunFailed": _rerun_failed,
}


def _sentences(*texts: str | int | bool) -> str:
    return " ".join(str(text) for text in texts if text)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


def _the_jobs(count: int) -> str:
    return "the one job" if count == 1 else f"the {count:,} jobs"
