"""The handling of failing jobs, and the ids of calls, broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import count
from typing import Any
from unittest.mock import patch

from chalicelib.domain import transitions
from chalicelib.domain.batch import Batch, LastCall
from chalicelib.domain.trace import TraceContext
from chalicelib.operations.call_jobs import Called
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.rerun_batch import BatchRerunner
from chalicelib.operations.work import Work


@contextmanager
def a_stop_that_is_not_written() -> Iterator[None]:
    """A worker that notices that too many jobs failed starts no further call, and does nothing
    else."""
    with patch.object(BatchCompletion, "stop_if_too_many_failed", lambda *_: None):
        yield


@contextmanager
def a_stop_in_a_later_round() -> Iterator[None]:
    """The limit applies to a restart, too."""
    has_failed_too_often = Batch.has_failed_too_often

    def in_any_round(self: Batch, elsewhere: int = 0) -> bool:
        return has_failed_too_often(replace(self, round=1), elsewhere)

    with patch.object(Batch, "has_failed_too_often", in_any_round):
        yield


@contextmanager
def a_stop_that_workers_ignore() -> Iterator[None]:
    """Jobs of a batch that is being stopped are called."""

    def is_to_be_ended(self: Batch, now: Any) -> bool:
        return self.cancelled or now >= self.deadline

    with patch.object(Batch, "is_to_be_ended", is_to_be_ended):
        yield


@contextmanager
def a_limit_that_workers_ignore() -> Iterator[None]:
    """A worker goes on with its jobs, no matter how many it has seen fail."""
    with patch.object(Work, "has_seen_too_many_fail", False):
        yield


@contextmanager
def a_restart_that_keeps_the_stop() -> Iterator[None]:
    """A stopped batch that is restarted is answered as stopped again."""
    restart = transitions.restart

    def careless(batch: Batch, *args: Any) -> Any:
        change = restart(batch, *args)
        return replace(change, put={**change.put, "stopped": batch.stopped})

    with patch.object(transitions, "restart", careless):
        yield


def _without(field: str, change: str) -> Callable[[], AbstractContextManager[None]]:
    """Drop a field from a change's condition."""
    made = getattr(transitions, change)

    @contextmanager
    def fault() -> Iterator[None]:
        def careless(*args: Any) -> Any:
            found = made(*args)
            fewer = {name: value for name, value in found.only_if.items() if name != field}
            return replace(found, only_if=fewer)

        with patch.object(transitions, change, careless):
            yield

    return fault


@contextmanager
def a_restart_that_forgets_the_deadline() -> Iterator[None]:
    """A restarted batch gets the stage's deadline in place of the caller's."""
    with patch.object(BatchRerunner, "_deadline_of", lambda self, batch: self.deadline):
        yield


@contextmanager
def no_life_in_the_ids() -> Iterator[None]:
    """The ids of a batch repeat those of an earlier batch with its key."""
    with patch.object(Batch, "life", ""):
        yield


@contextmanager
def a_trace_parent_for_each_attempt() -> Iterator[None]:
    """Each call of a job has another parent id."""
    numbers = count()
    traceparent = TraceContext.traceparent

    def another(self: TraceContext, outgoing_id: str) -> str:
        return traceparent(self, f"{outgoing_id}-{next(numbers)}")

    with patch.object(TraceContext, "traceparent", another):
        yield


@contextmanager
def attempts_missing_from_the_answers() -> Iterator[None]:
    """Each answer says that it came from a first call."""
    details = Called.details

    def forgetful(self: Called, attempt: int) -> LastCall | None:
        return details(self, 1)

    with patch.object(Called, "details", forgetful):
        yield


STOP_FAULTS: dict[str, Any] = {
    "completing_that_ignores_a_stop": _without("stopped", "complete"),
    "a_stop_that_ignores_a_cancel": _without("cancelled", "stop"),
    "a_cancel_that_ignores_a_stop": _without("stopped", "cancel"),
    **{
        fault.__name__: fault
        for fault in (
            a_stop_that_is_not_written,
            a_stop_in_a_later_round,
            a_stop_that_workers_ignore,
            a_limit_that_workers_ignore,
            a_restart_that_keeps_the_stop,
            a_restart_that_forgets_the_deadline,
            no_life_in_the_ids,
            a_trace_parent_for_each_attempt,
            attempts_missing_from_the_answers,
        )
    },
}
