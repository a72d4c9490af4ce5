"""The messages in the embedded queues. SQS itself only counts them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from moto.sqs.models import Queue, sqs_backends


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    #: When its delay ends or ended, by the service's clock.
    comes_at: datetime
    body: str


def queued_messages() -> Iterator[QueuedMessage]:
    """Every message in the queues of this process's embedded AWS, received or not."""
    for regions in [*sqs_backends.values()]:
        for region in [*regions.values()]:
            for queue in [*region.queues.values()]:
                yield from _messages_of(queue)


def _messages_of(queue: Queue) -> Iterator[QueuedMessage]:
    messages = [*queue._messages]
    for message in messages:
        comes_at = datetime.fromtimestamp(message.delayed_until / 1000, UTC)
        yield QueuedMessage(comes_at=comes_at, body=message.body)
