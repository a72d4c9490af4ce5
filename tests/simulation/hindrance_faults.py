"""The handling of errors, waits, losses, outages and pauses, broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from chalicelib.domain import retry, transitions
from chalicelib.domain.batch import Batch
from chalicelib.domain.holds import Holds, Outage
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.transitions import Change
from chalicelib.operations.admit_batch import BatchAdmission
from chalicelib.operations.check_batch import BatchChecker
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.hand_over import Handover
from chalicelib.operations.rerun_batch import BatchRerunner
from chalicelib.operations.run_jobs import JobRunner
from chalicelib.operations.watch_platform import PlatformWatch
from chalicelib.operations.work import Work
from tests.fakes.dynamodb import FakeBatchStore


@contextmanager
def checks_that_ignore_waits() -> Iterator[None]:
    """A check mistakes a waiting batch for one at a standstill."""
    check = BatchChecker.check

    def impatient(self: BatchChecker, batch: Batch) -> None:
        check(self, replace(batch, waits_until=None))

    with patch.object(BatchChecker, "check", impatient):
        yield


@contextmanager
def restarts_that_ignore_waits() -> Iterator[None]:
    """A restart has a waiting batch checked."""
    restart = BatchRerunner._restart

    def impatient(self: BatchRerunner, batch: Batch, *more: Any) -> Any:
        return restart(self, replace(batch, waits_until=None), *more)

    with patch.object(BatchRerunner, "_restart", impatient):
        yield


@contextmanager
def a_pause_that_is_ignored() -> Iterator[None]:
    """Jobs are called while an operator has paused the stage."""
    hold = Holds.hold

    with patch.object(Holds, "hold", lambda self, now: hold(replace(self, pause=None), now)):
        yield


@contextmanager
def an_error_mistaken_for_a_death() -> Iterator[None]:
    """An error is raised, and the message comes back when it is visible again."""

    def give_up(self: Handover, messages: Any, error: Any, batch: Any = None) -> None:
        raise error

    with patch.object(Handover, "jobs_after_error", give_up):
        yield


@contextmanager
def errors_without_backoff() -> Iterator[None]:
    """Work that failed is retried immediately."""
    with patch.object(retry, "error_wait", lambda errors, random_unit: 0):
        yield


@contextmanager
def errors_never_counted() -> Iterator[None]:
    """Each error of a message counts as its first."""
    handed_on = JobsMessage.handed_on

    def forgetful(self: JobsMessage, indexes: Any, **more: Any) -> JobsMessage:
        return replace(handed_on(self, indexes, **more), errors=1)

    with (
        patch.object(JobsMessage, "handed_on", forgetful),
        patch.object(JobsMessage, "after_error", lambda self: replace(self, errors=1)),
    ):
        yield


@contextmanager
def errors_that_forget_what_the_platform_asked() -> Iterator[None]:
    """A job whose delayed message could not be sent goes on after only the wait for an error."""
    with patch.object(Work, "asked_to_wait", 0):
        yield


@contextmanager
def a_sentinel_that_stays() -> Iterator[None]:
    """Receiving a sentinel does not clear it, and any sentinel counts as the current one."""

    def keep(batch: Batch, *_: Any) -> Change:
        return Change(only_if=transitions._going_on(batch))

    with (
        patch.object(transitions, "clear_sentinel", keep),
        patch.object(transitions, "rescue", keep),
    ):
        yield


@contextmanager
def a_sentinel_that_does_not_compare() -> Iterator[None]:
    """Receiving a sentinel means that the messages before it were lost, without comparing."""
    with patch.object(BatchChecker, "_has_moved", lambda *_: False):
        yield


@contextmanager
def a_rescue_that_is_not_finished() -> Iterator[None]:
    """If the sender dies after clearing the sentinel, nothing is due."""
    with patch.object(transitions, "rescue", lambda batch, now: transitions.clear_sentinel(batch)):
        yield


@contextmanager
def a_completion_that_is_not_announced() -> Iterator[None]:
    """The callback of a completed batch waits for the sweep."""
    with patch.object(BatchCompletion, "announce", lambda *_: None):
        yield


@contextmanager
def a_completion_that_keeps_the_slot() -> Iterator[None]:
    """The slot of a completed batch stays taken."""
    with patch.object(BatchAdmission, "leave", lambda *_: None):
        yield


def _ended_lease(change: str) -> Callable[[], AbstractContextManager[None]]:
    """A new callback may begin while the old one is under way."""
    make = getattr(transitions, change)

    @contextmanager
    def fault() -> Iterator[None]:
        def hasty(batch: Batch, *args: Any) -> Change:
            made = make(replace(batch, lease_ends_at=None), *args)
            only_if = {name: is_ for name, is_ in made.only_if.items() if name != "lease_ends_at"}
            changed: Change = replace(
                made, only_if=only_if, put={**made.put, "lease_ends_at": None}
            )
            return changed

        with patch.object(transitions, change, hasty):
            yield

    return fault


@contextmanager
def attempts_used_while_the_platform_is_away() -> Iterator[None]:
    """A call that found the platform away uses an attempt like any other."""
    with patch.object(PlatformWatch, "spares", lambda *_: False):
        yield


@contextmanager
def a_message_held_up_forever() -> Iterator[None]:
    """An outage holds up a message no matter how long it has waited."""
    hold_of = PlatformWatch._holds

    def patient(self: PlatformWatch, message: JobsMessage, now: datetime) -> Holds:
        return hold_of(self, replace(message, away_since=None), now)

    with patch.object(PlatformWatch, "_holds", patient):
        yield


@contextmanager
def an_outage_that_never_ends() -> Iterator[None]:
    """An answer does not end an outage."""
    with patch.object(PlatformWatch, "_end", lambda *_: None):
        yield


@contextmanager
def an_outage_moved_without_its_condition() -> Iterator[None]:
    """Any call that finds the platform down moves the time, no matter what happened to the
    outage."""

    def move(self: FakeBatchStore, account: str, seen: Outage, later: Outage) -> bool:
        self.outages[account] = later
        return True

    with patch.object(FakeBatchStore, "move_outage", move):
        yield


@contextmanager
def a_message_past_its_last_attempt_that_calls() -> Iterator[None]:
    """A job whose last answer could not be recorded is called once more."""
    answer = JobRunner._answer

    def once_more(self: JobRunner, work: Work) -> None:
        work.message = replace(work.message, attempt=min(work.message.attempt, retry.JOB_TRIES))
        answer(self, work)

    with patch.object(JobRunner, "_answer", once_more):
        yield


def _after_an_error(*, is_not_started: bool, next_attempt: bool) -> Any:
    """The jobs that were not started, or the others, go on with a wrong attempt."""

    @contextmanager
    def fault() -> Iterator[None]:
        def after_error(self: Work) -> Iterator[JobsMessage]:
            waiting = set(self.not_started)
            if not self.open:
                yield self.message.after_error()
            for indexes, counts in ((waiting, False), (self.open.keys() - waiting, True)):
                is_hit = (indexes is waiting) is is_not_started
                if indexes:
                    yield self.message.handed_on(
                        sorted(indexes),
                        next_attempt=next_attempt if is_hit else counts,
                        after_error=True,
                    )

        with patch.object(Work, "after_error", after_error):
            yield

    return fault


@contextmanager
def jobs_not_started_that_lose_an_attempt() -> Iterator[None]:
    """A job that was held up starts its attempts over."""
    held_up = JobsMessage.held_up

    def forgetful(self: JobsMessage, indexes: Any, away_since: datetime | None) -> JobsMessage:
        return replace(held_up(self, indexes, away_since), attempt=max(1, self.attempt - 1))

    with patch.object(JobsMessage, "held_up", forgetful):
        yield


@contextmanager
def a_check_that_moves_the_due_time_of_a_cancel() -> Iterator[None]:
    """Recording or postponing a check ignores that the batch is cancelled."""
    with patch.object(transitions, "_going_on", transitions._running):
        yield


HINDRANCE_FAULTS: dict[str, Any] = {
    "a_repost_that_ends_the_lease": _ended_lease("repost"),
    "a_restart_that_ends_the_lease": _ended_lease("restart"),
    "jobs_not_started_that_use_an_attempt": _after_an_error(is_not_started=True, next_attempt=True),
    "jobs_called_that_use_no_attempt": _after_an_error(is_not_started=False, next_attempt=False),
    **{
        fault.__name__: fault
        for fault in (
            checks_that_ignore_waits,
            restarts_that_ignore_waits,
            a_pause_that_is_ignored,
            an_error_mistaken_for_a_death,
            errors_without_backoff,
            errors_never_counted,
            errors_that_forget_what_the_platform_asked,
            a_sentinel_that_stays,
            a_sentinel_that_does_not_compare,
            a_rescue_that_is_not_finished,
            a_completion_that_is_not_announced,
            a_completion_that_keeps_the_slot,
            attempts_used_while_the_platform_is_away,
            a_message_held_up_forever,
            an_outage_that_never_ends,
            an_outage_moved_without_its_condition,
            a_message_past_its_last_attempt_that_calls,
            jobs_not_started_that_lose_an_attempt,
            a_check_that_moves_the_due_time_of_a_cancel,
        )
    },
}
