"""A batch comes in: store its jobs, commit it by its head, send its messages."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain import transitions
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Batch, BatchState, CallbackState, Order, chunk_size
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.submission import Submission
from chalicelib.errors import NotSaved, OutcomeUnknown, Unavailable
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitBatch:
    """Once this returns the batch is safe; where it raises NotSaved nothing of it ever runs."""

    store: BatchStore
    queue: Queue
    clock: Clock
    journal: Journal
    new_id: Callable[[], str]
    jobs_per_message: int
    deadline: timedelta
    expiry: timedelta

    def __call__(self, caller: Caller, submission: Submission, body: bytes) -> str:
        """The id of the new batch."""
        now = self.clock.now()
        batch = self._new_batch(caller, submission, now)
        order = Order(
            callback_url=submission.callback_url, request_hash=hashlib.sha256(body).hexdigest()
        )
        self._save(batch, order, submission, now)
        self.journal.write(
            "batch accepted", batch_id=batch.batch_id, account=batch.account, jobs=batch.total
        )
        self._send(batch)
        return batch.batch_id

    def _new_batch(self, caller: Caller, submission: Submission, now: datetime) -> Batch:
        total = len(submission.jobs)
        first_look_at = now + transitions.FIRST_LOOK
        calls_back = submission.callback_url is not None
        return Batch(
            batch_id=self.new_id(),
            submission=self.new_id(),
            account=caller.account,
            key=caller.key,
            total=total,
            chunk_size=chunk_size(total, self.jobs_per_message),
            state=BatchState.RUNNING,
            round=1,
            created_at=now,
            deadline=now + self.deadline,
            expires_at=(now + self.expiry).replace(microsecond=0),
            next_look_at=first_look_at,
            due_at=first_look_at,
            callback=CallbackState.WAITING if calls_back else CallbackState.NONE,
        )

    def _save(self, batch: Batch, order: Order, submission: Submission, now: datetime) -> None:
        try:
            self.store.save_jobs(batch, order, submission.jobs)
        except Unavailable as error:
            raise NotSaved from error  # without a head nothing runs
        try:
            self.store.commit(batch, now)
        except Unavailable:
            self._settle(batch, now)

    def _settle(self, batch: Batch, now: datetime) -> None:
        """The commit's answer was lost: see to it that it either counts or never will."""
        try:
            standing = self.store.void(batch, now)
        except Unavailable as error:
            raise OutcomeUnknown from error
        if standing is None:
            raise NotSaved

    def _send(self, batch: Batch) -> None:
        """Sends every chunk. The batch is safe already: what cannot be sent now, the first look
        sends."""
        try:
            self.queue.send_jobs([JobsMessage.of(batch, chunk) for chunk in batch.chunks])
            self.store.change(batch, transitions.take_look(batch, self.clock.now()))
        except Unavailable as error:
            self.journal.write("batch not sent yet", batch_id=batch.batch_id, error=str(error))
