"""What travels on the queues: which part of which batch to run or check, never a caller's data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.batch import Batch, Chunk, Marker

#: Lambda stops a chain of function -> queue -> same function after 16 hops; ours ends before, and
#: the batch's next check begins a new one.
#: https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
MAX_HOPS = 12
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
    hops: int = 0

    @classmethod
    def of(cls, batch: Batch, chunk: int) -> "JobsMessage":
        """The first message of a chunk in the batch's round."""
        return cls(
            batch_id=batch.batch_id,
            account=batch.account,
            submission=batch.submission,
            round=batch.round,
            chunk=chunk,
        )

    def handed_on(self, indexes: list[int], *, next_attempt: bool = False) -> "JobsMessage":
        """The message that carries on with some of this one's jobs."""
        return replace(
            self,
            indexes=tuple(indexes),
            attempt=self.attempt + next_attempt,
            hops=self.hops + 1,
        )

    def concerns(self, batch: Batch, now: datetime) -> bool:
        """Whether there is still something to do for it: of an older round, another submission or
        a finished batch there is not."""
        return (
            batch.submission == self.submission
            and batch.round == self.round
            and batch.is_running
            and not batch.is_expired(now)
        )

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

    @property
    def may_be_sent(self) -> bool:
        return self.hops <= MAX_HOPS


def sendable(messages: Iterable[JobsMessage]) -> list[JobsMessage]:
    """Those that have hops left. The others are left to the batch's next check."""
    return [message for message in messages if message.may_be_sent]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMessage:
    """Check a batch and do what is due."""

    batch_id: str
    account: str
    hops: int = 0

    @classmethod
    def of(cls, batch: Batch) -> "BatchMessage":
        return cls(batch_id=batch.batch_id, account=batch.account)

    def handed_on(self) -> "BatchMessage":
        return replace(self, hops=self.hops + 1)

    @property
    def may_be_sent(self) -> bool:
        return self.hops <= MAX_HOPS
