"""Queues that are fair like those of SQS: the messages of a quiet account come first."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel

#: An account is noisy if it has more than one in this many of the messages in flight.
_NOISY = 10

Body = JobsMessage | Sentinel | BatchMessage


@dataclass(slots=True)
class Message:
    """A message, and how often it was received."""

    body: Body
    number: int
    receives: int = 0
    received_at: datetime | None = None


class FairQueue:
    """The messages of one queue that are available now, and those in flight."""

    def __init__(self) -> None:
        self._visible: dict[str, deque[Message]] = {}
        self._in_flight: Counter[str] = Counter()

    def put(self, message: Message) -> None:
        self._visible.setdefault(message.body.account, deque()).append(message)

    def take(self) -> Message | None:
        """Take the oldest message of a quiet account, or the oldest of all if there is none."""
        if not self._visible:
            return None
        account = min(self._visible, key=self._turn)
        messages = self._visible[account]
        message = messages.popleft()
        if not messages:
            del self._visible[account]
        self._in_flight[account] += 1
        return message

    def end(self, message: Message) -> None:
        """The message is no longer in flight."""
        self._in_flight[message.body.account] -= 1

    def _turn(self, account: str) -> tuple[bool, int]:
        most = max(1, self._in_flight.total() // _NOISY)
        return self._in_flight[account] > most, self._visible[account][0].number
