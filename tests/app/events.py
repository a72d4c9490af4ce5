"""SQS events as Lambda gives them; Chalice's own all carry the same ids and counts."""

import uuid
from typing import Any

from chalicelib.adapters.sqs import compose_batch, compose_jobs
from chalicelib.domain.message import BatchMessage, JobsMessage


def jobs_event(message: JobsMessage, receive_count: int = 1) -> dict[str, Any]:
    return _event(compose_jobs(message), receive_count)


def batch_event(message: BatchMessage, receive_count: int = 1) -> dict[str, Any]:
    return _event(compose_batch(message), receive_count)


def _event(body: str, receive_count: int) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "handle",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": str(receive_count),
                    "SentTimestamp": "1764000000000",
                    "SenderId": "sender",
                    "ApproximateFirstReceiveTimestamp": "1764000000001",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
                "awsRegion": "us-east-1",
            }
        ]
    }
