"""Submit a batch: admit it, store its jobs, commit it by its head, send its messages."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from chalicelib.domain import transitions
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Batch, SubmissionTerms
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.submission import Submission
from chalicelib.errors import Conflict, NotSaved, OutcomeUnknown, Unavailable
from chalicelib.operations.admit_batch import BatchAdmission
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue
from chalicelib.operations.sent_later import sent_later

Asked = TypeVar("Asked")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The outcome of a submission."""

    batch_id: str
    #: Whether an earlier submission with the same Idempotency-Key made the batch.
    was_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSubmitter:
    """Submits batches. When it returns, the batch is safe. If it raises NotSaved or
    TooManyRequests, no job of it ever runs."""

    admission: BatchAdmission
    store: BatchStore
    queue: Queue
    clock: Clock
    journal: Journal
    new_id: Callable[[], str]
    #: How many jobs one message carries, given the number of jobs in the batch.
    chunk_size: Callable[[int], int]
    deadline: timedelta
    expiry: timedelta

    def submit_batch(
        self,
        caller: Caller,
        submission: Submission,
        body: bytes,
        idempotency_key: str | None = None,
    ) -> Submitted:
        """Make a new batch, or find the one that the same key and body made before. The same key
        with another body is a Conflict."""
        now = self.clock.now()
        terms = SubmissionTerms(
            callback_url=submission.callback_url,
            request_hash=hashlib.sha256(body).hexdigest(),
            callback_results=submission.callback_results,
            callback_headers=submission.callback_headers,
            metadata=submission.metadata,
            deadline=submission.deadline,
        )
        batch = self._new_batch(caller, submission, self._id_for(caller, idempotency_key), now)
        standing = self._standing(batch, now) if idempotency_key else None
        if standing is None:
            standing = self._admit_and_save(batch, terms, submission, now)
        if standing.submission != batch.submission:
            self._check_same(standing, terms)
            return Submitted(batch_id=standing.batch_id, was_there=True)
        self.journal.write(
            "batch accepted", batch_id=batch.batch_id, account=batch.account, jobs=batch.total
        )
        self._send(batch)
        return Submitted(batch_id=batch.batch_id, was_there=False)

    def _id_for(self, caller: Caller, idempotency_key: str | None) -> str:
        if idempotency_key is None:
            return self.new_id()
        named = f"{caller.account}\n{idempotency_key}"
        return hashlib.sha256(named.encode()).hexdigest()[:32]

    def _standing(self, batch: Batch, now: datetime) -> Batch | None:
        """The live batch with this id, if there is one."""
        standing = self._asking(self.store.find, batch.batch_id)
        return None if standing is None or standing.is_expired(now) else standing

    def _check_same(self, standing: Batch, terms: SubmissionTerms) -> None:
        """Raise Conflict unless the existing batch is the same one."""
        known = self._asking(self.store.find_terms, standing)
        if known is None or known.request_hash != terms.request_hash:
            raise Conflict("The Idempotency-Key was used before with another body")

    def _asking(self, ask: Callable[[Asked], Found], of: Asked) -> Found:
        """Translate a database failure that comes before anything is stored."""
        try:
            return ask(of)
        except Unavailable as error:
            raise OutcomeUnknown from error

    def _new_batch(
        self, caller: Caller, submission: Submission, batch_id: str, now: datetime
    ) -> Batch:
        total = len(submission.jobs)
        first_check_at = now + transitions.FIRST_CHECK
        calls_back = submission.callback_url is not None
        return Batch(
            batch_id=batch_id,
            submission=self.new_id(),
            account=caller.account,
            key=caller.key,
            total=total,
            chunk_size=self.chunk_size(total),
            state=BatchState.RUNNING,
            round=1,
            created_at=now,
            round_began_at=now,
            deadline=now + (submission.deadline or self.deadline),
            expires_at=(now + self.expiry).replace(microsecond=0),
            next_check_at=first_check_at,
            due_at=first_check_at,
            callback=CallbackState.WAITING if calls_back else CallbackState.NONE,
            label=submission.label,
            has_metadata=bool(submission.metadata),
            trace=submission.trace,
            max_failed=submission.max_failed,
        )

    def _admit_and_save(
        self, batch: Batch, terms: SubmissionTerms, submission: Submission, now: datetime
    ) -> Batch:
        """Admit the batch, then save it. If it is not saved after all, give its slot back."""
        try:
            self._admit(batch)
            standing = self._save(batch, terms, submission, now)
        except NotSaved:
            self.admission.undo(batch, batch.total)
            raise
        if standing.submission != batch.submission:
            self.admission.undo(batch, batch.total)
        return standing

    def _admit(self, batch: Batch) -> None:
        try:
            self.admission.admit(batch, batch.total)
        except Unavailable as error:
            raise NotSaved from error

    def _save(
        self, batch: Batch, terms: SubmissionTerms, submission: Submission, now: datetime
    ) -> Batch:
        """Store everything, the head last. If another live head already stands, return that one."""
        try:
            self.store.save_jobs(batch, terms, submission.jobs)
        except Unavailable as error:
            raise NotSaved from error  # without a head nothing runs
        try:
            standing = self.store.commit(batch, now)
        except Unavailable:
            return self._settle(batch, now)
        if standing is None:
            raise NotSaved
        return standing

    def _settle(self, batch: Batch, now: datetime) -> Batch:
        """After the commit's answer was lost, make sure that it either counts or never will. Return
        the head that stands."""
        try:
            standing = self.store.void(batch, now)
        except Unavailable as error:
            raise OutcomeUnknown from error
        if standing is None:
            raise NotSaved
        return standing

    def _send(self, batch: Batch) -> None:
        """Send every chunk. The batch is already safe: the first check sends what cannot be sent
        now."""
        with sent_later(batch, self.journal):
            self.queue.send_jobs([JobsMessage.of(batch, chunk) for chunk in batch.chunks])
            self.store.change(batch, transitions.record_check(batch, self.clock.now()))
