"""What the operations need from the world, in their own words. Adapters and fakes implement these
protocols.

A store or a queue raises only Unavailable, and a write that raised may still have taken effect."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.holds import Holds, Outage, Pause
from chalicelib.domain.limits import AccountUsage, Admission, Slot
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.transitions import Change

Result = TypeVar("Result")


class Clock(Protocol):
    """The time, in UTC, to the millisecond."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""


class BatchStore(Protocol):
    """Batches and their chunks. Every read sees every write that was answered before it."""

    def find(self, batch_id: str) -> Batch | None:
        """Return the batch, even if it has expired, or None if there is none."""

    def find_with_holds(self, batch_id: str, account: str) -> tuple[Batch | None, Holds]:
        """Return the batch and what is holding up the account's jobs, in one request."""

    def find_holds(self, account: str) -> Holds:
        """Return what is holding up the account's jobs."""

    def find_pause(self) -> Pause | None:
        """Return the operator's pause of the stage, even if it is over."""

    def begin_outage(self, account: str, outage: Outage) -> bool:
        """Record the outage. False if there is one already."""

    def move_outage(self, account: str, seen: Outage, later: Outage) -> bool:
        """Replace the outage `seen`, if it is still the recorded one."""

    def end_outage(self, account: str, began_before: datetime) -> bool:
        """End the outage, if it began before the given time. False if there was none to end."""

    def pause(self, pause: Pause | None) -> None:
        """Set the operator's pause of the stage, or end it with None."""

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        """Return those of the batches that exist, expired ones too, by id."""

    def find_terms(self, batch: Batch) -> SubmissionTerms | None: ...

    def save_jobs(self, batch: Batch, terms: SubmissionTerms, jobs: Sequence[Job]) -> None:
        """Store what the head will point to. Repeats safely; nobody reads the jobs without a
        head."""

    def commit(self, batch: Batch, now: datetime) -> Batch | None:
        """Commit a submission: put the head if there is none, or only an expired one.

        Returns the head that then stands: this submission's, also on a repeat, or another's. None
        if this submission was voided and can never be committed."""

    def void(self, batch: Batch, now: datetime) -> Batch | None:
        """Prevent this submission's head from being put, and return None; or return the live head
        that already stands: this submission's after all, or another's."""

    def change(self, batch: Batch, change: Change) -> Batch | None:
        """Change the head in one conditional write, and return the new head. None if a condition
        failed and nothing was written."""

    def load_chunk(self, batch: Batch, chunk: int) -> Chunk: ...

    def record(self, batch: Batch, chunk: int, part: AnswersPart) -> bool:
        """Store a flush if its number is free. False if another flush has the number. Repeating a
        write that took effect may return either."""

    def mark(self, batch: Batch, chunk: int, index: int, marker: Marker) -> None:
        """Put a job's marker, replacing an older one."""

    def unmark(self, batch: Batch, chunk: int, index: int) -> None:
        """Remove the marker, if there is one."""

    def find_due(self, now: datetime) -> Iterator[Due]:
        """Return the batches that are due, from an index: some may still be missing, others may no
        longer be due."""

    def reserve(self, due: Due, until: datetime) -> Batch | None:
        """Move the due time to `until` and return the batch. None if the due time is no longer the
        one that was seen."""

    def find_of_account(
        self,
        account: str,
        since: datetime,
        *,
        after: Listed | None = None,
        limit: int | None = None,
    ) -> Iterator[Listed]:
        """Return the account's batches created after a moment, newest first.

        Returns at most `limit`, and only those that come after the batch `after`, which may no
        longer exist. The list comes from an index, so a batch of the current second may still be
        missing."""

    def read_chunks(self, batch: Batch, chunks: range) -> Iterator[Chunk]:
        """Read consecutive chunks in order, with one database page and one chunk in memory at a
        time."""

    def admit(self, account: str, admission: Admission) -> AccountUsage:
        """Admit a round in one conditional write, and return the account's usage. Its open slots
        include this one if the conditions held, also on a repeat."""

    def undo_admission(self, account: str, admission: Admission) -> None:
        """Give the slot and the charge back, if the slot is still open. Repeats safely."""

    def vacate(self, account: str, slots: Collection[Slot]) -> None:
        """Free the slots that are still open. Expects at least one."""

    def reserve_pruning(self, account: str, seen: datetime | None, now: datetime) -> bool:
        """Reserve pruning the slots. False if another worker has reserved it since the time
        seen."""


class KeyStore(Protocol):
    """Who may call. Only the command line writes it."""

    def find_key(self, key: str) -> Key | None: ...

    def find_account(self, account: str) -> Account | None: ...


class Queue(Protocol):
    """The queues. A message may arrive twice, late or out of order."""

    def send_jobs(self, messages: Sequence[JobsMessage], delay_seconds: int = 0) -> None:
        """Send all messages. If this raises, any of them may have been sent."""

    def send_sentinel(self, sentinel: Sentinel, delay_seconds: int) -> None:
        """Send the sentinel among the messages of jobs, where it waits its turn."""

    def send_batch(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        """Have the batch checked."""

    def send_callback(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        """Have the batch's callback sent, if it is due."""


class Platform(Protocol):
    """The API that the jobs call."""

    def prepare(self) -> None:
        """Read what calls need, such as a secret, before any call is made.

        Raises Unavailable or Misconfigured if that fails, so that no job is blamed. Repeats cost
        nothing while what was read is still valid."""

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
        """Make one POST, answered or not within the job timeout as a whole. The call belongs to a
        trace if it has a `traceparent`. Never raises."""


class Receiver(Protocol):
    """Where callbacks go: an address that a stranger chose."""

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        private_headers: Mapping[str, str],
        body: Sequence[bytes],
        timeout_seconds: float,
    ) -> Reply | NoReply:
        """Make one POST to an address that we are willing to call, answered or not within the
        timeout as a whole.

        The body comes in blocks and is sent without being copied. Private headers may hold secrets,
        so a request that has any goes only over https or to a network that the deployment allows.
        They never replace a header of ours. Never raises."""


class Concurrent(Protocol):
    """Runs calls concurrently."""

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        """Yield the results as they arrive, gathered for up to a flush interval each time."""


class Journal(Protocol):
    """The log: one line per unit of work, for the on-call engineer."""

    def write(self, event: str, **fields: object) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything in the world that the service uses."""

    store: BatchStore
    #: For the API: reads the key on each request, so that a revoked key is refused immediately.
    keys: KeyStore
    #: For the workers: may be a few seconds old.
    cached_keys: KeyStore
    queue: Queue
    platform: Platform
    receiver: Receiver
    #: For the calls of one message.
    concurrent: Concurrent
    #: For requests to AWS, which spend their time waiting.
    concurrent_requests: Concurrent
    clock: Clock
    journal: Journal
    new_id: Callable[[], str]
    #: Returns a new random number from 0 to 1 on each call.
    random_unit: Callable[[], float]
