"""The event loop does what Lambda's event source mappings and schedules do."""

import json
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from chalice.app import Chalice, SQSEvent

from batchback_local.clock import LocalClock
from batchback_local.live.waiting import DidNotHappen, until
from batchback_local.runtime.event_source import EventSources, Running, Schedule
from batchback_local.runtime.invocation import Function

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PATIENCE_SECONDS = 60
pytestmark = pytest.mark.usefixtures("embedded_aws")
Seen = queue.SimpleQueue[tuple[dict[str, Any], Any]]


def app_with(queue_name: str, handle: Callable[[SQSEvent], None]) -> Chalice:
    app = Chalice(app_name="tiny", configure_logs=False)
    app.on_sqs_message(queue=queue_name, batch_size=1, name="work")(handle)
    return app


def sources_of(app: Chalice, log: Callable[[str], None] = lambda _: None) -> EventSources:
    return EventSources(app=app, timeout_seconds=lambda _: 60, clock=LocalClock(), log=log)


def new_queue(sqs: "SQSClient", name: str, visibility_seconds: int = 30) -> str:
    attributes = {"VisibilityTimeout": str(visibility_seconds)}
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]


def messages_in(sqs: "SQSClient", url: str) -> int:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    visible = int(attributes["ApproximateNumberOfMessages"])
    return visible + int(attributes["ApproximateNumberOfMessagesNotVisible"])


def becomes_true(condition: Callable[[], bool]) -> bool:
    with suppress(DidNotHappen):
        until(condition, "true", PATIENCE_SECONDS)
    return condition()


def test_a_message_is_passed_to_its_handler_as_lambda_does(sqs: "SQSClient") -> None:
    seen: Seen = queue.SimpleQueue()
    url = new_queue(sqs, "handed-over")
    app = app_with("handed-over", lambda event: seen.put((event.to_dict(), event.context)))
    sqs.send_message(
        QueueUrl=url,
        MessageBody='{"n": 1}',
        MessageGroupId="acme",
        MessageAttributes={"colour": {"DataType": "String", "StringValue": "red"}},
    )
    with Running(sources_of(app).queues()):
        event, context = seen.get(timeout=PATIENCE_SECONDS)
    (record,) = event["Records"]
    assert record["body"] == '{"n": 1}'
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:123456789012:handed-over"
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["SentTimestamp"].isdecimal()
    assert record["attributes"]["MessageGroupId"] == "acme"
    assert record["messageAttributes"]["colour"]["stringValue"] == "red"
    assert {"messageId", "receiptHandle", "md5OfBody"} <= set(record)
    assert 0 < context.get_remaining_time_in_millis() <= 60_000
    assert context.aws_request_id
    assert json.dumps(event)


def test_a_message_is_deleted_when_its_handler_returns(sqs: "SQSClient") -> None:
    url = new_queue(sqs, "deleted")
    sqs.send_message(QueueUrl=url, MessageBody="x")
    with Running(sources_of(app_with("deleted", lambda _: None)).queues()):
        assert becomes_true(lambda: messages_in(sqs, url) == 0)


def test_a_message_comes_back_when_its_handler_raises(sqs: "SQSClient") -> None:
    counts: queue.SimpleQueue[str] = queue.SimpleQueue()
    said: list[str] = []
    url = new_queue(sqs, "comes-back", visibility_seconds=1)

    def handle(event: SQSEvent) -> None:
        count = event.to_dict()["Records"][0]["attributes"]["ApproximateReceiveCount"]
        counts.put(count)
        if count == "1":
            raise ValueError("not this time")

    sqs.send_message(QueueUrl=url, MessageBody="x")
    with Running(sources_of(app_with("comes-back", handle), said.append).queues()):
        assert counts.get(timeout=PATIENCE_SECONDS) == "1"
        assert counts.get(timeout=PATIENCE_SECONDS) == "2"
        assert becomes_true(lambda: messages_in(sqs, url) == 0)
    assert said == ["work failed, and its message will come back: ValueError('not this time')"]


def test_several_messages_are_processed_concurrently(sqs: "SQSClient") -> None:
    url = new_queue(sqs, "at-once")
    together = threading.Barrier(4, timeout=PATIENCE_SECONDS)
    for number in range(4):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))

    def handle(_: SQSEvent) -> None:
        together.wait()

    with Running(sources_of(app_with("at-once", handle)).queues()):
        assert becomes_true(lambda: messages_in(sqs, url) == 0)
    assert not together.broken


def test_stopping_waits_for_nothing(sqs: "SQSClient") -> None:
    """It waits neither for a long poll nor for a slow handler."""
    url = new_queue(sqs, "stopped")
    started, released, ended = (threading.Event() for _ in range(3))

    def handle(_: SQSEvent) -> None:
        started.set()
        released.wait(10)  # half of what a long poll may take
        ended.set()

    sqs.send_message(QueueUrl=url, MessageBody="x")
    with Running(sources_of(app_with("stopped", handle)).queues()):
        assert started.wait(PATIENCE_SECONDS)
    assert not ended.is_set()
    released.set()


def test_a_schedule_fires_again_and_again() -> None:
    events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    function = Function(
        name="sweep", handler=lambda event, _: events.put(event), timeout_seconds=50
    )
    with Running([Schedule(function, 0.01, LocalClock(), lambda _: None)]):
        first, second = (events.get(timeout=PATIENCE_SECONDS) for _ in range(2))
    assert first["id"] != second["id"]
    assert first["detail-type"] == "Scheduled Event"
    assert first["source"] == "aws.events"


def test_a_schedule_continues_after_a_failure() -> None:
    fired: queue.SimpleQueue[None] = queue.SimpleQueue()
    said: queue.SimpleQueue[str] = queue.SimpleQueue()

    def handle(*_: object) -> None:
        fired.put(None)
        raise ValueError("no")

    function = Function(name="sweep", handler=handle, timeout_seconds=50)
    with Running([Schedule(function, 0.01, LocalClock(), said.put)]):
        fired.get(timeout=PATIENCE_SECONDS)
        fired.get(timeout=PATIENCE_SECONDS)
    assert said.get(timeout=PATIENCE_SECONDS) == "sweep failed: ValueError('no')"


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [("rate(1 minute)", 60), ("rate(5 minutes)", 300), ("rate(2 hours)", 7200)],
)
def test_a_rate_is_read_as_eventbridge_reads_it(expression: str, seconds: int) -> None:
    app = Chalice(app_name="tiny", configure_logs=False)
    app.schedule(expression, name="sweep")(lambda _: None)
    assert [schedule.every_seconds for schedule in sources_of(app).schedules()] == [seconds]


def test_a_queue_that_does_not_answer_is_polled_again(sqs: "SQSClient") -> None:
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    url = new_queue(sqs, "gone")
    pollers = sources_of(app_with("gone", lambda _: None), said.put).queues()
    sqs.delete_queue(QueueUrl=url)
    with Running(pollers):
        lines = [said.get(timeout=PATIENCE_SECONDS) for _ in range(2)]
    assert all(line.startswith("work: the queue does not answer: ") for line in lines)
