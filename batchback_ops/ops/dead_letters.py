"""Read, redrive and discard dead messages: those that failed at too many deliveries.

    taken ── hidden from others for five minutes ── sent to the queue they came from ── deleted

In this order a message may exist twice, which does no harm, but is never lost. After an
interruption, what was not moved is back on the dead-letter queue within five minutes. All messages
are taken before the first is sent, so one that dies again immediately is not taken twice.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.adapters import sqs
from chalicelib.errors import TooNew

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
_MESSAGES_PER_REQUEST = 10
#: More than it takes to move the largest number that one command takes.
_HIDDEN_SECONDS = 300
#: A short poll asks only some of SQS's servers, so an empty answer would not mean an empty queue.
_WAIT_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was taken from a dead-letter queue."""

    receipt: str
    body: str
    #: For SQS's fair queues, if the message has one.
    group: str | None
    #: None: not a message of this service, or one of a later version.
    batch_id: str | None
    #: Whether a later version of the service can read it.
    is_too_new: bool
    message_id: str
    sent_at: datetime

    @property
    def is_unreadable(self) -> bool:
        """Whether no version of the service can read it."""
        return self.batch_id is None and not self.is_too_new


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterQueue:
    """A dead-letter queue and its source queue."""

    client: "SQSClient"
    url: str
    home_url: str
    #: Reads the batch's id from a body.
    batch_of: Any

    def take(self, limit: int, hidden_seconds: int = _HIDDEN_SECONDS) -> list[DeadLetter]:
        """Take all messages there are, up to a limit."""
        taken: list[DeadLetter] = []
        while len(taken) < limit and (more := self._receive(limit - len(taken), hidden_seconds)):
            taken += more
        return taken

    def put_back(self, letters: Sequence[DeadLetter]) -> None:
        """Make them visible again immediately."""
        for group in _tens(letters):
            self.client.change_message_visibility_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": each.receipt, "VisibilityTimeout": 0}
                    for number, each in enumerate(group)
                ],
            )

    def move(self, letters: Sequence[DeadLetter]) -> int:
        """Move them to the source queue and return how many. What SQS does not accept stays."""
        moved = 0
        for group in _tens(letters):
            sent = self._send(group)
            self._delete(sent)
            moved += len(sent)
        return moved

    def discard(self, letters: Sequence[DeadLetter]) -> int:
        """Delete them for good and return how many."""
        return sum(self._delete(group) for group in _tens(letters))

    def _receive(self, limit: int, hidden_seconds: int) -> list[DeadLetter]:
        answer: Any = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=min(limit, _MESSAGES_PER_REQUEST),
            VisibilityTimeout=hidden_seconds,
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageSystemAttributeNames=["MessageGroupId", "SentTimestamp"],
        )
        return [self._letter(message) for message in answer.get("Messages", [])]

    def _letter(self, message: Any) -> DeadLetter:
        attributes = message.get("Attributes", {})
        batch_id, is_too_new = self._read(message["Body"])
        return DeadLetter(
            receipt=message["ReceiptHandle"],
            body=message["Body"],
            group=attributes.get("MessageGroupId"),
            batch_id=batch_id,
            is_too_new=is_too_new,
            message_id=message["MessageId"],
            sent_at=datetime.fromtimestamp(int(attributes.get("SentTimestamp", 0)) / 1000, UTC),
        )

    def _read(self, body: str) -> tuple[str | None, bool]:
        """The message's batch, if this version can read it, and whether a later version can."""
        try:
            return self.batch_of(body).batch_id, False
        except TooNew:
            return None, True
        except (ValueError, KeyError, TypeError, AttributeError):
            return None, False

    def _send(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        entries: Any = [
            {
                "Id": str(number),
                "MessageBody": each.body,
                **({"MessageGroupId": each.group} if each.group else {}),
            }
            for number, each in enumerate(letters)
        ]
        answer = self.client.send_message_batch(QueueUrl=self.home_url, Entries=entries)
        return [letters[int(sent["Id"])] for sent in answer.get("Successful", [])]

    def _delete(self, letters: Sequence[DeadLetter]) -> int:
        """Delete messages and return how many. One that remains comes back later."""
        if not letters:
            return 0
        answer = self.client.delete_message_batch(
            QueueUrl=self.url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": each.receipt}
                for number, each in enumerate(letters)
            ],
        )
        return len(answer.get("Successful", []))


def of_jobs(client: "SQSClient", dead: str, home: str) -> DeadLetterQueue:
    return _queue(client, dead, home, sqs.parse_jobs)


def of_batches(client: "SQSClient", dead: str, home: str) -> DeadLetterQueue:
    return _queue(client, dead, home, sqs.parse_batch)


def by_batch(letters: Sequence[DeadLetter]) -> dict[str, int]:
    """How many messages each batch has, the most first."""
    return dict(
        Counter(each.batch_id for each in letters if each.batch_id is not None).most_common()
    )


def _queue(client: "SQSClient", dead: str, home: str, batch_of: Any) -> DeadLetterQueue:
    return DeadLetterQueue(
        client=client,
        url=client.get_queue_url(QueueName=dead)["QueueUrl"],
        home_url=client.get_queue_url(QueueName=home)["QueueUrl"],
        batch_of=batch_of,
    )


def _tens(letters: Sequence[DeadLetter]) -> Iterator[Sequence[DeadLetter]]:
    for start in range(0, len(letters), _MESSAGES_PER_REQUEST):
        yield letters[start : start + _MESSAGES_PER_REQUEST]
