"""Events as Lambda receives them. In Chalice's own, all SQS events carry the same ids and counts,
and those of API Gateway lack what Chalice does not read."""

import base64
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.adapters.sqs import compose_batch, compose_jobs
from chalicelib.domain.message import BatchMessage, JobsMessage


def jobs_event(message: JobsMessage, receive_count: int = 1) -> dict[str, Any]:
    return _event(compose_jobs(message), receive_count)


def batch_event(message: BatchMessage, receive_count: int = 1) -> dict[str, Any]:
    return _event(compose_batch(message), receive_count)


def http_event(
    method: str,
    namespace: str,
    *,
    query: Mapping[str, Sequence[str]],
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    """A request as a Lambda proxy integration passes it on; a body that is not text is in base64.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    text, is_encoded = _text_or_base64(body)
    path = f"/api/1.0/{namespace}"
    return {
        "resource": "/api/1.0/{namespace}",
        "path": path,
        "httpMethod": method,
        "headers": {**headers} or None,
        "multiValueHeaders": {name: [value] for name, value in headers.items()} or None,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": {**query} or None,
        "pathParameters": {"namespace": namespace},
        "stageVariables": None,
        "requestContext": {
            "resourceId": "abc123",
            "resourcePath": "/api/1.0/{namespace}",
            "httpMethod": method,
            "path": f"/api{path}",
            "stage": "api",
            "protocol": "HTTP/1.1",
            "requestId": str(uuid.uuid4()),
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "curl/8.5.0"},
            "domainName": "abc123.execute-api.us-east-1.amazonaws.com",
            "apiId": "abc123",
        },
        "body": text,
        "isBase64Encoded": is_encoded,
    }


def _text_or_base64(body: bytes) -> tuple[str | None, bool]:
    try:
        return body.decode("utf-8", "surrogatepass") or None, False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


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
