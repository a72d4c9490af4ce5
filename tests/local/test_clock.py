"""If the local service's clock is moved ahead, everything that waits follows it."""

import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from batchback.signing import iws_headers

from batchback_local.aws.embedded import EmbeddedAws
from batchback_local.aws.moto_patches import let_queues_follow
from batchback_local.clock import LocalClock, machine_now
from batchback_local.runtime import assembly
from batchback_local.runtime.event_source import Running, Schedule
from batchback_local.runtime.invocation import Function
from chalicelib.domain.signing import SignedRequest
from chalicelib.errors import RequestStale
from chalicelib.service import Service
from tests.fakes.ports import SETTINGS, InMemory
from tests.samples import DEMO_KEY

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PATIENCE_SECONDS = 60
HOURS = timedelta(hours=5)


@pytest.fixture
def clock() -> LocalClock:
    return LocalClock()


@pytest.fixture
def queues_follow(clock: LocalClock) -> Iterator[None]:
    let_queues_follow(clock)
    yield
    let_queues_follow(None)


def test_it_is_the_machines_until_it_is_moved(clock: LocalClock) -> None:
    before = machine_now()
    assert before <= clock.now() <= machine_now()
    clock.move(HOURS)
    assert before + HOURS <= clock.now() <= machine_now() + HOURS


def test_it_never_moves_back(clock: LocalClock) -> None:
    clock.move(HOURS)
    with pytest.raises(ValueError, match="only moves forward"):
        clock.move(timedelta(microseconds=-1))
    assert clock.ahead == HOURS


def test_a_move_is_rounded_up_so_that_what_is_next_is_due(clock: LocalClock) -> None:
    clock.move(timedelta(microseconds=1))
    assert clock.ahead == timedelta(milliseconds=1)


def test_a_process_that_inherits_its_file_sees_each_move(clock: LocalClock) -> None:
    of_a_worker = LocalClock(os.dup(clock.descriptor))
    clock.move(HOURS)
    clock.move(HOURS)
    assert of_a_worker.ahead == 2 * HOURS


def test_it_leaves_no_file(clock: LocalClock) -> None:
    assert os.fstat(clock.descriptor).st_nlink == 0


@pytest.mark.usefixtures("queues_follow")
class TestQueues:
    def test_a_delayed_message_comes_at_its_time_on_the_clock(
        self, sqs: "SQSClient", clock: LocalClock
    ) -> None:
        url = sqs.create_queue(QueueName="delayed")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=900)
        clock.move(timedelta(seconds=800))
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
        clock.move(timedelta(seconds=100))
        assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1

    def test_a_long_poll_that_has_begun_sees_the_move(
        self, sqs: "SQSClient", clock: LocalClock
    ) -> None:
        """It does not wait for its end, when it would return nothing."""
        url = sqs.create_queue(QueueName="long-poll-delayed")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=900)
        threading.Timer(0, clock.move, [timedelta(seconds=900)]).start()
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        assert len(found["Messages"]) == 1

    def test_work_in_progress_is_not_given_to_another(
        self, sqs: "SQSClient", clock: LocalClock
    ) -> None:
        """The function that processes a received message is limited by the machine's clock."""
        url = sqs.create_queue(QueueName="in-progress")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="x")
        received = sqs.receive_message(QueueUrl=url, VisibilityTimeout=360)
        clock.move(HOURS)
        assert "Messages" not in sqs.receive_message(QueueUrl=url)
        handle = received["Messages"][0]["ReceiptHandle"]
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1


@pytest.mark.usefixtures("queues_follow")
def test_the_queues_of_the_next_service_are_not_ahead(sqs: "SQSClient", clock: LocalClock) -> None:
    clock.move(HOURS)
    with EmbeddedAws():
        url = sqs.create_queue(QueueName="next-service")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="x")
        received = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["SentTimestamp"])
    sent_at = int(received["Messages"][0]["Attributes"]["SentTimestamp"]) / 1000
    assert sent_at < (machine_now() + HOURS / 2).timestamp()


def test_a_schedule_fires_immediately_after_a_move(clock: LocalClock) -> None:
    events: queue.SimpleQueue[str] = queue.SimpleQueue()
    function = Function(
        name="sweep", handler=lambda event, _: events.put(event["time"]), timeout_seconds=50
    )
    with Running([Schedule(function, 3600, clock, lambda _: None)]):
        clock.move(HOURS)
        assert events.get(timeout=PATIENCE_SECONDS) > f"{machine_now():%Y-%m-%dT%H:%M:%SZ}"
        clock.move(HOURS)
        assert events.get(timeout=PATIENCE_SECONDS)


class TestSignatures:
    """They contain the machine's time and are checked against it, whatever the service's clock
    says."""

    @pytest.fixture
    def world(self) -> InMemory:
        return InMemory()

    @pytest.fixture
    def service(self, world: InMemory, clock: LocalClock) -> Service:
        clock.move(HOURS)
        return assembly.MachineTimedService(SETTINGS, replace(world.ports, clock=clock))

    def test_a_caller_who_signs_now_is_accepted(self, service: Service, clock: LocalClock) -> None:
        headers = iws_headers(
            key=DEMO_KEY.key,
            secret=DEMO_KEY.secrets[0].value,
            target="/api/1.0/batch",
            body=b"{}",
            now=machine_now(),
            content_type="application/json",
        )
        request = SignedRequest(
            headers={name.lower(): value for name, value in headers.items()},
            targets=("/api/1.0/batch",),
            body=b"{}",
        )
        assert service.authenticator.authenticate(request).key == DEMO_KEY.key
        with pytest.raises(RequestStale):
            replace(service.authenticator, clock=clock).authenticate(request)
