"""What the operations need of the world, in their own words. Adapters and fakes keep these.

A store or a queue raises only Unavailable, and a write that raised may have taken effect all the
same.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from chalicelib.domain.account import Account, Key
from chalicelib.domain.batch import (
    AnswersPart,
    Batch,
    Chunk,
    Due,
    Job,
    Listed,
    Marker,
    SubmissionTerms,
)
from chalicelib.domain.holds import Holds, Outage, Pause
from chalicelib.domain.limits import AccountUsage, Admission, Slot
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.transitions import Change

Result = TypeVar("Result")


class Clock(Protocol):
    """The time, UTC, to the millisecond."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""


class BatchStore(Protocol):
    """Batches and their chunks. Every read sees every write that was answered before it."""

    def find(self, batch_id: str) -> Batch | None:
        """The batch, expired ones too; None where there is none."""

    def find_with_holds(self, batch_id: str, account: str) -> tuple[Batch | None, Holds]:
        """The batch, and what holds up the jobs of an account, in one request."""

    def find_holds(self, account: str) -> Holds:
        """What holds up the jobs of an account."""

    def find_pause(self) -> Pause | None:
        """The operator's pause of the stage, also one whose time is over."""

    def begin_outage(self, account: str, outage: Outage) -> bool:
        """Record the outage, unless one stands already: then False."""

    def move_outage(self, account: str, seen: Outage, later: Outage) -> bool:
        """Replace the outage that was seen, if it is still the one that stands."""

    def end_outage(self, account: str, began_before: datetime) -> bool:
        """Remove the outage, if it began before a time: whether there was such a one."""

    def pause(self, pause: Pause | None) -> None:
        """Put the operator's pause of the stage in place of the one before; None ends it."""

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        """Those of the batches that there are, expired ones too, by their ids."""

    def find_terms(self, batch: Batch) -> SubmissionTerms | None: ...

    def save_jobs(self, batch: Batch, terms: SubmissionTerms, jobs: Sequence[Job]) -> None:
        """Stores what the head will point to. Repeats safely; without a head nobody reads it."""

    def commit(self, batch: Batch, now: datetime) -> Batch | None:
        """Puts the head if there is none, or an expired one: the commit of a submission. The head
        that stands then, this submission's, also on a repeat, or another's; None where this
        submission was voided, and can never be put."""

    def void(self, batch: Batch, now: datetime) -> Batch | None:
        """Makes sure that this submission's head cannot be put any more, and says None; or gives
        the live head that stands there: this submission's after all, or another's."""

    def change(self, batch: Batch, change: Change) -> Batch | None:
        """One conditional write to the head, and the head after it. None: a condition failed, and
        nothing was written."""

    def load_chunk(self, batch: Batch, chunk: int) -> Chunk: ...

    def record(self, batch: Batch, chunk: int, part: AnswersPart) -> bool:
        """Stores a flush if its number is free. False: another flush has the number. A repeat of
        the very write that took effect may say either."""

    def mark(self, batch: Batch, chunk: int, index: int, marker: Marker) -> None:
        """Puts the marker of a job, over an older one."""

    def unmark(self, batch: Batch, chunk: int, index: int) -> None:
        """Removes it, if it is there."""

    def find_due(self, now: datetime) -> Iterator[Due]:
        """The batches that are due, as an index tells it: some may be missing yet or
        there still."""

    def reserve(self, due: Due, until: datetime) -> Batch | None:
        """Moves the due time to `until` if it is still the one that was seen, and gives the batch;
        None where somebody else was faster."""

    def find_of_account(
        self,
        account: str,
        since: datetime,
        *,
        after: Listed | None = None,
        limit: int | None = None,
    ) -> Iterator[Listed]:
        """An account's batches created after a moment, the newest first; so many of them at most,
        and those behind one of them, which need not be there any more. An index tells it: a batch
        of this second may be missing yet."""

    def read_chunks(self, batch: Batch, chunks: range) -> Iterator[Chunk]:
        """Consecutive chunks, in order, a page of the database and a chunk in memory at a time."""

    def admit(self, account: str, admission: Admission) -> AccountUsage:
        """One conditional write to the account's usage, and the usage then: the slot is among the
        open ones if the conditions held, and also on a repeat."""

    def undo_admission(self, account: str, admission: Admission) -> None:
        """Gives slot and charge back, if the slot is still there: repeats safely."""

    def vacate(self, account: str, slots: Collection[Slot]) -> None:
        """Takes slots, at least one, out of the open ones, if they are there."""

    def reserve_pruning(self, account: str, seen: datetime | None, now: datetime) -> bool:
        """Whether pruning the slots is ours to do: nobody has done it since the time seen."""


class KeyStore(Protocol):
    """Who may call. Written by the command line only."""

    def find_key(self, key: str) -> Key | None: ...

    def find_account(self, account: str) -> Account | None: ...


class Queue(Protocol):
    """The queues. A message may arrive twice, late, out of order."""

    def send_jobs(self, messages: Sequence[JobsMessage], delay_seconds: int = 0) -> None:
        """All of them, or an error: then any of them may have been sent."""

    def send_sentinel(self, sentinel: Sentinel, delay_seconds: int) -> None:
        """Among the messages of jobs, where it waits its turn."""

    def send_batch(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        """Have the batch checked."""

    def send_callback(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        """Have the batch's callback sent, if it is due."""


class Platform(Protocol):
    """The API that the jobs are calls of."""

    def prepare(self) -> None:
        """Read what calls need from elsewhere, a secret perhaps, before any is made. Raises
        Unavailable or Misconfigured if that fails: then no job is to blame. Repeats cost nothing
        while what was read is still good."""

    def call(
        self,
        *,
        namespace: str,
        action: str,
        body: bytes,
        idempotency_key: str,
        traceparent: str | None,
        key: Key,
    ) -> Reply | NoReply:
        """One POST, answered or not within the job timeout in all; it belongs to a trace if it has
        a `traceparent`. Never raises."""


class Receiver(Protocol):
    """Where callbacks go: an address a stranger chose."""

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        private_headers: Mapping[str, str],
        body: Sequence[bytes],
        timeout_seconds: float,
    ) -> Reply | NoReply:
        """One POST to an address we are willing to call, answered or not within the timeout in
        all. The body comes in blocks and is sent without a copy. Private headers may hold secrets:
        with them nothing is sent but over https, or to a network that the deployment allows; and
        none takes the place of a header of ours. Never raises."""


class Concurrent(Protocol):
    """Runs calls at the same time."""

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        """The results as they come, gathered for up to a flush interval each time."""


class Journal(Protocol):
    """The log: one line per unit of work, for the engineer on call."""

    def write(self, event: str, **fields: object) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that the service touches of the world."""

    store: BatchStore
    #: For the API: asks each time, so that a revoked key is refused at once.
    keys: KeyStore
    #: For the workers: may be a few seconds old.
    cached_keys: KeyStore
    queue: Queue
    platform: Platform
    receiver: Receiver
    #: For the calls of one message.
    concurrent: Concurrent
    #: For requests to AWS, which only wait.
    concurrent_requests: Concurrent
    clock: Clock
    journal: Journal
    new_id: Callable[[], str]
    #: A number from 0 to 1, drawn anew each time.
    random_unit: Callable[[], float]
