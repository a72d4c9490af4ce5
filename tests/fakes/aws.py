"""AWS that takes everything, under the real clients: what they compose and sign is composed and
signed, and nothing is sent."""

import json
from collections.abc import Iterator
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders


def take_everything(client: Any) -> None:
    """From now on every call of a client is answered as if it had been done; an update with the
    item that was put before it."""
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
    """What botocore reads an answer's body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
