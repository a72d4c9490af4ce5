"""What a Lambda function gets: events in the formats that AWS documents, and a context.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

#: The account that moto's resources belong to.
_ACCOUNT = "123456789012"
_MEMORY_MB = 512

Event = dict[str, Any]


class Context:
    """A Lambda context with a remaining time that really decreases."""

    function_version = "$LATEST"
    memory_limit_in_mb = _MEMORY_MB
    identity = None
    client_context = None

    def __init__(self, name: str, timeout_seconds: float) -> None:
        self._ends_at = time.monotonic() + timeout_seconds
        self.function_name = name
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:{_ACCOUNT}:function:{name}"
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{name}"
        self.log_stream_name = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._ends_at - time.monotonic()) * 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A handler of the app, invoked as Lambda would invoke it."""

    name: str
    handler: Callable[[Event, Context], Any]
    timeout_seconds: float

    def invoke(self, event: Event) -> None:
        """Invoke the handler. What it raises passes through."""
        self.handler(event, Context(self.name, self.timeout_seconds))


def sqs_event(messages: Sequence[Mapping[str, Any]], *, queue_arn: str, region: str) -> Event:
    """The event of a queue's event source mapping, from messages that ReceiveMessage returned with
    all their attributes."""
    return {"Records": [_sqs_record(message, queue_arn, region) for message in messages]}


def _sqs_record(message: Mapping[str, Any], queue_arn: str, region: str) -> Event:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    lowered = {name[0].lower() + name[1:]: part for name, part in value.items()}
    return {"stringListValues": [], "binaryListValues": [], **lowered}


def scheduled_event(rule: str, *, region: str, now: datetime) -> Event:
    """The event that EventBridge sends when a schedule is due."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": _ACCOUNT,
        "time": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [f"arn:aws:events:{region}:{_ACCOUNT}:rule/{rule}"],
        "detail": {},
    }
