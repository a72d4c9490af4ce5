"""The ports of a container: each request takes its time, and is counted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from chalicelib.domain.account import Key
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.errors import Unavailable
from chalicelib.operations.ports import Ports
from tests.fakes.ports import SETTINGS
from tests.simulation.ports import READS
from tests.trials.load.clockwork import Concurrently
from tests.trials.load.queues import Body

if TYPE_CHECKING:
    from tests.trials.load.stage import Stage

#: How long a request to DynamoDB or SQS takes, and a call of the platform.
REQUEST_SECONDS = 0.005
CALL_SECONDS = 0.2

_REQUESTS_AT_ONCE = 8
_ITEMS_PER_REQUEST = 25
_MESSAGES_PER_REQUEST = 10


def ports_of(stage: "Stage") -> Ports:
    """The ports of one container."""
    clockwork = stage.clockwork
    return Ports(
        store=Store(stage),
        keys=stage.keys,
        cached_keys=stage.keys,
        queue=Queue(stage),
        platform=Platform(stage),
        receiver=Receiver(stage),
        concurrent=Concurrently(clockwork, SETTINGS.jobs_side_by_side, SETTINGS.flush_seconds),
        concurrent_requests=Concurrently(clockwork, _REQUESTS_AT_ONCE),
        clock=clockwork,
        journal=Journal(),
        new_id=stage.new_id,
        random_unit=stage.random.random,
    )


class Store:
    """The tables. A write that fails may have taken effect."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self._stage.store, name)
        return partial(self._read, ask) if name in READS else partial(self._write, name, ask)

    def _read(self, ask: Callable[..., Any], *args: Any) -> Any:
        self._stage.clockwork.sleep(REQUEST_SECONDS)
        return ask(*args)

    def _write(self, name: str, write: Callable[..., Any], *args: Any) -> Any:
        stage = self._stage
        items = 1 + len(args[0].chunks) if name == "save_jobs" else 1
        stage.clockwork.sleep(_seconds(items, _ITEMS_PER_REQUEST))
        stage.seen.writes += items
        is_in_vain = name == "record" and stage.fails_to_put(*args)
        fails = stage.random.random() < stage.trouble.failing_writes
        if is_in_vain or (fails and stage.random.random() < 0.5):
            raise Unavailable("The write failed")
        written = write(*args)
        if fails:
            raise Unavailable("The answer to the write was lost")
        return written


class Queue:
    """The queues, which do not fail."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage

    def send_jobs(self, messages: Sequence[JobsMessage], delay_seconds: int = 0) -> None:
        self._send("jobs", messages, delay_seconds)

    def send_sentinel(self, sentinel: Sentinel, delay_seconds: int) -> None:
        self._send("jobs", [sentinel], delay_seconds)

    def send_batch(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        self._send("batches", [message], delay_seconds)

    def send_callback(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        self._send("callbacks", [message], delay_seconds)

    def _send(self, queue: str, bodies: Sequence[Body], delay_seconds: int) -> None:
        self._stage.clockwork.sleep(_seconds(len(bodies), _MESSAGES_PER_REQUEST))
        self._stage.seen.messages += len(bodies)
        for body in bodies:
            self._stage.send(queue, body, delay_seconds)


@dataclass(frozen=True, slots=True)
class Platform:
    """Answers every job, unless it is in trouble."""

    stage: "Stage"

    def prepare(self) -> None:
        """There is nothing to read."""

    def call(
        self,
        *,
        namespace: str,
        action: str,
        body: bytes,
        idempotency_key: str,
        traceparent: str | None,
        key: Key,
    ) -> Reply | NoReply:
        seen, trouble = self.stage.seen, self.stage.trouble
        seen.calls += 1
        is_away = self.stage.age < trouble.platform_away
        seen.away += is_away
        self.stage.clockwork.sleep(CALL_SECONDS)
        if is_away:
            return NoReply(reason="no connection")
        if trouble.asks_to_wait:
            return Reply(status=429, retry_after=f"{trouble.asks_to_wait}")
        return Reply(status=200, body=body)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Accepts every callback, unless it hangs."""

    stage: "Stage"

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        private_headers: Mapping[str, str],
        body: Sequence[bytes],
        timeout_seconds: float,
    ) -> Reply | NoReply:
        if any(account in url for account in self.stage.trouble.hanging):
            self.stage.clockwork.sleep(timeout_seconds)
            return NoReply(reason="no answer in time")
        self.stage.clockwork.sleep(CALL_SECONDS)
        batch_id, _, _ = headers["webhook-id"].split("-")
        self.stage.seen.taken_at[batch_id] = self.stage.clockwork.now()
        return Reply(status=200)


class Journal:
    """A log that nobody reads."""

    def write(self, event: str, **fields: object) -> None:
        """Keeps nothing."""


def _seconds(items: int, per_request: int) -> float:
    """How long it takes to send this many, eight requests at a time."""
    return REQUEST_SECONDS * ceil(items / per_request / _REQUESTS_AT_ONCE)
