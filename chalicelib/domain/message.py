"""What the queues carry: which part of which batch to run or check, and never a caller's data."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.batch import Batch, Chunk, Marker
from chalicelib.domain.dataclass import dataclass

#: After this many failed receives a message goes to the dead-letter queue: the template's
#: maxReceiveCount.
MAX_RECEIVES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsMessage:
    """Run the jobs of one chunk that have no answer, or only those of `indexes`."""

    batch_id: str
    #: The owner of the batch; the queues are fair between accounts.
    account: str
    submission: str
    round: int
    chunk: int
    #: None for the whole chunk.
    indexes: tuple[int, ...] | None = None
    #: Which call of the jobs this is: 1 for the first.
    attempt: int = 1
    #: How often it was handed on. Together with the round this identifies the message.
    hops: int = 0
    #: How many times in a row it was handed on because the database failed, or no call could start.
    errors: int = 0
    #: The batch's deadline. None if an older release, which did not send it, wrote the message.
    deadline: datetime | None = None
    #: Since when its calls have found the platform down and used no attempt.
    away_since: datetime | None = None

    @classmethod
    def of(cls, batch: Batch, chunk: int) -> "JobsMessage":
        """The first message of a chunk in the batch's round."""
        return cls(
            batch_id=batch.batch_id,
            account=batch.account,
            submission=batch.submission,
            round=batch.round,
            chunk=chunk,
            deadline=batch.deadline,
        )

    @classmethod
    def again(cls, batch: Batch, chunk: int) -> "JobsMessage":
        """A message for a chunk whose first one may have been lost."""
        return replace(cls.of(batch, chunk), hops=1)

    def handed_on(
        self, indexes: Iterable[int], *, next_attempt: bool = False, after_error: bool = False
    ) -> "JobsMessage":
        """The message that continues with some of this one's jobs."""
        return replace(
            self,
            indexes=tuple(indexes),
            attempt=self.attempt + next_attempt,
            errors=self.errors + 1 if after_error else 0,
            hops=self.hops + 1,
        )

    def held_up(self, indexes: Iterable[int], away_since: datetime | None) -> "JobsMessage":
        """The message that continues with some of this one's jobs when nothing holds them up
        anymore."""
        return replace(self.handed_on(indexes), away_since=self.away_since or away_since)

    def after_error(self) -> "JobsMessage":
        """The message that starts over with all of this one's jobs."""
        return replace(self, errors=self.errors + 1, hops=self.hops + 1)

    @property
    def may_have_been_called(self) -> bool:
        """Whether its jobs may have been called before. Those of a message from a submission have
        not."""
        return self.hops > 0 or self.round > 1

    def is_too_late(self, now: datetime) -> bool:
        """Whether the deadline in the message has passed."""
        return self.deadline is not None and now >= self.deadline

    def concerns(self, batch: Batch, now: datetime) -> bool:
        """Whether its jobs still have to be called. They do not if the round is over or the batch
        is to be ended."""
        return self.is_of(batch) and batch.is_running and not batch.is_to_be_ended(now)

    def is_of(self, batch: Batch) -> bool:
        """Whether the batch is still in the submission and the round in which the message was
        sent."""
        return (batch.submission, batch.round) == (self.submission, self.round)

    def deaths_under(self, marker: Marker | None) -> int:
        """How many deliveries of this message died, according to the marker that is left."""
        if marker is None or (marker.round, marker.hops) != (self.round, self.hops):
            return 0
        return marker.deaths + 1

    def is_of_several(self, chunk: Chunk) -> bool:
        return len(self._wanted(chunk)) > 1

    def missing(self, chunk: Chunk) -> list[int]:
        """The jobs of this message that have no answer in its round."""
        wanted = self._wanted(chunk)
        return [index for index in chunk.missing(self.round) if index in wanted]

    def _wanted(self, chunk: Chunk) -> range | tuple[int, ...]:
        return chunk.indexes if self.indexes is None else self.indexes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinel:
    """Waits behind the other messages of its account and then compares: if the batch has made no
    progress since it was sent, the messages before it are lost."""

    batch_id: str
    account: str
    submission: str
    round: int
    #: A chunk that was not done.
    chunk: int
    #: Identifies it in the head, so that a redelivered or older one is ignored.
    sent_at: datetime
    #: The state of the batch at that time.
    done: int
    answered: int
    waits_until: datetime | None
    #: How many times in a row it was handed on because the database failed.
    errors: int = 0

    def after_error(self) -> "Sentinel":
        """The same sentinel, to be sent again."""
        return replace(self, errors=self.errors + 1)

    def stands_in(self, batch: Batch) -> bool:
        """Whether it is the sentinel that the batch waits for."""
        is_of = (batch.submission, batch.round) == (self.submission, self.round)
        return is_of and batch.is_running and batch.sentinel_at == self.sent_at


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMessage:
    """Check a batch, or send its callback, if that is due."""

    batch_id: str
    account: str
    hops: int = 0
    errors: int = 0

    @classmethod
    def of(cls, batch: Batch) -> "BatchMessage":
        return cls(batch_id=batch.batch_id, account=batch.account)

    def handed_on(self) -> "BatchMessage":
        return replace(self, hops=self.hops + 1, errors=0)

    def after_error(self) -> "BatchMessage":
        """The same message, to be retried."""
        return replace(self, hops=self.hops + 1, errors=self.errors + 1)
