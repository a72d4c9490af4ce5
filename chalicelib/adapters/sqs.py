"""The queues, in SQS. Messages are a few hundred bytes of JSON: ids and numbers.

Every message belongs to its account's group, which makes the queues fair: if one account has many
messages in flight, those of other accounts are delivered first. In a standard queue a group has no
order and blocks nobody.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.adapters import aws, items
from chalicelib.adapters.attempts import attempts
from chalicelib.adapters.sequential import Sequential
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.errors import TooNew, Unavailable
from chalicelib.operations.ports import Concurrent

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: The version of the messages' format, which is in every message.
FORMAT = 1
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_MESSAGES_PER_REQUEST = 10
_PAUSES = (0.1, 0.4, 1.6)
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_GROUP = re.compile(r"[!-~]{1,128}")


class SqsQueue:
    """Sends messages to the stage's queues, and those of a large batch concurrently. Queue URLs are
    looked up once, on first use."""

    def __init__(
        self,
        client: "SQSClient",
        *,
        jobs_queue: str,
        batches_queue: str,
        callbacks_queue: str,
        sleep: Callable[[float], None] = time.sleep,
        concurrent: Concurrent = Sequential(),  # noqa: B008 - it has no state
    ) -> None:
        self._client = client
        self._jobs_queue = jobs_queue
        self._batches_queue = batches_queue
        self._callbacks_queue = callbacks_queue
        self._sleep = sleep
        self._concurrent = concurrent

    def send_jobs(self, messages: Sequence[JobsMessage], delay_seconds: int = 0) -> None:
        """Send all the messages, ten per request. Those that SQS lists as failed are sent again."""
        url = self._jobs_url
        groups = range(0, len(messages), _MESSAGES_PER_REQUEST)
        sends = [
            partial(
                self._send_together,
                url,
                messages[start : start + _MESSAGES_PER_REQUEST],
                delay_seconds,
            )
            for start in groups
        ]
        for _ in self._concurrent.run(sends):
            pass

    def send_sentinel(self, sentinel: Sentinel, delay_seconds: int) -> None:
        body = compose_sentinel(sentinel)
        self._send(self._jobs_url, body, sentinel.account, delay_seconds)

    def send_batch(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        self._send(self._batches_url, compose_batch(message), message.account, delay_seconds)

    def send_callback(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        self._send(self._callbacks_url, compose_batch(message), message.account, delay_seconds)

    def _send(self, url: str, body: str, account: str, delay_seconds: int) -> None:
        try:
            self._client.send_message(
                QueueUrl=url,
                MessageBody=body,
                MessageGroupId=group_of(account),
                DelaySeconds=delay_seconds,
            )
        except (ClientError, BotoCoreError) as error:
            raise aws.unavailable("SQS", error) from error

    def _send_together(self, url: str, messages: Sequence[JobsMessage], delay_seconds: int) -> None:
        entries = {
            str(number): {
                "Id": str(number),
                "MessageBody": compose_jobs(message),
                "MessageGroupId": group_of(message.account),
                "DelaySeconds": delay_seconds,
            }
            for number, message in enumerate(messages)
        }
        for _ in attempts(_PAUSES, self._sleep):
            failed = self._failed_of(url, [*entries.values()])
            if not failed:
                return
            entries = {id: entries[id] for id in failed}
        raise Unavailable(f"SQS did not accept {len(entries)} messages")

    def _failed_of(self, url: str, entries: list[Any]) -> list[str]:
        try:
            answer = self._client.send_message_batch(QueueUrl=url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            raise aws.unavailable("SQS", error) from error
        return [failure["Id"] for failure in answer.get("Failed", [])]

    @cached_property
    def _jobs_url(self) -> str:
        return self._url(self._jobs_queue)

    @cached_property
    def _batches_url(self) -> str:
        return self._url(self._batches_queue)

    @cached_property
    def _callbacks_url(self) -> str:
        return self._url(self._callbacks_queue)

    def _url(self, name: str) -> str:
        try:
            return self._client.get_queue_url(QueueName=name)["QueueUrl"]
        except (ClientError, BotoCoreError) as error:
            raise aws.unavailable("SQS", error) from error


def parse_jobs(body: str) -> JobsMessage | Sentinel:
    """Parse a message of the jobs queue. Raises TooNew if a later release wrote it."""
    fields = _known(json.loads(body))
    if "sentinel" in fields:
        return _sentinel(fields, fields["sentinel"])
    indexes = fields.get("indexes")
    return JobsMessage(
        **_chunk(fields),
        indexes=None if indexes is None else tuple(indexes),
        attempt=fields["attempt"],
        hops=fields["hops"],
        errors=fields.get("errors", 0),
        deadline=_time(fields.get("deadline")),
        away_since=_time(fields.get("away_since")),
    )


def _sentinel(fields: dict[str, Any], seen: dict[str, Any]) -> Sentinel:
    return Sentinel(
        **_chunk(fields),
        sent_at=items.time_of(seen["sent_at"]),
        done=seen["done"],
        answered=seen["answered"],
        waits_until=_time(seen["waits_until"]),
        errors=seen["errors"],
    )


def _chunk(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that identify the chunk and round of a message."""
    return {
        "batch_id": fields["batch"],
        "account": fields["account"],
        "submission": fields["submission"],
        "round": fields["round"],
        "chunk": fields["chunk"],
    }


def _time(seconds: str | None) -> datetime | None:
    return None if seconds is None else items.time_of(seconds)


def parse_batch(body: str) -> BatchMessage:
    """Parse a message of the batches or callbacks queue. Raises TooNew if a later release wrote
    it."""
    fields = _known(json.loads(body))
    return BatchMessage(
        batch_id=fields["batch"],
        account=fields["account"],
        hops=fields["hops"],
        errors=fields.get("errors", 0),
    )


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    version = fields.get("v", 1)
    if version > FORMAT:
        raise TooNew("A message", version, FORMAT)
    return fields


def compose_jobs(message: JobsMessage) -> str:
    return _composed(
        message,
        submission=message.submission,
        round=message.round,
        chunk=message.chunk,
        indexes=message.indexes,
        attempt=message.attempt,
        hops=message.hops,
        errors=message.errors,
        deadline=_seconds(message.deadline),
        away_since=_seconds(message.away_since),
    )


def compose_sentinel(sentinel: Sentinel) -> str:
    """Compose a sentinel. A release that knows no sentinels reads it as a message without jobs."""
    return _composed(
        sentinel,
        submission=sentinel.submission,
        round=sentinel.round,
        chunk=sentinel.chunk,
        indexes=(),
        attempt=1,
        hops=0,
        sentinel={
            "sent_at": _seconds(sentinel.sent_at),
            "done": sentinel.done,
            "answered": sentinel.answered,
            "waits_until": _seconds(sentinel.waits_until),
            "errors": sentinel.errors,
        },
    )


def compose_batch(message: BatchMessage) -> str:
    return _composed(message, hops=message.hops, errors=message.errors)


def _composed(message: JobsMessage | Sentinel | BatchMessage, **fields: object) -> str:
    """Compose a message from the fields that every message has and its own."""
    common = {"v": FORMAT, "batch": message.batch_id, "account": message.account}
    return json.dumps({**common, **fields})


def _seconds(moment: datetime | None) -> str | None:
    """Format a time as items do, so that old messages and old items are read the same way."""
    return None if moment is None else str(items.number(moment)["N"])


def group_of(account: str) -> str:
    """Return the message group of an account: its name, or a hash of the name if SQS would refuse
    it."""
    if _GROUP.fullmatch(account):
        return account
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()
