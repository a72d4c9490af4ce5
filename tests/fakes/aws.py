"""AWS at its extremes, under the real clients: an AWS that accepts everything, and a DynamoDB that
lags. The clients compose and sign their requests as usual."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders


def take_everything(client: Any) -> None:
    """Answer every call of a client from now on as if it had succeeded. An update is answered with
    the item that was put before it."""
    client.meta.events.register("before-send", _Taker())


class _Taker:
    def __init__(self) -> None:
        self._item: dict[str, Any] = {}

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        target: Any = request.headers["X-Amz-Target"]
        operation = target.decode().rpartition(".")[2]
        sent: Any = request.body
        if operation == "PutItem":
            self._item = json.loads(sent)["Item"]
        answers: dict[str, dict[str, Any]] = {
            "UpdateItem": {"Attributes": self._item},
            "GetQueueUrl": {"QueueUrl": "http://127.0.0.1:9/queue"},
        }
        body = json.dumps(answers.get(operation, {})).encode()
        return AWSResponse(request.url, 200, HTTPHeaders(), _Raw(body))


class _Raw:
    """The response object from which botocore reads an answer's body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


@contextmanager
def lagging(client: Any) -> Iterator[None]:
    """A block in which a table's reads do not find what was written, unless they ask for strong
    consistency. DynamoDB may lag by a second, and an eventually consistent read of a new item then
    finds nothing.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html"""
    events = client.meta.events
    for operation in _NOTHING_FOUND:
        events.register(f"before-call.dynamodb.{operation}", _answer_behind)
    yield
    for operation in _NOTHING_FOUND:
        events.unregister(f"before-call.dynamodb.{operation}", _answer_behind)


_NOTHING_FOUND: dict[str, dict[str, Any]] = {
    "GetItem": {},
    "BatchGetItem": {"Responses": {}, "UnprocessedKeys": {}},
    "Query": {"Items": []},
}


def _answer_behind(model: Any, params: Any, **_: object) -> tuple[SimpleNamespace, Any] | None:
    """The answer in place of the server's, or None to let the server answer. Indexes always lag, so
    the server answers for them."""
    asked = json.loads(params["body"])
    tables = asked.get("RequestItems", {"": asked}).values()
    if "IndexName" in asked or all(table.get("ConsistentRead") for table in tables):
        return None
    return SimpleNamespace(status_code=200), _NOTHING_FOUND[model.name]
