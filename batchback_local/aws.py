"""The embedded AWS: moto's server on 127.0.0.1, made atomic, and the stage's resources in it.

moto is a simulator for tests that call it one at a time. DynamoDB promises that a conditional
write is atomic and SQS that a message is visible to one receiver; under threads moto keeps neither.
"""

import copy
import inspect
import io
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    create_backend_app,
)
from moto.sqs import models as sqs

from batchback_local.errors import CannotStart
from batchback_local.http_server import HOST, Answer, HttpServer, Request
from batchback_ops import project

Headers = list[tuple[str, str]]


class EmbeddedAws:
    """moto's server in this process, empty at first, and gone with it."""

    def __init__(self, port: int = 0) -> None:
        """Port 0: a free one."""
        make_moto_atomic()
        services = _Dispatcher(create_backend_app)
        self._server = HttpServer(partial(_answer, services), port=port, name="aws")

    @property
    def endpoint(self) -> str:
        return self._server.address

    def __enter__(self) -> "EmbeddedAws":
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()


def create_resources(
    stage: str, endpoint: str | None = None, *, visibility_seconds: int | None = None
) -> None:
    """Makes the stage's tables and queues from the template that deployments use, by
    CloudFormation; CannotStart where it will not. `visibility_seconds`: when the message of a
    worker that died comes back, where not as long as the template says."""
    cloudformation = boto3.client("cloudformation", endpoint_url=endpoint)
    stack = project.stack_name(stage)
    try:
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=project.template(),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in _parameters(stage, visibility_seconds).items()
            ],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
    except (ClientError, BotoCoreError, WaiterError) as error:
        raise CannotStart(f"The stack {stack} of .chalice/resources.json fails: {error}") from error


def _parameters(stage: str, visibility_seconds: int | None) -> dict[str, str]:
    """moto makes no alarms, and says so of each."""
    parameters = {"Stage": stage, "Monitoring": "false"}
    if visibility_seconds is None:
        return parameters
    return {**parameters, **dict.fromkeys(_VISIBILITIES, str(visibility_seconds))}


#: The template's parameters that say how long a message is hidden while a function works on it.
_VISIBILITIES = ("JobsVisibilitySeconds", "BatchesVisibilitySeconds", "JobsDeadVisibilitySeconds")


@cache
def make_moto_atomic() -> None:
    """Puts a lock round moto's DynamoDB and one round its SQS, for this process and for good. Also
    gives SQS a clock ten times as fast, and lets a Query look at its own partition only: moto sorts
    the whole table for each, so that everything gets slower the more there is."""
    _lock(DynamoHandler, ["call_action"])
    _lock(sqs.SQSBackend, _SQS_OPERATIONS)
    _patch(sqs.SQSBackend, "receive_message", _waiting_outside(sqs.SQSBackend.receive_message))
    _patch(sqs, "unix_time_millis", lambda _=None: time.time() * 1000)
    _patch(Table, "query", _of_one_partition(Table.query))


_SQS_OPERATIONS = (
    "receive_message",
    "send_message",
    "send_message_batch",
    "delete_message",
    "delete_message_batch",
    "change_message_visibility",
    "change_message_visibility_batch",
    "get_queue_attributes",
    "purge_queue",
)


def _lock(owner: object, names: Sequence[str]) -> None:
    """Lets one thread at a time into any of the operations."""
    lock = threading.RLock()
    for name in names:
        _patch(owner, name, _locked(getattr(owner, name), lock))


def _locked(operation: Callable[..., Any], lock: AbstractContextManager[Any]) -> Any:
    def atomic(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return operation(*args, **kwargs)

    return atomic


def _patch(owner: object, name: str, replacement: Callable[..., Any]) -> None:
    setattr(owner, name, replacement)


def _waiting_outside(receive: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """ReceiveMessage that waits for messages without holding the lock that senders need."""

    def receive_message(
        self: Any, queue_name: str, count: int, wait_seconds_timeout: int, *args: Any, **kwargs: Any
    ) -> list[Any]:
        give_up_at = time.monotonic() + wait_seconds_timeout
        while True:
            messages = receive(self, queue_name, count, 0, *args, **kwargs)
            seconds_left = give_up_at - time.monotonic()
            if messages or seconds_left <= 0:
                return messages
            # Delayed and hidden messages come back without a word: look again now and then.
            self.get_queue(queue_name).wait_for_messages(min(0.25, seconds_left))

    return receive_message


class _Dispatcher(DomainDispatcherApplication):
    """Remembers which service a host name means: moto lists its directories at every request to
    find out, one request at a time, which is most of what a request costs."""

    def __init__(self, create_app: Callable[..., Any]) -> None:
        super().__init__(create_app)
        self._known: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        if host not in self._known:
            self._known[host] = super().get_backend_for_host(host)
        return self._known[host]


def _of_one_partition(query: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(query)

    def query_partition(self: Any, hash_key: Any, *args: Any, **kwargs: Any) -> Any:
        table = self
        if not signature.bind(self, hash_key, *args, **kwargs).arguments.get("index_name"):
            table = copy.copy(self)
            table.items = {hash_key: self.items.get(hash_key, {})}
        return query(table, hash_key, *args, **kwargs)

    return query_partition


def _answer(services: DomainDispatcherApplication, request: Request) -> Answer:
    """moto's answer, through WSGI. moto's own server closes the connection after each, which
    doubles what a request costs."""
    heads: list[tuple[str, Headers]] = []

    def start_response(status: str, headers: Headers, *_: object) -> None:
        heads.append((status, headers))

    body = b"".join(services(_environ(request), start_response))
    status, headers = heads[-1]
    named = dict(headers)
    content_type = named.pop("Content-Type", "application/octet-stream")
    named.pop("Content-Length", None)
    return Answer(status=int(status[:3]), body=body, content_type=content_type, headers=named)


def _environ(request: Request) -> dict[str, Any]:
    """The request as WSGI has it (PEP 3333)."""
    parts = urlsplit(request.target)
    headers = {name.upper().replace("-", "_"): value for name, value in request.headers.items()}
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path, "latin-1"),
        "QUERY_STRING": parts.query,
        "CONTENT_TYPE": headers.pop("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": HOST,
        "SERVER_PORT": headers.get("HOST", "").rpartition(":")[2],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
