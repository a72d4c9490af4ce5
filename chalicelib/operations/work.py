"""What one message asks of one worker, and how far the worker has got with it."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from chalicelib.domain.batch import Answer, Batch, Chunk
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
    """A message with what was read for it. Each of its jobs is open until its answer is recorded,
    or another message carries it on: then nothing that fails or dies can lose it."""

    message: JobsMessage
    #: How often SQS has handed the message out, this time included.
    receive_count: int
    seconds_left: SecondsLeft
    batch: Batch
    #: As it was read, with what was recorded since.
    chunk: Chunk
    #: What became of each open job so far.
    open: dict[int, Found] = field(init=False)
    #: The jobs of the chunk that did not succeed: as it was read, and as calls that are made at the
    #: same time find out. A set needs no lock for that.
    failed: set[int] = field(init=False)
    #: Why the last answers could not be recorded: until they are, no further call begins.
    error: Unavailable | None = None

    def __post_init__(self) -> None:
        self.open = dict.fromkeys(self.message.missing(self.chunk), NOT_STARTED)
        self.failed = self.chunk.failed(self.batch.round)

    @property
    def has_seen_too_many_fail(self) -> bool:
        """Whether the batch may not go on, by what this worker knows. Not all of that need be
        recorded."""
        return self.batch.has_failed_too_often(len(self.failed))

    @property
    def is_to_be_stopped(self) -> bool:
        """Whether the batch may not go on, by what is recorded."""
        return self.batch.has_failed_too_often(len(self.chunk.failed(self.batch.round)))

    @property
    def may_have_been_called(self) -> bool:
        """Whether a job may have been called before without our knowing the answer."""
        return self.was_received_before or self.message.may_have_been_called

    @property
    def was_received_before(self) -> bool:
        """Whether a worker died of it, or ran out of time."""
        return self.receive_count > 1

    @property
    def is_to_be_split(self) -> bool:
        """Whether one of several jobs may have been its last worker's death."""
        return (
            self.was_received_before
            and len(self.open) > 0
            and self.message.is_of_several(self.chunk)
        )

    @property
    def answers(self) -> dict[int, Answer]:
        """Those that are not recorded yet."""
        return {index: found for index, found in self.open.items() if isinstance(found, Answer)}

    @property
    def not_started(self) -> list[int]:
        return [index for index, found in self.open.items() if isinstance(found, NotStarted)]

    @property
    def asked_to_wait(self) -> int:
        """Whole seconds that the platform asked to wait for, with any open job."""
        retries = (found for found in self.open.values() if isinstance(found, TryAgain))
        asked = max((found.retry_after or 0 for found in retries), default=0)
        return min(MAX_MESSAGE_DELAY, math.ceil(asked))

    def close(self, indexes: Iterable[int]) -> None:
        """These are recorded, or carried on by another message."""
        for index in list(indexes):
            del self.open[index]

    def after_error(self) -> Iterator[JobsMessage]:
        """The messages that carry on what is open. A job that was called has had that attempt. If
        none is open, only the chunk's end is left to do."""
        waiting = set(self.not_started)
        called = self.open.keys() - waiting
        if not self.open:
            yield self.message.after_error()
        if waiting:
            yield self.message.handed_on(sorted(waiting), after_error=True)
        if called:
            yield self.message.handed_on(sorted(called), next_attempt=True, after_error=True)
