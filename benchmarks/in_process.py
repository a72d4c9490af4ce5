"""Run the whole service in this process on moto's AWS, for counting; its times mean nothing.

App, operations and adapters are the real ones; platform and receiver answer without HTTP. Messages
are delivered one at a time, as Lambda's pollers would deliver them.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar
from unittest.mock import patch

import boto3
from moto import mock_aws

from batchback_local.aws.moto_patches import make_moto_atomic
from batchback_local.aws.resources import create_resources
from batchback_local.demonstration.account import new_callback_secret, put_demo_key
from batchback_local.runtime.invocation import Context, sqs_event
from benchmarks import payloads
from benchmarks.counting import RequestCounter
from benchmarks.functions import (
    API,
    CALL_BACK,
    FUNCTIONS,
    KEY,
    RUN_JOBS,
    SECRET,
    gateway_event,
    handler,
)
from chalicelib import settings, wiring
from chalicelib.adapters import aws
from chalicelib.adapters.clock import SystemClock
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.service import Service

CALLBACK_URL = "https://example.com/callback"
#: Lambda's pollers, which receive and delete messages at our cost.
POLLERS = "pollers"

_REGION = "us-east-1"
_ACCOUNT = "123456789012"
_NUMBER = re.compile(rb'"number":(\d+)')
Result = TypeVar("Result")


@contextmanager
def service_on_moto(
    answer_bytes: int, stage: str = "bench", **settings: str
) -> Iterator["ServiceOnMoto"]:
    """Start a service without batches, on tables and queues from the real template."""
    make_moto_atomic()
    with patch.dict(os.environ), mock_aws():
        _prepare_environment(stage, settings)
        create_resources(stage)
        _forget_what_is_kept()
        yield ServiceOnMoto(answer_bytes)
    _forget_what_is_kept()


def _prepare_environment(stage: str, settings: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        {
            "STAGE": stage,
            "PLATFORM_ADDRESS": "http://127.0.0.1:9",
            "MAX_JOBS_PER_BATCH": "10000",
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            **settings,
        }
    )


def _forget_what_is_kept() -> None:
    """Drop the cached clients and service: they belong to one environment."""
    for kept in (aws.session, aws.dynamodb, aws.sqs):
        kept.cache_clear()


class ThreadsClock(SystemClock):
    """The machine's clock, plus the time that each thread was told has passed."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def now(self) -> datetime:
        return super().now() + timedelta(milliseconds=round(self._ahead * 1000))

    def let_pass(self, seconds: float) -> None:
        self._of_thread.ahead = self._ahead + seconds

    @property
    def _ahead(self) -> float:
        return getattr(self._of_thread, "ahead", 0.0)


@dataclass(slots=True)
class AnsweringPlatform:
    """Answer every job: immediately, although the clock says otherwise, or each after its own time
    between two bounds."""

    answer_bytes: int
    clock: ThreadsClock
    seconds: tuple[float, float] = (0, 0)

    def prepare(self) -> None:
        """There is nothing to read."""

    def call(self, *, body: bytes, **_: object) -> Reply | NoReply:
        match = _NUMBER.search(body)
        assert match  # noqa: S101 - every job of payloads has a number
        text = payloads.answer(int(match[1]), self.answer_bytes)
        time.sleep(Random(match[1]).uniform(*self.seconds))
        self.clock.let_pass(0 if any(self.seconds) else payloads.call_seconds(int(match[1])))
        return Reply(status=200, body=text.encode())


@dataclass(slots=True)
class CountedConcurrent:
    """Send concurrent requests from one thread, in rounds of as many as would be concurrent, so
    that the number of sequential requests is the same in every run."""

    counter: RequestCounter

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        for start in range(0, len(calls), wiring.REQUESTS_AT_ONCE):
            with self.counter.together():
                results = [call() for call in calls[start : start + wiring.REQUESTS_AT_ONCE]]
            yield results


class TakingReceiver:
    """Take every callback and remember how many results it held."""

    def __init__(self) -> None:
        self.results: list[int] = []

    def post(self, url: str, *, body: Sequence[bytes], **_: object) -> Reply | NoReply:  # noqa: ARG002
        self.results.append(len(json.loads(b"".join(body))["results"]))
        return Reply(status=200)


class ServiceOnMoto:
    """One service: submit batches and run them."""

    def __init__(self, answer_bytes: int) -> None:
        self.counter = RequestCounter()
        self.receiver = TakingReceiver()
        #: How often each function was invoked, and how much it logged.
        self.invocations: dict[str, int] = dict.fromkeys(FUNCTIONS, 0)
        self.log_bytes: dict[str, int] = dict.fromkeys(FUNCTIONS, 0)
        #: Whether every invocation has a new container with nothing cached.
        self.starts_cold = False
        self._clock = ThreadsClock()
        self._platform = AnsweringPlatform(answer_bytes, self._clock)
        self._polling = boto3.client("sqs", region_name=_REGION)
        #: The service's clients and the pollers' client.
        self.clients = (aws.dynamodb(), aws.sqs(), self._polling)
        for client in self.clients:
            self.counter.watch(client)
        names = settings.names()
        self._queues = [(names.jobs_queue, RUN_JOBS), (names.callbacks_queue, CALL_BACK)]
        put_demo_key(
            aws.dynamodb(),
            names.keys_table,
            key=KEY,
            secret=SECRET,
            callback_secret=new_callback_secret(),
            now=datetime.now(UTC),
        )
        self._start_anew()

    def slow_down(self, least: float, most: float) -> None:
        """Set how many seconds the platform takes for a job from now on."""
        self._platform.seconds = (least, most)

    def submit(self, jobs: Sequence[Any]) -> int:
        """Submit a batch and return the HTTP status."""
        event = gateway_event("run", {"jobs": [*jobs], "callbackUrl": CALLBACK_URL})
        status: int = self._invoke(API, event)["statusCode"]
        return status

    def work_off(self) -> list[int]:
        """Deliver messages until none are left; return how many results each callback held."""
        before = len(self.receiver.results)
        while self._deliver_of_each_queue():
            pass
        return self.receiver.results[before:]

    def forget(self) -> None:
        """Start counting again."""
        self.counter.forget()
        self.invocations = dict.fromkeys(FUNCTIONS, 0)
        self.log_bytes = dict.fromkeys(FUNCTIONS, 0)

    def _deliver_of_each_queue(self) -> int:
        """Deliver one message of each queue that has one; return how many."""
        return sum(self._deliver_one(queue, function) for queue, function in self._queues)

    def _deliver_one(self, queue: str, function: str) -> bool:
        """Receive, process and delete one message of a queue, if there is one."""
        url = f"https://sqs.{_REGION}.amazonaws.com/{_ACCOUNT}/{queue}"
        with self.counter.by(POLLERS):
            answer = self._polling.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=0,
                MessageSystemAttributeNames=["All"],
            )
        messages = answer.get("Messages", [])
        for message in messages:
            arn = f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{queue}"
            self._invoke(function, sqs_event([message], queue_arn=arn, region=_REGION))
            with self.counter.by(POLLERS):
                self._polling.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bool(messages)

    def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        if self.starts_cold:
            self._start_anew()
        log = _ByteCount()
        with (
            self.counter.by(function),
            redirect_stdout(log),
            patch.object(wiring, "service", lambda: self.service),
        ):
            answer = handler(function)(event, Context(function, 60))
        self.invocations[function] += 1
        self.log_bytes[function] += log.written
        return answer

    def _start_anew(self) -> None:
        """Clear the cached queue addresses and keys, as in a new container; keep the clients."""
        configured = settings.read()
        ports = wiring.connect(
            configured, clock=self._clock, concurrent_requests=CountedConcurrent(self.counter)
        )
        self.service = Service(
            configured, replace(ports, platform=self._platform, receiver=self.receiver)
        )


class _ByteCount:
    """A standard output that keeps only its size as CloudWatch bills it: 26 bytes more per line."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, text: str) -> int:
        self.written += len(text.encode()) + 26 * text.count("\n")
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""
