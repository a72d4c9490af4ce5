"""The limits, broken on purpose, as `faults` breaks the rest of the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from chalicelib.domain import limits
from chalicelib.domain.batch import Batch
from chalicelib.domain.limits import Slot
from chalicelib.operations.admit_batch import BatchAdmission
from chalicelib.operations.complete_batch import BatchCompletion
from chalicelib.operations.rerun_batch import BatchRerunner
from chalicelib.operations.submit_batch import BatchSubmitter
from tests.fakes import dynamodb as fake


@contextmanager
def no_condition_on_the_slots() -> Iterator[None]:
    """An account that reads a free slot takes it, even if another submission took it since."""
    with patch.object(fake, "_has_room", lambda usage, admission: True):
        yield


@contextmanager
def a_slot_taken_after_the_commit() -> Iterator[None]:
    """The batch is saved before it is admitted."""

    def late(self: BatchSubmitter, batch: Batch, terms: Any, submission: Any, now: datetime) -> Any:
        standing = self._save(batch, terms, submission, now)
        self._admit(batch)
        return standing

    with patch.object(BatchSubmitter, "_admit_and_save", late):
        yield


@contextmanager
def a_slot_freed_before_the_end() -> Iterator[None]:
    """The slot is freed before the batch is completed."""
    complete = BatchCompletion.complete

    def hasty(self: BatchCompletion, batch: Batch) -> None:
        self.admission.leave(batch)
        complete(self, batch)

    with patch.object(BatchCompletion, "complete", hasty):
        yield


@contextmanager
def abandoned_slots_never_pruned() -> Iterator[None]:
    """A slot that was not freed stays taken for good."""
    with patch.object(BatchAdmission, "_prune", lambda self, *_: False):
        yield


@contextmanager
def only_ended_batches_free_their_slots() -> Iterator[None]:
    """A slot whose batch was never committed stays taken for good."""
    is_abandoned = Slot.is_abandoned

    def patient(self: Slot, standing: Batch | None, now: datetime) -> bool:
        return standing is not None and is_abandoned(self, standing, now)

    with patch.object(Slot, "is_abandoned", patient):
        yield


@contextmanager
def no_grace() -> Iterator[None]:
    """A batch that is about to be committed loses its slot."""
    with patch.object(limits, "GRACE", timedelta()):
        yield


@contextmanager
def a_restart_that_is_not_admitted() -> Iterator[None]:
    """A restarted batch takes no slot."""

    def make(self: BatchRerunner, batch: Batch, change: Any, _: datetime) -> Batch | None:
        return self.store.change(batch, change)

    with patch.object(BatchRerunner, "_make", make):
        yield


LIMIT_FAULTS: dict[str, Any] = {
    fault.__name__: fault
    for fault in (
        no_condition_on_the_slots,
        a_slot_taken_after_the_commit,
        a_slot_freed_before_the_end,
        abandoned_slots_never_pruned,
        only_ended_batches_free_their_slots,
        no_grace,
        a_restart_that_is_not_admitted,
    )
}
