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
