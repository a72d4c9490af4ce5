"""What travels on the queues: which part of which batch to run or check, never a caller's data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.batch import Batch, Chunk, Marker

#: A message that was received so often and came back each time goes to the dead-letter queue; the
#: template's maxReceiveCount.
MAX_RECEIVES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsMessage:
    """Run the jobs of one chunk, or those of `indexes` of it, that have no answer."""

    batch_id: str
    #: Whose batch it is; the queues are fair between accounts.
    account: str
    submission: str
    round: int
    chunk: int
    #: None: the whole chunk.
    indexes: tuple[int, ...] | None = None
    #: Which call of the jobs this is: 1 for the first.
    attempt: int = 1
    #: How often it was sent on: with its round, which message this is.
    hops: int = 0
    #: How often in a row it was sent on because the database failed, or no call could start.
    errors: int = 0
    #: The batch's deadline. None: a release that did not send it wrote the message.
    deadline: datetime | None = None
    #: Since when its calls found the platform away and used no attempt.
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
        """A message of a chunk whose first one may have been lost, or not."""
        return replace(cls.of(batch, chunk), hops=1)

    def handed_on(
        self, indexes: Iterable[int], *, next_attempt: bool = False, after_error: bool = False
    ) -> "JobsMessage":
        """The message that carries on with some of this one's jobs."""
        return replace(
            self,
            indexes=tuple(indexes),
            attempt=self.attempt + next_attempt,
            errors=self.errors + 1 if after_error else 0,
            hops=self.hops + 1,
        )

    def held_up(self, indexes: Iterable[int], away_since: datetime | None) -> "JobsMessage":
        """The message that carries on with some of this one's jobs when nothing holds them up."""
        return replace(self.handed_on(indexes), away_since=self.away_since or away_since)

    def after_error(self) -> "JobsMessage":
        """The message that begins anew with all of this one's jobs."""
        return replace(self, errors=self.errors + 1, hops=self.hops + 1)

    @property
    def may_have_been_called(self) -> bool:
        """Whether its jobs may have been called before: not those of a message as the submission
        sent it."""
        return self.hops > 0 or self.round > 1

    def is_too_late(self, now: datetime) -> bool:
        """Whether the deadline that it carries has passed."""
        return self.deadline is not None and now >= self.deadline

    def concerns(self, batch: Batch, now: datetime) -> bool:
        """Whether its jobs are still to be called. If the round is over, or the batch is
        to be ended, they are not."""
        return self.is_of(batch) and batch.is_running and not batch.is_to_be_ended(now)

    def is_of(self, batch: Batch) -> bool:
        """Whether the batch is in the submission and the round that it was sent in."""
        return (batch.submission, batch.round) == (self.submission, self.round)

    def deaths_under(self, marker: Marker | None) -> int:
        """How many deliveries of this very message died, as the marker that stands tells."""
        if marker is None or (marker.round, marker.hops) != (self.round, self.hops):
            return 0
        return marker.deaths + 1

    def is_of_several(self, chunk: Chunk) -> bool:
        return len(self._wanted(chunk)) > 1

    def missing(self, chunk: Chunk) -> list[int]:
        """The jobs it is for that have no answer in its round."""
        wanted = self._wanted(chunk)
        return [index for index in chunk.missing(self.round) if index in wanted]

    def _wanted(self, chunk: Chunk) -> range | tuple[int, ...]:
        return chunk.indexes if self.indexes is None else self.indexes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinel:
    """Waits its turn among the messages of its account, and then compares: if nothing of the batch
    has moved since it was sent, the messages before it are lost."""

    batch_id: str
    account: str
    submission: str
    round: int
    #: A chunk that was not done.
    chunk: int
    #: By this time the head knows it: a redelivered or older one is not the one that stands.
    sent_at: datetime
    #: What the batch looked like then.
    done: int
    answered: int
    waits_until: datetime | None
    #: How often in a row it was sent on because the database failed.
    errors: int = 0

    def after_error(self) -> "Sentinel":
        """The same, to be sent again."""
        return replace(self, errors=self.errors + 1)

    def stands_in(self, batch: Batch) -> bool:
        """Whether it is the one that the batch waits for."""
        is_of = (batch.submission, batch.round) == (self.submission, self.round)
        return is_of and batch.is_running and batch.sentinel_at == self.sent_at


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMessage:
    """Check a batch, or call back, and do what is due."""

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
        """The same, to be tried again."""
        return replace(self, hops=self.hops + 1, errors=self.errors + 1)
