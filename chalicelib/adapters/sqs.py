"""The queues, in SQS. Messages are JSON of ids and numbers, a few hundred bytes.

Every message is of its account's group, which makes the queues fair: where one account has many
messages in flight, those of the others are handed out first. A group of a standard queue has no
order and holds nobody up.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.adapters import aws
from chalicelib.adapters.attempts import attempts
from chalicelib.adapters.sequential import Sequential
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.errors import TooNew, Unavailable
from chalicelib.operations.ports import Concurrent

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: The version of the messages' format; every message says which one it is of.
FORMAT = 1
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_MESSAGES_PER_REQUEST = 10
_PAUSES = (0.1, 0.4, 1.6)
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_GROUP = re.compile(r"[!-~]{1,128}")


class SqsQueue:
    """Sends messages to the stage's queues, those of a large batch side by side. Queue addresses
    are looked up once, when first used."""

    def __init__(
        self,
        client: "SQSClient",
        *,
        jobs_queue: str,
        batches_queue: str,
        sleep: Callable[[float], None] = time.sleep,
        concurrent: Concurrent = Sequential(),  # noqa: B008 - it holds nothing
    ) -> None:
        self._client = client
        self._jobs_queue = jobs_queue
        self._batches_queue = batches_queue
        self._sleep = sleep
        self._concurrent = concurrent

    def send_jobs(self, messages: Sequence[JobsMessage], delay_seconds: int = 0) -> None:
        """All the messages, ten a request; those that SQS lists as failed are sent again."""
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

    def send_batch(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        try:
            self._client.send_message(
                QueueUrl=self._batches_url,
                MessageBody=compose_batch(message),
                MessageGroupId=group_of(message.account),
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
        raise Unavailable(f"SQS did not take {len(entries)} messages")

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

    def _url(self, name: str) -> str:
        try:
            return self._client.get_queue_url(QueueName=name)["QueueUrl"]
        except (ClientError, BotoCoreError) as error:
            raise aws.unavailable("SQS", error) from error


def parse_jobs(body: str) -> JobsMessage:
    """The message that a body of the jobs queue carries; TooNew where a later release wrote it."""
    fields = _known(json.loads(body))
    indexes = fields.get("indexes")
    return JobsMessage(
        batch_id=fields["batch"],
        account=fields["account"],
        submission=fields["submission"],
        round=fields["round"],
        chunk=fields["chunk"],
        indexes=None if indexes is None else tuple(indexes),
        attempt=fields["attempt"],
        hops=fields["hops"],
    )


def parse_batch(body: str) -> BatchMessage:
    """The message that a body of the batches queue carries; TooNew where a later release wrote
    it."""
    fields = _known(json.loads(body))
    return BatchMessage(batch_id=fields["batch"], account=fields["account"], hops=fields["hops"])


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    version = fields.get("v", 1)
    if version > FORMAT:
        raise TooNew("A message", version, FORMAT)
    return fields


def compose_jobs(message: JobsMessage) -> str:
    return json.dumps(
        {
            "v": FORMAT,
            "batch": message.batch_id,
            "account": message.account,
            "submission": message.submission,
            "round": message.round,
            "chunk": message.chunk,
            "indexes": message.indexes,
            "attempt": message.attempt,
            "hops": message.hops,
        }
    )


def compose_batch(message: BatchMessage) -> str:
    return json.dumps(
        {
            "v": FORMAT,
            "batch": message.batch_id,
            "account": message.account,
            "hops": message.hops,
        }
    )


def group_of(account: str) -> str:
    """The message group of an account: its name, or a hash of a name that SQS would refuse."""
    if _GROUP.fullmatch(account):
        return account
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()
