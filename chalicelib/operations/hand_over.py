"""What a function sends on instead of doing it: after an error, or until a time comes."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain import retry, transitions
from chalicelib.domain.batch import Batch
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.errors import Misconfigured, Unavailable
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue

#: What a message survives. What is misconfigured stays so until somebody puts it right.
Failure = Unavailable | Misconfigured

#: A wait longer than this would be mistaken for a standstill at the next check.
_LONG_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """An error is not a death: whoever meets one sends its message on and returns. Raises
    Unavailable only if the queue fails too; then SQS hands the message out again."""

    store: BatchStore
    queue: Queue
    clock: Clock
    journal: Journal
    random_unit: Callable[[], float]

    def jobs_after_error(
        self,
        messages: Sequence[JobsMessage],
        error: Failure,
        batch: Batch | None = None,
        at_least: int = 0,
    ) -> None:
        """Send these on, each after the wait for its errors, or `at_least` so many seconds. One
        past its deadline is dropped: the batch's own due time ends it."""
        now = self.clock.now()
        for message in messages:
            if not message.is_too_late(now):
                wait = self._wait_after(message, error, at_least)
                self._note_wait(batch, wait)
                self.queue.send_jobs([message], wait)

    def sentinel_after_error(self, sentinel: Sentinel, error: Unavailable) -> None:
        again = sentinel.after_error()
        self.queue.send_sentinel(again, self._wait_after(again, error))

    def batch_after_error(
        self,
        message: BatchMessage,
        error: Unavailable,
        send: Callable[[BatchMessage, int], None],
    ) -> None:
        """Up to five times; then the batch's due time does it."""
        again = message.after_error()
        if again.errors <= retry.BATCH_ERRORS:
            send(again, self._wait_after(again, error))

    def jobs_later(self, batch: Batch, messages: Sequence[JobsMessage], wait: int) -> None:
        """Send these after so many seconds, and see to it that nobody takes a long wait for a
        standstill."""
        self._note_wait(batch, wait)
        self.queue.send_jobs(messages, wait)

    def _note_wait(self, batch: Batch | None, wait: int) -> None:
        """In full minutes, so that of many messages that wait one writes. What cannot be noted
        costs no more than a needless sentinel."""
        until = _full_minute(self.clock.now() + timedelta(seconds=wait))
        if batch and wait > _LONG_WAIT_SECONDS and not batch.waits_as_long_as(until):
            with suppress(Unavailable):
                self.store.change(batch, transitions.wait_until(batch, until))

    def _wait_after(
        self, message: JobsMessage | BatchMessage | Sentinel, error: Failure, at_least: int = 0
    ) -> int:
        """What the log says of an error, and how long to wait after it."""
        wait = max(at_least, retry.error_wait(message.errors, self.random_unit()))
        if not error.may_pass:
            self.journal.write(
                "function failed",
                batch_id=message.batch_id,
                account=message.account,
                error=str(error),
            )
        self.journal.write(
            "message handed on",
            batch_id=message.batch_id,
            account=message.account,
            errors=message.errors,
            wait=wait,
            error=str(error),
        )
        return wait


def _full_minute(moment: datetime) -> datetime:
    seconds = math.ceil(moment.timestamp() / 60) * 60
    return datetime.fromtimestamp(seconds, moment.tzinfo)
