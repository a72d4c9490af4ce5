"""A batch, its chunks and its jobs: what they are. What may become of them is in `states`.

A batch's state lives in one record, its head, which only the changes of `transitions` touch.
This module does not know how anything is stored, what time it is, or what a job's answer means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.trace import TraceContext

#: Keeps the head, which holds the set of finished chunks, under 4 KB.
MAX_CHUNKS = 500
#: While a batch has few jobs they are spread over this many messages, so that no worker has many.
CHUNKS_WHILE_FEW = 4

#: A message that comes a little before its time is as good as one in time.
EARLY = timedelta(seconds=5)

#: Restarts of a running batch have an effect once in this time.
BETWEEN_RESTARTS = timedelta(minutes=5)

NO_RESTART_BEFORE_EXPIRY = timedelta(hours=2)

#: Longer than a backlog holds up an account's messages.
SENTINEL_IS_LOST = timedelta(hours=6)

#: How much of an error is kept of all attempts at a callback but the last.
SHORT_ERROR_CHARACTERS = 100

#: No batch lives longer, whatever was set when it was submitted.
LONGEST_LIFE = timedelta(days=14)


class Verdict(StrEnum):
    """What a recorded answer amounts to. Stored: a value never changes its meaning."""

    SUCCEEDED = "s"  #: the platform did it
    FAILED = "f"  #: the platform answered, with an error or with what cannot be used
    UNANSWERED = "g"  #: the call never got an answer: a restart runs this job again


@dataclass(frozen=True, slots=True)
class Job:
    """One call. `params` is JSON text, the very text that is sent and given back."""

    index: int
    namespace: str
    action: str
    params: str
    #: The caller's own name for it.
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCall:
    """The call of the platform that an answer came from, and how many were made for it."""

    #: None: no answer came over HTTP.
    http_status: int | None
    attempts: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What is recorded for one job. `response` is JSON text."""

    verdict: Verdict
    response: str
    #: None: the service gave this answer instead of a call.
    call: LastCall | None = None


class CallbackResults(StrEnum):
    """Which results a callback carries."""

    ALL = "all"
    FAILED = "failed"  #: of every job that did not succeed
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionTerms:
    """What never changes about a submission besides its jobs."""

    callback_url: str | None
    #: Tells an identical submission from another one under the same Idempotency-Key.
    request_hash: str
    callback_results: CallbackResults = CallbackResults.ALL
    #: Sent with the callback. They hold secrets: never shown, never logged.
    callback_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Given back in `progress` and in the callback; empty: none was given.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: How long each round may take; None: as long as the stage says.
    deadline: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAttempt:
    """One attempt at a callback. Until its outcome is recorded only its time is known, and if its
    sender died that is all there ever is."""

    at: datetime
    status: int | None = None
    error: str | None = None
    took_ms: int | None = None

    @property
    def short_error(self) -> str | None:
        """The error as the history keeps it."""
        return self.error and self.error[:SHORT_ERROR_CHARACTERS]

    @property
    def has_outcome(self) -> bool:
        return self.status is not None or self.error is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Jobs answered, by how it ended, and what their results weigh."""

    succeeded: int = 0
    failed: int = 0
    #: Those of the failed whose call never got an answer: what a restart runs again.
    unanswered: int = 0
    #: The size of their results as they are sent; known before they are read.
    result_bytes: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            succeeded=self.succeeded + other.succeeded,
            failed=self.failed + other.failed,
            unanswered=self.unanswered + other.unanswered,
            result_bytes=self.result_bytes + other.result_bytes,
        )

    @property
    def total(self) -> int:
        return self.succeeded + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as its head tells it. All times are UTC, to the millisecond."""

    batch_id: str
    #: Fresh for every submit; part of every key, message and condition, so that two submissions
    #: under one id can never mix.
    submission: str
    account: str
    #: The access key whose secret signs the jobs.
    key: str
    total: int
    chunk_size: int
    state: BatchState
    #: 1 for the first run, one more for each restart.
    round: int
    created_at: datetime
    #: When the batch was submitted or restarted.
    round_began_at: datetime
    #: Jobs without an answer by then get the failure response.
    deadline: datetime
    expires_at: datetime
    completed_at: datetime | None = None
    cancelled: bool = False

    #: The caller's name for the batch.
    label: str | None = None
    #: Whether the terms hold metadata: most batches have none, and then nobody reads them for it.
    has_metadata: bool = False
    trace: TraceContext | None = None
    #: In the first round no call is started once more jobs than this did not succeed.
    max_failed: int | None = None
    #: More did not succeed: the jobs without an answer get one instead of a call.
    stopped: bool = False

    #: The finished chunks: a set, because a counter lies after a redelivery.
    done: frozenset[int] = frozenset()
    #: Those of `done` that hold an unanswered job; a restart takes them out again.
    unanswered: frozenset[int] = frozenset()
    #: Of the jobs in `done` but not in `unanswered`.
    counts: Counts = field(default_factory=Counts)
    #: Of the jobs in `unanswered`.
    unanswered_counts: Counts = field(default_factory=Counts)

    #: When to see whether anything was lost; None once there is nothing to wait for.
    next_check_at: datetime | None
    #: Checks recorded in this round, and when the last one was.
    checks: int = 0
    checked_at: datetime | None = None
    #: How many chunks were done at the last check.
    done_at_last_check: int = 0
    #: The latest time until which a message of this round waits, if that is more than a minute.
    waits_until: datetime | None = None
    #: When the sentinel that is under way was sent.
    sentinel_at: datetime | None = None

    callback: CallbackState
    #: Makes the callback writes of an older completion or an older repost lose.
    callback_round: int = 1
    attempts: int = 0
    next_try_at: datetime | None = None
    #: The token of whoever delivers now.
    lease: str | None = None
    #: No other delivery begins before, in whatever round.
    lease_ends_at: datetime | None = None
    #: The attempts of this series, the oldest first.
    history: tuple[CallbackAttempt, ...] = ()

    #: When the sweep finds it, and nothing else: what is due is judged by the times above.
    due_at: datetime | None = None

    #: The token of the last restart, repost or cancel, by which it knows itself.
    rerun: str | None = None

    @property
    def life(self) -> str:
        """Tells this batch from one under the same id that lived before it."""
        return self.submission[:8]

    def call_id(self, index: int) -> str:
        """The Idempotency-Key of a job's calls: the same in every round."""
        return f"{self.batch_id}-{self.life}-{index}"

    def call_traceparent(self, index: int) -> str | None:
        """The `traceparent` of a job's calls, the same at every attempt; None: it has no trace."""
        return self.trace.traceparent(self.call_id(index)) if self.trace else None

    @property
    def callback_id(self) -> str:
        """The `webhook-id` of a round's callback: the same at every attempt and repost."""
        return f"{self.batch_id}-{self.life}-{self.round}"

    @property
    def chunks(self) -> range:
        return range(-(-self.total // self.chunk_size))

    @property
    def chunks_to_do(self) -> list[int]:
        return [chunk for chunk in self.chunks if chunk not in self.done]

    def indexes(self, chunk: int) -> range:
        """The jobs of a chunk: consecutive, numbered through the whole batch."""
        return range(chunk * self.chunk_size, min((chunk + 1) * self.chunk_size, self.total))

    def chunks_of(self, jobs: range) -> range:
        """The chunks that consecutive jobs are in; jobs beyond the last are in none."""
        return self.chunks[jobs.start // self.chunk_size : -(-jobs.stop // self.chunk_size)]

    @property
    def has_all_chunks_done(self) -> bool:
        return len(self.done) == len(self.chunks)

    @property
    def is_completed(self) -> bool:
        return self.state is BatchState.COMPLETED

    @property
    def is_running(self) -> bool:
        return self.state is BatchState.RUNNING

    def is_expired(self, now: datetime) -> bool:
        return now >= self.expires_at

    def is_seen_by(self, account: str, now: datetime) -> bool:
        """Whether an account may know of it: its own, and while it lives."""
        return self.account == account and not self.is_expired(now)

    def waits(self, now: datetime) -> bool:
        """Whether a message of it is delayed, so that nothing may move."""
        return self.waits_until is not None and now < self.waits_until

    def waits_as_long_as(self, moment: datetime) -> bool:
        """Whether it is known to wait until a moment at least."""
        return self.waits_until is not None and self.waits_until >= moment

    def is_check_due(self, now: datetime) -> bool:
        return self.next_check_at is not None and now >= self.next_check_at

    @property
    def was_ever_checked(self) -> bool:
        """Whether this round has had a check. If not, its messages may never have been sent."""
        return self.checks > 0

    @property
    def has_stood_still(self) -> bool:
        """Whether nothing was finished since the last check."""
        return len(self.done) == self.done_at_last_check

    def has_sentinel(self, now: datetime) -> bool:
        """Whether one is under way. One that is not heard of for so long is lost."""
        return self.sentinel_at is not None and now - self.sentinel_at < SENTINEL_IS_LOST

    def is_to_be_ended(self, now: datetime) -> bool:
        """Whether the jobs without an answer get one now instead of a call."""
        return self.cancelled or self.stopped or now >= self.deadline

    def waits_for_its_workers(self, now: datetime) -> bool:
        """Whether it was stopped while calls were under way that may still be recorded."""
        return self.stopped and not self.is_check_due(now + EARLY)

    def has_failed_too_often(self, elsewhere: int = 0) -> bool:
        """Whether more jobs did not succeed than may: those in finished chunks, and so many that
        are not in one. A restart runs its jobs without the limit."""
        limit = self.max_failed if self.round == 1 else None
        return limit is not None and self.answered.failed + elsewhere > limit

    def was_checked_lately(self, now: datetime) -> bool:
        return self.checked_at is not None and now - self.checked_at < BETWEEN_RESTARTS

    def is_near_its_end(self, now: datetime) -> bool:
        """Whether a restart would leave too little time to run and call back."""
        return now > self.expires_at - NO_RESTART_BEFORE_EXPIRY

    def may_deliver(self, now: datetime) -> bool:
        """Whether the callback is due: its time has come, and nobody's lease still runs."""
        return (
            self.has_callback_to_come
            and self.next_try_at is not None
            and now + EARLY >= self.next_try_at
            and not self.is_leased(now)
        )

    @property
    def has_callback_to_come(self) -> bool:
        """Whether it has ended, and its receiver hasn't got the callback yet."""
        return self.is_completed and self.callback is CallbackState.WAITING

    def is_leased(self, now: datetime) -> bool:
        """Whether a delivery may still be under way."""
        return self.lease_ends_at is not None and now < self.lease_ends_at

    def delivers_from(self, now: datetime) -> datetime:
        """The earliest time for a delivery: now, or when the one under way has ended."""
        return max(now, self.lease_ends_at or now)

    @property
    def last_attempt(self) -> CallbackAttempt | None:
        """The last attempt of this series whose outcome is known."""
        return next((each for each in reversed(self.history) if each.has_outcome), None)

    @property
    def answered(self) -> Counts:
        return self.counts + self.unanswered_counts

    @property
    def progress(self) -> int:
        """Whole per cent of the jobs in finished chunks; 100 only when the batch has ended, so
        that whoever waits for 100 can read the results at once."""
        if self.is_completed:
            return 100
        return min(99, 100 * self.answered.total // self.total)

    @property
    def status(self) -> str:
        """The caller's word for the state."""
        if self.is_completed and self.cancelled:
            return "cancelled"
        return "stopped" if self.is_completed and self.stopped else self.state.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A batch of an account, as the index tells it: it may have expired."""

    batch_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A batch that is due, as the index tells it: a little old, perhaps."""

    batch_id: str
    due_at: datetime


def chunk_size(total: int, jobs_per_message: int) -> int:
    """How many jobs one message carries: one while a batch is small; `jobs_per_message` in larger
    ones; more only where the head would grow too large."""
    size = max(1, min(jobs_per_message, total // CHUNKS_WHILE_FEW))
    return max(size, -(-total // MAX_CHUNKS))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersPart:
    """One flush as it was stored, once and for good."""

    round: int
    number: int
    answers: Mapping[int, Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Stands while a message that was seen before runs its one job; what is left of it after the
    message's last delivery tells which job kills its workers."""

    round: int
    #: Which message, and which of its deliveries.
    hops: int
    receive_count: int
    #: Deliveries before this one whose marker was still standing: their workers died under it.
    deaths: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A chunk as read: its jobs, and every flush so far in the order they were recorded."""

    number: int
    indexes: range
    #: None: the stored jobs cannot be read.
    jobs: tuple[Job, ...] | None
    parts: tuple[AnswersPart, ...] = ()
    #: By the index of the job.
    markers: Mapping[int, Marker] = field(default_factory=dict)

    def answers(self, round: int) -> dict[int, Answer]:
        """The answer that stands for each job in a round: the first recorded in the newest round
        that has one. Later rounds do not count, and an older round's unanswered one is none."""
        standing: dict[int, Answer] = {}
        settled_in: dict[int, int] = {}
        for part in self.parts:
            if part.round > round:
                continue
            for index, answer in part.answers.items():
                if settled_in.get(index) == part.round:
                    continue
                if index not in standing or standing[index].verdict is Verdict.UNANSWERED:
                    standing[index], settled_in[index] = answer, part.round
        return {
            index: answer
            for index, answer in standing.items()
            if answer.verdict is not Verdict.UNANSWERED or settled_in[index] == round
        }

    def failed(self, round: int) -> set[int]:
        """The jobs that did not succeed."""
        answers = self.answers(round).items()
        return {index for index, answer in answers if answer.verdict is not Verdict.SUCCEEDED}

    def missing(self, round: int) -> list[int]:
        answers = self.answers(round)
        return [index for index in self.indexes if index not in answers]

    def next_number(self, round: int) -> int:
        """The number the next flush of this round gets: numbers have no gaps, so whoever gets to
        put it has seen every flush before it."""
        numbers = [part.number for part in self.parts if part.round == round]
        return max(numbers, default=-1) + 1

    def with_part(self, part: AnswersPart) -> "Chunk":
        return replace(self, parts=(*self.parts, part))


def holds_unanswered(answers: Iterable[Answer]) -> bool:
    return any(answer.verdict is Verdict.UNANSWERED for answer in answers)
