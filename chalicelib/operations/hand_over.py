"""Send messages on for another function to handle: after an error, or when their time comes."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from chalicelib.domain import retry, transitions
from chalicelib.domain.batch import Batch
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.errors import Misconfigured, Unavailable
from chalicelib.operations.ports import BatchStore, Clock, Journal, Queue

#: How many errors a message survives. A misconfiguration lasts until somebody fixes it.
Failure = Unavailable | Misconfigured

#: The next check would mistake a longer wait for a standstill.
_LONG_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Sends a message on after an error, so that an error does not count as a worker's death.
    Raises Unavailable only if the queue fails too; then SQS redelivers the message."""

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
        """Send each message on after the wait for its errors, but no sooner than `at_least`
        seconds. A message past its deadline is dropped: the batch's own due time ends it."""
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
        """Send the message again, up to five times. After that the batch's due time triggers the
        work."""
        again = message.after_error()
        if again.errors <= retry.BATCH_ERRORS:
            send(again, self._wait_after(again, error))

    def jobs_later(self, batch: Batch, messages: Sequence[JobsMessage], wait: int) -> None:
        """Send these after `wait` seconds, and note a long wait so that no check mistakes it for a
        standstill."""
        self._note_wait(batch, wait)
        self.queue.send_jobs(messages, wait)

    def _note_wait(self, batch: Batch | None, wait: int) -> None:
        """Note the wait, rounded to full minutes so that only one of many waiting messages writes.
        If that fails, the only cost is a needless sentinel."""
        until = _full_minute(self.clock.now() + timedelta(seconds=wait))
        if batch and wait > _LONG_WAIT_SECONDS and not batch.waits_as_long_as(until):
            with suppress(Unavailable):
                self.store.change(batch, transitions.wait_until(batch, until))

    def _wait_after(
        self, message: JobsMessage | BatchMessage | Sentinel, error: Failure, at_least: int = 0
    ) -> int:
        """Log the error, and return how long to wait after it."""
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
