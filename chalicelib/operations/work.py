"""The work that one message gives one worker, and how far the worker has got with it."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field

from chalicelib.domain.batch import Answer, Batch, Chunk
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.outcome import TryAgain
from chalicelib.domain.retry import MAX_MESSAGE_DELAY
from chalicelib.errors import Unavailable

SecondsLeft = Callable[[], float]


@dataclass(frozen=True, slots=True)
class NotStarted:
    """No call of the job began in this message."""


Found = Answer | TryAgain | NotStarted
NOT_STARTED = NotStarted()


@dataclass(slots=True, kw_only=True)
class Work:
    """A message with what was read for it. Each job is open until its answer is recorded or another
    message carries it on; after that, no failure or death can lose it."""

    message: JobsMessage
    #: How often SQS has delivered the message, including this delivery.
    receive_count: int
    seconds_left: SecondsLeft
    batch: Batch
    #: The chunk as it was read, plus what was recorded since.
    chunk: Chunk
    #: What became of each open job so far.
    open: dict[int, Found] = field(init=False)
    #: The chunk's jobs that did not succeed: first as read, then as concurrent calls find out.
    #: Adding to a set needs no lock.
    failed: set[int] = field(init=False)
    #: Why the last answers could not be recorded. Until they are, no further call begins.
    error: Unavailable | None = None

    def __post_init__(self) -> None:
        self.open = dict.fromkeys(self.message.missing(self.chunk), NOT_STARTED)
        self.failed = self.chunk.failed(self.batch.round)

    @property
    def has_seen_too_many_fail(self) -> bool:
        """Whether too many jobs have failed for the batch to go on, including failures that only
        this worker knows."""
        return self.batch.has_failed_too_often(len(self.failed))

    @property
    def is_to_be_stopped(self) -> bool:
        """Whether too many recorded failures mean that the batch must stop."""
        return self.batch.has_failed_too_often(len(self.chunk.failed(self.batch.round)))

    @property
    def may_have_been_called(self) -> bool:
        """Whether a job may have been called before without our knowing the answer."""
        return self.was_received_before or self.message.may_have_been_called

    @property
    def was_received_before(self) -> bool:
        """Whether an earlier worker died with the message or ran out of time."""
        return self.receive_count > 1

    @property
    def is_to_be_split(self) -> bool:
        """Whether one of several jobs may have killed the last worker."""
        return (
            self.was_received_before
            and len(self.open) > 0
            and self.message.is_of_several(self.chunk)
        )

    @property
    def answers(self) -> dict[int, Answer]:
        """The answers that are not recorded yet."""
        return {index: found for index, found in self.open.items() if isinstance(found, Answer)}

    @property
    def not_started(self) -> list[int]:
        return [index for index, found in self.open.items() if isinstance(found, NotStarted)]

    @property
    def asked_to_wait(self) -> int:
        """The longest wait, in whole seconds, that the platform asked for with any open job."""
        retries = (found for found in self.open.values() if isinstance(found, TryAgain))
        asked = max((found.retry_after or 0 for found in retries), default=0)
        return min(MAX_MESSAGE_DELAY, math.ceil(asked))

    def close(self, indexes: Iterable[int]) -> None:
        """Close these jobs: they are recorded, or carried on by another message."""
        for index in list(indexes):
            del self.open[index]

    def after_error(self) -> Iterator[JobsMessage]:
        """Return the messages that carry on the open jobs. A job that was called has used that
        attempt. If no job is open, only the chunk remains to be finished."""
        waiting = set(self.not_started)
        called = self.open.keys() - waiting
        if not self.open:
            yield self.message.after_error()
        if waiting:
            yield self.message.handed_on(sorted(waiting), after_error=True)
        if called:
            yield self.message.handed_on(sorted(called), next_attempt=True, after_error=True)
