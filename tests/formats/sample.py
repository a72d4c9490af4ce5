"""The tables and queues of a stage as data, which can be read from moto and put into it."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from moto.sqs import models as moto_sqs

from chalicelib.settings import Names
from tests.stories.on_moto import REGION

VECTORS = Path(__file__).resolve().parents[1] / "vectors"

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a stage holds at one moment, and how its batches end."""

    frozen_at: datetime
    #: Items of the table `batches`, in DynamoDB's JSON.
    batches: list[Item]
    #: Items of the table `keys`.
    keys: list[Item]
    #: The queue (as in `Names`), the body, the group, the delay in seconds, the receive count.
    messages: list[Item]
    #: For each batch, by what it is for: its id and its expected outcome.
    expected: dict[str, Any]

    @classmethod
    def read(cls, version: str) -> "Sample":
        parts = {
            name: _thawed(json.loads((_folder(version) / f"{name}.json").read_text("utf-8")))
            for name in ("batches", "keys", "messages", "expected")
        }
        frozen_at = datetime.fromisoformat(parts["expected"].pop("frozen_at"))
        return cls(frozen_at=frozen_at, **parts)

    def write(self, version: str) -> None:
        _folder(version).mkdir(parents=True)  # fails if the sample exists
        expected = {"frozen_at": self.frozen_at.isoformat(), **self.expected}
        parts = {"batches": self.batches, "keys": self.keys, "messages": self.messages}
        for name, part in {**parts, "expected": expected}.items():
            (_folder(version) / f"{name}.json").write_text(_in_lines(_frozen(part)), "utf-8")

    def put(self, names: Names) -> None:
        """Put it into a stage in moto whose clock is at `frozen_at`."""
        dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
        for table, found in ((names.batches_table, self.batches), (names.keys_table, self.keys)):
            for item in found:
                dynamodb.put_item(TableName=table, Item=item)
        for message in self.messages:
            queue = getattr(names, message["queue"])
            sent = sqs.send_message(
                QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"],
                MessageBody=message["body"],
                MessageGroupId=message["group"],
                DelaySeconds=message["delay_seconds"],
            )
            [inside] = [each for each in _messages(queue) if each.id == sent["MessageId"]]
            inside.approximate_receive_count = message["receive_count"]


QUEUES = ("jobs_queue", "jobs_dead_queue", "batches_queue", "callbacks_queue")


def items_of(table: str) -> list[Item]:
    found: list[Any] = boto3.client("dynamodb").scan(TableName=table)["Items"]
    return sorted(found, key=lambda item: json.dumps(_frozen(item), sort_keys=True))


def messages_of(names: Names, now: datetime) -> list[Item]:
    """The messages in the queues, as if received ones came back immediately."""
    return [
        {
            "queue": queue,
            "body": each.body,
            "group": each.group_id,
            "delay_seconds": _delay(each, now),
            "receive_count": each.approximate_receive_count,
        }
        for queue in QUEUES
        for each in _messages(getattr(names, queue))
    ]


def _delay(message: Any, now: datetime) -> int:
    if not message.delayed:
        return 0
    until = datetime.fromtimestamp(message.delayed_until / 1000, UTC)
    return -((now - until) // timedelta(seconds=1))


def _messages(queue: str) -> Iterable[Any]:
    found: list[Any] = moto_sqs.sqs_backends["123456789012"][REGION].queues[queue]._messages
    return found


def _folder(version: str) -> Path:
    return VECTORS / f"format-{version}"


def _in_lines(part: list[Any] | dict[str, Any]) -> str:
    """JSON with one item per line."""
    if isinstance(part, list):
        return "[\n" + ",\n".join(map(_dump, part)) + "\n]\n"
    lines = [f"{_dump(name)}: {_dump(value)}" for name, value in part.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _frozen(value: Any) -> Any:
    """The value with bytes as base64, under a name that no attribute has."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: _frozen(each) for name, each in value.items()}
    return [_frozen(each) for each in value] if isinstance(value, list) else value


def _thawed(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        return {name: _thawed(each) for name, each in value.items()}
    return [_thawed(each) for each in value] if isinstance(value, list) else value
