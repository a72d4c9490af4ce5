"""Does what Lambda's event source mappings and EventBridge's schedules do for a Chalice app.

Each queue is long-polled. Its messages go to the app's handlers, in several concurrent invocations,
one per thread. If a handler returns, its messages are deleted; if it raises, they come back after
their visibility timeout. Nothing here knows what the handlers do.

Unlike Lambda, it does not end a function whose time is up, and invocations share one process.
"""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import Chalice, ScheduledEventConfig, SQSEventConfig

from batchback_local.clock import LocalClock
from batchback_local.runtime.invocation import Event, Function, scheduled_event, sqs_event

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: How many invocations of one function run concurrently in a process.
AT_ONCE = 8
#: The time of a long poll. Stopping does not wait for one that has begun.
_WAIT_SECONDS = 1
#: The most messages that one ReceiveMessage returns.
_MESSAGES_PER_RECEIVE = 10
#: The pause if SQS does not answer.
_PAUSE_SECONDS = 0.5
#: How often a schedule checks whether the clock was moved.
_TICK_SECONDS = 0.2
#: How long polls and invocations may take to end when everything stops, before they are abandoned.
_GRACE_SECONDS = 0.3

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSources:
    """The queues and schedules of an app, ready to run. `timeout_seconds` returns the timeout of a
    function by its name."""

    app: Chalice
    timeout_seconds: Callable[[str], float]
    clock: LocalClock
    log: Log

    def queues(self) -> list["QueuePoller"]:
        client = boto3.client(
            "sqs", config=Config(max_pool_connections=64, retries={"total_max_attempts": 1})
        )
        configs = [each for each in self.app.event_sources if isinstance(each, SQSEventConfig)]
        return [self._queue(client, config) for config in configs]

    def schedules(self, every_seconds: float | None = None) -> list["Schedule"]:
        """The schedules. `every_seconds` replaces the interval of each."""
        configs = [e for e in self.app.event_sources if isinstance(e, ScheduledEventConfig)]
        return [
            Schedule(
                self._function(config.name),
                every_seconds or _every_seconds(config),
                self.clock,
                self.log,
            )
            for config in configs
        ]

    def _queue(self, client: "SQSClient", config: SQSEventConfig) -> "QueuePoller":
        name = config.queue or str(config.queue_arn).rpartition(":")[2]
        return QueuePoller(
            client,
            url=client.get_queue_url(QueueName=name)["QueueUrl"],
            function=self._function(config.name),
            batch_size=config.batch_size,
            at_once=min(config.maximum_concurrency or AT_ONCE, AT_ONCE),
            log=self.log,
        )

    def _function(self, name: str) -> Function:
        return Function(
            name=name,
            handler=self.app.handler_map[name],
            timeout_seconds=self.timeout_seconds(name),
        )


class Running:
    """Runs pollers and schedules inside a `with` block, each in a thread. The end of the block
    takes only a moment, and no thread keeps the process alive."""

    def __init__(self, sources: Sequence["QueuePoller | Schedule"]) -> None:
        self._stopping = threading.Event()
        self._sources = sources
        self._threads = [
            threading.Thread(target=source.run, args=(self._stopping,), daemon=True)
            for source in sources
        ]

    def __enter__(self) -> "Running":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        give_up_at = time.monotonic() + _GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0, give_up_at - time.monotonic()))
        while any(source.is_busy for source in self._sources) and time.monotonic() < give_up_at:
            time.sleep(0.01)


class QueuePoller:
    """The event source mapping of one queue."""

    def __init__(
        self,
        client: "SQSClient",
        *,
        url: str,
        function: Function,
        batch_size: int,
        at_once: int,
        log: Log,
    ) -> None:
        self._client = client
        self._url = url
        self._function = function
        self._batch_size = batch_size
        self._at_once = at_once
        self._log = log
        self._free = threading.Semaphore(at_once)
        self._busy = 0
        self._counting = threading.Lock()
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        self._arn = attributes["Attributes"]["QueueArn"]

    @property
    def is_busy(self) -> bool:
        """Whether an invocation is in flight."""
        return self._busy > 0

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self._poll(stopping)
            except (ClientError, BotoCoreError) as error:
                if not stopping.wait(_PAUSE_SECONDS):
                    self._log(f"{self._function.name}: the queue does not answer: {error}")

    def _poll(self, stopping: threading.Event) -> None:
        """Receive as many messages as there are free workers."""
        free = self._reserve()
        taken = 0
        try:
            batches = self._receive(free) if free else []
            if stopping.is_set():
                self._give_back(batches)
                return
            for batch in batches:
                threading.Thread(target=self._work, args=(batch,), daemon=True).start()
                taken += 1
        finally:
            self._release(free - taken)

    def _give_back(self, batches: Sequence[Sequence[Any]]) -> None:
        """Make messages that came too late visible to others immediately."""
        for message in (message for batch in batches for message in batch):
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )

    def _reserve(self) -> int:
        """Reserve free workers and return how many: none if none became free in time."""
        if not self._free.acquire(timeout=_WAIT_SECONDS):
            return 0
        reserved = 1
        while reserved < self._at_once and self._free.acquire(blocking=False):
            reserved += 1
        return reserved

    def _release(self, workers: int) -> None:
        if workers:
            self._free.release(workers)

    def _receive(self, workers: int) -> list[list[Any]]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(_MESSAGES_PER_RECEIVE, workers * self._batch_size),
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        size = self._batch_size
        return [messages[start : start + size] for start in range(0, len(messages), size)]

    def _work(self, messages: Sequence[Any]) -> None:
        self._count(+1)
        try:
            self._function.invoke(self._event(messages))
            for message in messages:
                self._client.delete_message(
                    QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"]
                )
        except Exception as error:  # noqa: BLE001 - as in Lambda, its messages stay
            self._log(f"{self._function.name} failed, and its message will come back: {error!r}")
        finally:
            self._count(-1)
            self._release(1)

    def _event(self, messages: Sequence[Any]) -> Event:
        return sqs_event(messages, queue_arn=self._arn, region=self._client.meta.region_name)

    def _count(self, change: int) -> None:
        with self._counting:
            self._busy += change


class Schedule:
    """One scheduled function, invoked at each interval and immediately after the clock was moved,
    and never concurrently."""

    def __init__(
        self, function: Function, every_seconds: float, clock: LocalClock, log: Log
    ) -> None:
        self._function = function
        self.every_seconds = every_seconds
        self._clock = clock
        self._log = log
        self.is_busy = False

    def run(self, stopping: threading.Event) -> None:
        seen = self._clock.ahead
        while not self._waits(stopping, seen):
            seen = self._clock.ahead
            self._fire()

    def _waits(self, stopping: threading.Event, seen: timedelta) -> bool:
        """Wait for the next invocation. True if everything stops before that."""
        give_up_at = time.monotonic() + self.every_seconds
        while self._clock.ahead == seen and (left := give_up_at - time.monotonic()) > 0:
            if stopping.wait(min(_TICK_SECONDS, left)):
                return True
        return stopping.is_set()

    def _fire(self) -> None:
        self.is_busy = True
        region = boto3.session.Session().region_name or "us-east-1"
        event = scheduled_event(self._function.name, region=region, now=self._clock.now())
        try:
            self._function.invoke(event)
        except Exception as error:  # noqa: BLE001 - as in EventBridge, the schedule goes on
            self._log(f"{self._function.name} failed: {error!r}")
        self.is_busy = False


def _every_seconds(config: ScheduledEventConfig) -> float:
    expression = config.schedule_expression
    text = expression if isinstance(expression, str) else expression.to_string()
    match = _RATE.fullmatch(text)
    if not match:
        raise ValueError(f"{config.name}: only rate(...) schedules run here, not {text}")
    return int(match[1]) * _UNIT_SECONDS[match[2]]
