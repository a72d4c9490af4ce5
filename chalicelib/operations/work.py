"""What one message asks of one worker."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.domain.batch import Batch, Chunk
from chalicelib.domain.message import JobsMessage

SecondsLeft = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A message, and what was read for it."""

    batch: Batch
    #: As it was read.
    chunk: Chunk
    message: JobsMessage
    #: Those of the message's jobs that have no answer.
    missing: list[int]
    #: How often SQS has handed the message out, this time included.
    receive_count: int
    seconds_left: SecondsLeft

    @property
    def may_have_been_called(self) -> bool:
        """Whether a job may have been called before without our knowing the answer: not at the
        first receive of a message as the submission sent it."""
        return self.receive_count > 1 or self.message.hops > 0 or self.message.round > 1
