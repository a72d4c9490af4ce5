"""What a batch, its chunks and its jobs are. How their state may change is in `states`.

The state of a batch is kept in one record, its head, which only the changes in `transitions`
modify. This module does not know how anything is stored, what time it is, or what a job's answer
means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.trace import TraceContext

#: Keeps the head, which holds the set of finished chunks, under 4 KB.
MAX_CHUNKS = 500
#: The jobs of a small batch are spread over this many messages, so that no worker gets many.
CHUNKS_WHILE_FEW = 4

#: A message that arrives up to this much early counts as on time.
EARLY = timedelta(seconds=5)

#: Within this time, only one restart of a running batch has an effect.
BETWEEN_RESTARTS = timedelta(minutes=5)

NO_RESTART_BEFORE_EXPIRY = timedelta(hours=2)

#: Longer than any backlog delays an account's messages.
SENTINEL_IS_LOST = timedelta(hours=6)

#: How many characters of an error the history keeps, except for the last attempt at a callback.
SHORT_ERROR_CHARACTERS = 100

#: No batch is kept longer, whatever the settings were when it was submitted.
LONGEST_LIFE = timedelta(days=14)


class Verdict(StrEnum):
    """What a recorded answer amounts to. These values are stored, so their meaning never
    changes."""

    SUCCEEDED = "s"  #: the platform did the job
    FAILED = "f"  #: the platform answered with an error, or with something unusable
    UNANSWERED = "g"  #: the call never got an answer: a restart runs this job again


@dataclass(frozen=True, slots=True)
class Job:
    """One call. `params` is the exact JSON text that is sent and given back."""

    index: int
    namespace: str
    action: str
    params: str
    #: The caller's own name for it.
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCall:
    """The platform call that an answer came from."""

    #: None if no answer came over HTTP.
    http_status: int | None
    #: How many calls were made for the answer.
    attempts: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What is recorded for one job. `response` is JSON text."""

    verdict: Verdict
    response: str
    #: None if the service gave this answer instead of a call.
    call: LastCall | None = None

    def of_call(self, call: LastCall | None) -> "Answer":
        """Return the answer with the call that it came from."""
        return Answer(self.verdict, self.response, call)


class CallbackResults(StrEnum):
    """Which results a callback carries."""

    ALL = "all"
    FAILED = "failed"  #: those of every job that did not succeed
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionTerms:
    """What never changes about a submission, except its jobs."""

    callback_url: str | None
    #: Distinguishes a repeated submission from a different one with the same Idempotency-Key.
    request_hash: str
    callback_results: CallbackResults = CallbackResults.ALL
    #: Sent with the callback. They contain secrets and are never shown or logged. None if the
    #: stored ones cannot be read.
    callback_headers: Mapping[str, str] | None = field(default_factory=dict, repr=False)
    #: Given back in `progress` and in the callback; empty if the caller gave none, or if it cannot
    #: be read.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: How long each round may take; None for the stage's setting.
    deadline: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackAttempt:
    """One attempt at a callback. Until its outcome is recorded, only its time is known. If its
    sender dies, that never changes."""

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
    """How many jobs were answered, by outcome, and the size of their results."""

    succeeded: int = 0
    failed: int = 0
    #: Those of the failed jobs whose call never got an answer; a restart runs them again.
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
    """A batch as its head describes it. All times are UTC, to the millisecond."""

    batch_id: str
    #: New for every submission, and part of every key, message and condition, so that two
    #: submissions under one id never mix.
    submission: str
    account: str
    #: The access key whose secret signs the jobs.
    key: str
    total: int
    chunk_size: int
    state: BatchState
    #: 1 for the first run, plus 1 for each restart.
    round: int
    created_at: datetime
    #: When the batch was submitted or restarted.
    round_began_at: datetime
    #: Jobs without an answer at this time get the failure response.
    deadline: datetime
    expires_at: datetime
    completed_at: datetime | None = None
    cancelled: bool = False

    #: The caller's name for the batch.
    label: str | None = None
    #: Whether the terms contain metadata. Most batches have none, which saves reading the terms.
    has_metadata: bool = False
    trace: TraceContext | None = None
    #: In the first round no call starts after more jobs than this have failed.
    max_failed: int | None = None
    #: More jobs failed than `max_failed`: jobs without an answer get one instead of a call.
    stopped: bool = False

    #: The finished chunks: a set, because a counter is wrong after a redelivery.
    done: frozenset[int] = frozenset()
    #: Those of `done` that contain an unanswered job; a restart removes them again.
    unanswered: frozenset[int] = frozenset()
    #: Counts the jobs of chunks in `done` but not in `unanswered`.
    counts: Counts = field(default_factory=Counts)
    #: Counts the jobs of chunks in `unanswered`.
    unanswered_counts: Counts = field(default_factory=Counts)

    #: When to check whether anything was lost; None if there is nothing left to wait for.
    next_check_at: datetime | None
    #: The number of checks recorded in this round, and the time of the last one.
    checks: int = 0
    checked_at: datetime | None = None
    #: How many chunks were done at the last check.
    done_at_last_check: int = 0
    #: How long a message of this round waits at most, if it waits more than a minute.
    waits_until: datetime | None = None
    #: When the current sentinel was sent.
    sentinel_at: datetime | None = None

    callback: CallbackState
    #: Makes callback writes of an earlier completion or repost fail.
    callback_round: int = 1
    attempts: int = 0
    next_try_at: datetime | None = None
    #: The token of the current delivery.
    lease: str | None = None
    #: No other delivery begins before this time, in any round.
    lease_ends_at: datetime | None = None
    #: The attempts of this series, oldest first.
    history: tuple[CallbackAttempt, ...] = ()

    #: When the sweep finds the batch. What is due is decided by the times above.
    due_at: datetime | None = None

    #: The token of the last restart, repost or cancel, by which that call recognizes its own write.
    rerun: str | None = None

    @property
    def life(self) -> str:
        """Distinguishes this batch from an earlier one with the same id."""
        return self.submission[:8]

    def call_id(self, index: int) -> str:
        """The Idempotency-Key of a job's calls: the same in every round."""
        return f"{self.batch_id}-{self.life}-{index}"

    def call_traceparent(self, index: int) -> str | None:
        """The `traceparent` of a job's calls, the same at every attempt; None if the batch has no
        trace."""
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
        """The jobs of a chunk: consecutive, numbered throughout the batch."""
        return range(chunk * self.chunk_size, min((chunk + 1) * self.chunk_size, self.total))

    def chunks_of(self, jobs: range) -> range:
        """The chunks that contain these consecutive jobs. Jobs beyond the last one are in no
        chunk."""
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
        """Whether an account may see the batch: it owns it, and the batch has not expired."""
        return self.account == account and not self.is_expired(now)

    def waits(self, now: datetime) -> bool:
        """Whether a message of the batch is delayed, so that no progress is expected."""
        return self.waits_until is not None and now < self.waits_until

    def waits_as_long_as(self, moment: datetime) -> bool:
        """Whether the batch is known to wait at least until this moment."""
        return self.waits_until is not None and self.waits_until >= moment

    def is_check_due(self, now: datetime) -> bool:
        return self.next_check_at is not None and now >= self.next_check_at

    @property
    def was_ever_checked(self) -> bool:
        """Whether this round has had a check. If not, its messages may never have been sent."""
        return self.checks > 0

    @property
    def has_stood_still(self) -> bool:
        """Whether no chunk was finished since the last check."""
        return len(self.done) == self.done_at_last_check

    def has_sentinel(self, now: datetime) -> bool:
        """Whether a sentinel is on its way. If it has not arrived after a long time, it is lost."""
        return self.sentinel_at is not None and now - self.sentinel_at < SENTINEL_IS_LOST

    def is_to_be_ended(self, now: datetime) -> bool:
        """Whether jobs without an answer now get one instead of a call."""
        return self.cancelled or self.stopped or now >= self.deadline

    def waits_for_its_workers(self, now: datetime) -> bool:
        """Whether the batch was stopped while calls were in progress that may still be recorded."""
        return self.stopped and not self.is_check_due(now + EARLY)

    def has_failed_too_often(self, elsewhere: int = 0) -> bool:
        """Whether more jobs failed than allowed: those in finished chunks plus `elsewhere`, the
        number in others. A restart runs its jobs without the limit."""
        limit = self.max_failed if self.round == 1 else None
        return limit is not None and self.answered.failed + elsewhere > limit

    def was_checked_lately(self, now: datetime) -> bool:
        return self.checked_at is not None and now - self.checked_at < BETWEEN_RESTARTS

    def is_near_its_end(self, now: datetime) -> bool:
        """Whether a restart would leave too little time to run and call back."""
        return now > self.expires_at - NO_RESTART_BEFORE_EXPIRY

    def may_deliver(self, now: datetime) -> bool:
        """Whether the callback is due: its time has come, and no lease is active."""
        return (
            self.has_callback_to_come
            and self.next_try_at is not None
            and now + EARLY >= self.next_try_at
            and not self.is_leased(now)
        )

    @property
    def has_callback_to_come(self) -> bool:
        """Whether the batch has ended and its receiver has not got the callback yet."""
        return self.is_completed and self.callback is CallbackState.WAITING

    def is_leased(self, now: datetime) -> bool:
        """Whether a delivery may still be in progress."""
        return self.lease_ends_at is not None and now < self.lease_ends_at

    def delivers_from(self, now: datetime) -> datetime:
        """The earliest time for a delivery: now, or after the one in progress has ended."""
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
        """The percentage of jobs in finished chunks, rounded down. It is 100 only if the batch has
        ended, so that a caller who waits for 100 can read the results immediately."""
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
    """A batch of an account, as the index has it. It may have expired."""

    batch_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A batch that is due, as the index has it. The index may lag behind."""

    batch_id: str
    due_at: datetime


def chunk_size(total: int, jobs_per_message: int) -> int:
    """How many jobs one message carries: one in a small batch, `jobs_per_message` in larger ones,
    and more only if the head would otherwise grow too large."""
    size = max(1, min(jobs_per_message, total // CHUNKS_WHILE_FEW))
    return max(size, -(-total // MAX_CHUNKS))


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswersPart:
    """One flush of answers. Once stored, it never changes."""

    round: int
    number: int
    answers: Mapping[int, Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Exists while a message that was received before runs its one job. A marker that is left after
    the message's last delivery tells which job kills its workers."""

    round: int
    #: Identifies the message, together with the round.
    hops: int
    #: Which delivery of the message it is.
    receive_count: int
    #: How many earlier deliveries left their marker behind, because their worker died.
    deaths: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A chunk as read: its jobs, and every flush so far in the order of recording."""

    number: int
    indexes: range
    #: None if the stored jobs cannot be read.
    jobs: tuple[Job, ...] | None
    parts: tuple[AnswersPart, ...] = ()
    #: Each under the index of its job.
    markers: Mapping[int, Marker] = field(default_factory=dict)

    def answers(self, round: int) -> dict[int, Answer]:
        """Return the answer that counts for each job in a round: the first one recorded in the
        newest round that has one. Later rounds are ignored, and so are unanswered jobs of earlier
        rounds."""
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
        """The number of this round's next flush. Numbers have no gaps, unless somebody deleted an
        item, so a worker that stores a flush has seen every flush before it."""
        numbers = [part.number for part in self.parts if part.round == round]
        return max(numbers, default=-1) + 1

    def with_part(self, part: AnswersPart) -> "Chunk":
        return replace(self, parts=(*self.parts, part))


def holds_unanswered(answers: Iterable[Answer]) -> bool:
    return any(answer.verdict is Verdict.UNANSWERED for answer in answers)
