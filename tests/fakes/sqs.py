"""The queues in memory: what was sent, for a test to deliver as it likes. Delays that SQS rejects
are rejected here too."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.retry import MAX_MESSAGE_DELAY


@dataclass
class FakeQueue:
    jobs: list[tuple[JobsMessage, int]] = field(default_factory=list)
    sentinels: list[tuple[Sentinel, int]] = field(default_factory=list)
    batches: list[tuple[BatchMessage, int]] = field(default_factory=list)
    callbacks: list[tuple[BatchMessage, int]] = field(default_factory=list)

    def send_jobs(self, messages: Sequence[JobsMessage], delay_seconds: int = 0) -> None:
        assert 0 <= delay_seconds <= MAX_MESSAGE_DELAY
        self.jobs += [(message, delay_seconds) for message in messages]

    def send_sentinel(self, sentinel: Sentinel, delay_seconds: int) -> None:
        assert 0 <= delay_seconds <= MAX_MESSAGE_DELAY
        self.sentinels.append((sentinel, delay_seconds))

    def send_callback(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        assert 0 <= delay_seconds <= MAX_MESSAGE_DELAY
        self.callbacks.append((message, delay_seconds))

    def send_batch(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        assert 0 <= delay_seconds <= MAX_MESSAGE_DELAY
        self.batches.append((message, delay_seconds))

    @property
    def is_busy(self) -> bool:
        return any((self.jobs, self.sentinels, self.batches, self.callbacks))

    def take_jobs(self) -> list[tuple[JobsMessage, int]]:
        taken, self.jobs = self.jobs, []
        return taken

    def take_batches(self) -> list[tuple[BatchMessage, int]]:
        taken, self.batches = self.batches, []
        return taken

    def take_sentinels(self) -> list[tuple[Sentinel, int]]:
        taken, self.sentinels = self.sentinels, []
        return taken

    def take_callbacks(self) -> list[tuple[BatchMessage, int]]:
        taken, self.callbacks = self.callbacks, []
        return taken
