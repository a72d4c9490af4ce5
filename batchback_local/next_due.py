"""What happens next to the open batches, if nobody does anything: the next retry, a deadline.

Two things make something happen: a delayed message that comes, and the sweep, which finds a batch
when it is due. An operator's pause holds up jobs until it ends. A batch that is being worked on
does not wait, so its deadline does not count.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from batchback_console.local_tools import NextDue
from batchback_local.aws.messages import QueuedMessage
from batchback_ops.ops.heads import find_due_next, is_whole
from chalicelib.adapters.sqs import parse_batch, parse_jobs
from chalicelib.domain.batch import Batch
from chalicelib.domain.holds import Pause
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.transitions import RESERVATION
from chalicelib.errors import TooNew
from chalicelib.operations.ports import BatchStore

#: Whatever has just begun or come due is left alone for this long: its message is about to be sent.
_MOMENT = timedelta(seconds=5)
#: How many open batches are read at most.
_MOST = 1_000

_Message = JobsMessage | Sentinel | BatchMessage


def next_due(store: BatchStore, queued: Iterable[QueuedMessage], now: datetime) -> NextDue | None:
    """The earliest of what is to come to the open batches. None if none waits for anything."""
    messages = _by_batch(queued)
    pause = store.find_pause()
    waiting = (
        _Waiting(
            batch=batch,
            messages=messages.get(batch.batch_id, []),
            pause=pause if pause and pause.lasts(now) else None,
            store=store,
            now=now,
        )
        for batch in _open_batches(store, now)
    )
    events = [event for each in waiting for event in each.events() if event.at > now]
    return min(events, key=lambda event: event.at, default=None)


def _open_batches(store: BatchStore, now: datetime) -> Iterable[Batch]:
    found = find_due_next(store, now, _MOST)
    return [batch for batch in found if is_whole(batch) and not batch.is_expired(now)]


def _by_batch(queued: Iterable[QueuedMessage]) -> Mapping[str, Sequence[tuple[datetime, _Message]]]:
    """Messages by batch, each with the time at which it comes."""
    found = defaultdict(list)
    for each in queued:
        if message := _parsed(each.body):
            found[message.batch_id].append((each.comes_at, message))
    return found


def _parsed(body: str) -> _Message | None:
    """The message, or None if it is not one of ours."""
    parse = parse_jobs if '"chunk"' in body else parse_batch
    try:
        return parse(body)
    except (ValueError, KeyError, TypeError, AttributeError, TooNew):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """An open batch, and what may be to come to it."""

    batch: Batch
    messages: Sequence[tuple[datetime, _Message]]
    pause: Pause | None
    store: BatchStore
    now: datetime

    def events(self) -> Iterator[NextDue]:
        """What is to come; some of it may be past."""
        if self.batch.is_completed:
            yield from self._callback()
        elif self.batch.is_to_be_ended(self.now):
            yield from self._end()
        else:
            yield from self._jobs()

    def _callback(self) -> Iterator[NextDue]:
        if not self.batch.has_callback_to_come or self.batch.is_leased(self.now):
            return
        what = f"The callback of batch {self._name} is retried."
        messages = [at for at, message in self.messages if isinstance(message, BatchMessage)]
        if messages:
            yield NextDue(at=min(messages), what=what)
        elif not self._is_recent(self.batch.next_try_at):
            yield from self._when_swept(what)  # The wait is too long for a message.

    def _end(self) -> Iterator[NextDue]:
        if not self._is_worked_on:
            yield from self._when_swept(f"Batch {self._name} ends.")

    def _jobs(self) -> Iterator[NextDue]:
        retries = [at for at, message in self.messages if isinstance(message, JobsMessage)]
        later = [at for at in retries if at > self.now]
        if later and not self.pause:
            yield NextDue(at=min(later), what=self._retry())
        if self._is_worked_on:
            return
        if self.pause:
            what = f"The pause ends, and batch {self._name} goes on."
            yield NextDue(at=self.pause.until, what=what)
        elif not later:
            yield from self._checks(f"Batch {self._name} is checked for lost messages.")
        deadline = f"The deadline of batch {self._name} comes: jobs without an answer fail."
        yield NextDue(at=self.batch.deadline, what=deadline)

    def _retry(self) -> str:
        if self.store.find_holds(self.batch.account).outage:
            return f"The platform, which was down, is called again for batch {self._name}."
        return f"Jobs of batch {self._name} are retried."

    def _checks(self, what: str) -> Iterator[NextDue]:
        yield from self._when_swept(what)
        for at, message in self.messages:
            if isinstance(message, Sentinel):
                yield NextDue(at=at, what=what)

    def _when_swept(self, what: str) -> Iterator[NextDue]:
        if self.batch.due_at and not self._is_swept:
            yield NextDue(at=self.batch.due_at, what=what)

    @property
    def _is_worked_on(self) -> bool:
        """Whether a message of it can be received, is being worked on, or is about to be sent."""
        is_here = any(at <= self.now for at, _ in self.messages)
        return is_here or self._is_swept or self._is_recent(self.batch.round_began_at)

    @property
    def _is_swept(self) -> bool:
        """Whether the sweep is to send a message of it, or has reserved it for that."""
        due_at = self.batch.due_at
        if due_at is None:
            return False
        return due_at <= self.now or self._is_recent(due_at - RESERVATION)

    def _is_recent(self, moment: datetime | None) -> bool:
        return moment is not None and timedelta() <= self.now - moment < _MOMENT

    @property
    def _name(self) -> str:
        label = self.batch.label
        return self.batch.batch_id[:8] if label is None else f'"{label}"'
