"""The whole service on moto's AWS: the real app, operations and adapters. The test drives the
queues.

Only the other sides of HTTP are fakes. Time stands still until every visible message is done; then
it jumps to the time when the next delayed message appears, on the queues too.

Every AWS call that a function makes, or that Lambda makes for it, is judged by the policy of that
function. What the test itself reads or repairs goes through clients that are not watched."""

import base64
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count, zip_longest
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore.config import Config
from moto.sqs import models as moto_sqs

import app
from batchback_local.aws.resources import create_resources
from batchback_local.demonstration.account import put_demo_key
from batchback_local.runtime.invocation import Context, Function, scheduled_event, sqs_event
from batchback_ops.keys.table import KeyTable
from batchback_ops.policies import documents
from batchback_ops.policies.permissions import PERMISSIONS
from chalicelib import settings, wiring
from chalicelib.adapters import aws
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.adapters.sequential import Sequential
from chalicelib.domain.batch import Batch
from chalicelib.operations.ports import Concurrent, Result
from chalicelib.service import Service
from tests.fakes.clock import FakeClock
from tests.fakes.http import FakePlatform, FakeReceiver
from tests.fakes.journal import FakeJournal
from tests.iam.enforcement import Enforcement
from tests.iam.policy import Policy
from tests.samples import WEBHOOK_SECRET

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

REGION = "us-east-1"
#: No real address is called: the platform is a fake.
PLATFORM = "http://127.0.0.1:9"
CALLBACK_URL = "https://example.com/callback"
#: The variables that give the functions the most permissions.
_HEADER_IS_KEPT = {"PLATFORM_AUTH": "header", "PLATFORM_HEADER": "ssm"}
#: Each story has a stage of its own, so nothing of another story is left over.
_stages = count(1)

Message = Mapping[str, Any]
Order = Callable[[Sequence[Message]], Iterable[Message]]


class OnMoto:
    """A service, a caller, and the means to deliver the service's messages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stage = f"story-{next(_stages)}"
        create_resources(self._stage)
        self.clock = FakeClock()
        self.platform: Any = FakePlatform()
        self.receiver: Any = FakeReceiver()
        self.journal: Any = FakeJournal()
        #: How often each message is delivered.
        self.deliveries = 1
        #: The order in which messages that are visible at the same time are delivered.
        self.order: Order = lambda messages: messages
        self.names = settings.Names(self._stage)
        self.iam = Enforcement(
            {
                name: Policy(documents.policy(name, self.names, _HEADER_IS_KEPT))
                for name in PERMISSIONS
            }
        )
        self.dynamodb, self.sqs = _dynamodb(), _sqs()
        self.iam.watch(self.dynamodb)
        self.iam.watch(self.sqs)
        #: The test's own clients, which may do anything.
        self._own_dynamodb, self._own_sqs = _dynamodb(), _sqs()
        #: The keys as operators change them.
        self.key_table = KeyTable(self._own_dynamodb, self.names.keys_table)
        self._queues = [
            self._queue(self.names.jobs_queue, "run_jobs", app.run_jobs, 60),
            self._queue(self.names.batches_queue, "advance_batch", app.advance_batch, 120),
            self._queue(self.names.callbacks_queue, "call_back", app.call_back, 120),
            self._queue(self.names.jobs_dead_queue, "bury_jobs", app.bury_jobs, 60),
        ]
        monkeypatch.setattr(moto_sqs, "unix_time", self._seconds)
        monkeypatch.setattr(moto_sqs, "unix_time_millis", lambda: self._seconds() * 1000)
        monkeypatch.setattr(wiring, "service", self._container)
        for name, client in (("dynamodb", self.dynamodb), ("sqs", self.sqs)):
            monkeypatch.setattr(aws, name, lambda client=client: client)
        monkeypatch.setattr(aws, "ssm", self._ssm)
        self.configure()

    def configure(self, **variables: str) -> None:
        """Change settings of the service from now on."""
        self.settings = settings.read(
            {"STAGE": self._stage, "PLATFORM_ADDRESS": PLATFORM, **variables}
        )
        self._containers: dict[str | None, Service] = {}
        put_demo_key(
            self._own_dynamodb,
            self.names.keys_table,
            key="demo",
            secret="demo-secret",
            callback_secret=WEBHOOK_SECRET,
            now=self.clock.now(),
        )

    def replace(self, **adapters: Any) -> None:
        """Replace `platform`, `receiver` or `journal` from now on."""
        for name, adapter in adapters.items():
            setattr(self, name, adapter)
        self._containers.clear()

    def container(self, function: str) -> Service:
        """The service in the process of a function."""
        with self.iam.acting(function):
            return self._container()

    def _container(self) -> Service:
        """The service in the process of the running function; each function has its own process."""
        if self.iam.function not in self._containers:
            self._containers[self.iam.function] = self._service()
        return self._containers[self.iam.function]

    def _service(self) -> Service:
        ports = wiring.connect(
            self.settings,
            clock=self.clock,
            journal=self.journal,
            concurrent_requests=Sequential(),
        )
        return Service(
            self.settings,
            replace(
                ports,
                platform=self.platform,
                receiver=self.receiver,
                concurrent=_InOneName(ports.concurrent),
            ),
        )

    def _ssm(self) -> "SSMClient":
        client = boto3.client("ssm")
        self.iam.watch(client)
        return client

    def call(
        self, action: str, body: object, namespace: str = "batch", **headers: str
    ) -> tuple[int, bytes]:
        """Make a caller's request through API Gateway, and return the answer's status and body."""
        event = _gateway_event(f"/api/1.0/{namespace}?action={action}", json.dumps(body), headers)
        with self.iam.acting("api_handler"):
            answer = app.app(event, Context("api_handler", 29))
        return answer["statusCode"], answer["body"].encode()

    def ask(self, action: str, body: object, namespace: str = "batch", **headers: str) -> Any:
        """Make a request that succeeds, and return the answer."""
        status, answer = self.call(action, body, namespace, **headers)
        assert status == 200, (answer, f"denied by the policies: {self.iam.denied}")
        return json.loads(answer)

    def submit(
        self, jobs: Sequence[Any], *, callback_url: str = CALLBACK_URL, **headers: str
    ) -> str:
        order = {"jobs": [*jobs], "callbackUrl": callback_url}
        async_id: str = self.ask("run", order, **headers)["asyncId"]
        return async_id

    def progress(self, async_id: str) -> Any:
        return self.ask("progress", {"async": async_id})

    def results(self, async_id: str, **page: int) -> bytes:
        status, body = self.call("results", {"async": async_id, **page})
        assert status == 200, body
        return body

    def responses(self, async_id: str) -> list[Any]:
        return [each["response"] for each in json.loads(self.results(async_id))["results"]]

    def posts_of(self, async_id: str) -> list[bytes]:
        """The bodies of the batch's callbacks, oldest first."""
        return [post.body for post in self.receiver.posts if async_id.encode() in post.body]

    def head(self, async_id: str) -> Batch:
        head = DynamoBatchStore(self._own_dynamodb, self.names.batches_table).find(async_id)
        assert head is not None
        return head

    def receive(self) -> list[Message]:
        """Receive every message that is now visible, on all queues."""
        return [message for queue in self._queues for message in queue.receive()]

    def deliver(self, message: Message, seconds: float | None = None) -> None:
        """Deliver a message once, to a function with this much time left, or with all its time. The
        message stays on its queue until it is deleted."""
        self._queue_of(message).invoke(message, seconds)

    def delete(self, message: Message) -> None:
        self._queue_of(message).delete(message)

    def function_of(self, message: Message) -> str:
        """The function that takes messages from the queue of this message."""
        return self._queue_of(message).function

    def sweep(self) -> None:
        """Let a minute pass, and sweep."""
        event = scheduled_event("sweep", region=REGION, now=self.clock.now())
        with self.iam.acting("sweep"):
            app.sweep(event, Context("sweep", 50))

    def work_off(self) -> None:
        """Deliver messages until none is left, delayed ones at their time. Messages in the hands of
        another worker are left out."""
        while True:
            messages = self.receive()
            for message in self.order(messages):
                for _ in range(self.deliveries):
                    self.deliver(message)
                self.delete(message)
            delayed = [moment for queue in self._queues for moment in queue.delayed()]
            if not messages and not delayed:
                return
            if not messages:
                self.clock.set(min(delayed))

    def deliver_at_once(self, message: Message, workers: int) -> None:
        """Deliver one message to several workers at the same time."""
        self.container("run_jobs")  # create it in this thread
        threads = [
            threading.Thread(target=self.deliver, args=(message,), name=f"worker {number}")
            for number in range(workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)

    def _queue(
        self, name: str, function: str, handler: Callable[..., Any], seconds: float
    ) -> "_Queue":
        return _Queue(
            self.iam,
            self.sqs,
            self._own_sqs.get_queue_url(QueueName=name)["QueueUrl"],
            Function(name=function, handler=handler, timeout_seconds=seconds),
        )

    def _queue_of(self, message: Message) -> "_Queue":
        [queue] = [queue for queue in self._queues if queue.url == message["QueueUrl"]]
        return queue

    def _seconds(self) -> float:
        return self.clock.now().timestamp()


def alternating(messages: Sequence[Message]) -> Iterable[Message]:
    """Alternate between messages of one batch and of the other."""
    by_batch: dict[str, list[Message]] = {}
    for message in messages:
        by_batch.setdefault(json.loads(message["Body"])["batch"], []).append(message)
    return [
        message for row in zip_longest(*by_batch.values()) for message in row if message is not None
    ]


class _InOneName:
    """Runs calls in threads, on behalf of the function that makes them."""

    def __init__(self, threads: Concurrent) -> None:
        self._threads = threads

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        return self._threads.run([partial(copy_context().run, call) for call in calls])


class _Queue:
    """A queue, and the function that Lambda delivers its messages to. Whatever Lambda does with the
    queue counts as done by the function.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""

    def __init__(self, iam: Enforcement, sqs: "SQSClient", url: str, function: Function) -> None:
        """Lambda rejects a queue that would show a message again while a function is working on
        it."""
        self.url = url
        self._iam = iam
        self._sqs = sqs
        self._function = function
        self._name = url.rpartition("/")[2]
        with self._acting():
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        assert int(found["Attributes"]["VisibilityTimeout"]) >= function.timeout_seconds

    @property
    def function(self) -> str:
        return self._function.name

    def receive(self) -> list[Message]:
        """Receive every visible message. moto says whether there is one, because most of a story's
        requests would otherwise find that there is none."""
        found: list[Message] = []
        while self._at_moto.messages:
            found += [{**message, "QueueUrl": self.url} for message in self._receive_ten()]
        return found

    def _receive_ten(self) -> list[Any]:
        with self._acting():
            answer = self._sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=0,
                MessageSystemAttributeNames=["All"],
            )
        return answer.get("Messages", [])

    def delayed(self) -> list[datetime]:
        """When each delayed message appears, which only moto itself knows."""
        return [
            datetime.fromtimestamp(message.delayed_until / 1000, UTC)
            for message in self._at_moto._messages
            if message.delayed
        ]

    @property
    def _at_moto(self) -> moto_sqs.Queue:
        return moto_sqs.sqs_backends["123456789012"][REGION].queues[self._name]

    def invoke(self, message: Message, seconds: float | None) -> None:
        arn = f"arn:aws:sqs:{REGION}:123456789012:{self._name}"
        function = self._function if seconds is None else self._in_haste(seconds)
        with self._acting():
            function.invoke(sqs_event([message], queue_arn=arn, region=REGION))

    def _in_haste(self, seconds: float) -> Function:
        return replace(self._function, timeout_seconds=seconds)

    def delete(self, message: Message) -> None:
        with self._acting():
            self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def _acting(self) -> AbstractContextManager[None]:
        return self._iam.acting(self._function.name)


@contextmanager
def requests_of(life: OnMoto) -> Iterator[list[str]]:
    """The names of the requests to AWS inside the block, in order."""
    made: list[str] = []
    clients = (life.dynamodb, life.sqs)

    def note(model: Any, **_: object) -> None:
        made.append(model.name)

    for client in clients:
        client.meta.events.register("before-call", note)
    yield made
    for client in clients:
        client.meta.events.unregister("before-call", note)


def _dynamodb() -> "DynamoDBClient":
    return boto3.client(
        "dynamodb", endpoint_url=f"https://dynamodb.{REGION}.amazonaws.com", config=_CONFIG
    )


def _sqs() -> "SQSClient":
    return boto3.client("sqs", endpoint_url=f"https://sqs.{REGION}.amazonaws.com", config=_CONFIG)


#: As in the service: botocore takes long to compose its own for each request.
_CONFIG = Config(user_agent="batchback")


def _gateway_event(target: str, body: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html"""
    parts = urlsplit(target)
    credentials = base64.b64encode(b"demo:demo-secret").decode()
    sent = {
        "Authorization": f"Basic {credentials}",
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return {
        "resource": "/api/1.0/{namespace}",
        "path": parts.path,
        "httpMethod": "POST",
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": dict(parse_qsl(parts.query)),
        "multiValueQueryStringParameters": {
            name: [value] for name, value in parse_qsl(parts.query)
        },
        "pathParameters": {"namespace": parts.path.rpartition("/")[2]},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/api/1.0/{namespace}",
            "httpMethod": "POST",
            "path": f"/api{parts.path}",
            "stage": "api",
            "requestId": str(uuid.uuid4()),
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": body,
        "isBase64Encoded": False,
    }
