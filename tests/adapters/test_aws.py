"""What is reported of AWS's errors: the request, but nothing of its contents."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from chalicelib.adapters import aws as adapter
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.adapters.key_store import DynamoKeyStore
from chalicelib.adapters.sqs import SqsQueue
from chalicelib.domain.message import BatchMessage
from chalicelib.errors import Unavailable, describe
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from botocore.client import BaseClient

Answer = Callable[..., Any]

ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
CANARY = "canary-in-an-item"


class Raw:
    """A body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def answering(status: int, body: bytes) -> Answer:
    def answer(request: Any, **_: object) -> AWSResponse:
        headers: Any = {"x-amzn-requestid": "REQUEST7"}
        return AWSResponse(request.url, status, headers, Raw(body))

    return answer


def refusing(code: str, status: int = 400) -> Answer:
    text = f"Value '{CANARY}' at 'item' failed to satisfy a constraint"
    return answering(status, json.dumps({"__type": f"x#{code}", "message": text}).encode())


def told_by(call: Callable[[], object]) -> str:
    """Everything that the log may contain about an exception of the call."""
    with pytest.raises(Unavailable) as caught:
        call()
    return describe(caught.value)


def client(service: Any, answer: Answer | None = None) -> "BaseClient":
    made: BaseClient = boto3.client(
        service, region_name="us-east-1", config=ONCE, endpoint_url="http://127.0.0.1:9"
    )
    if answer:
        made.meta.events.register("before-send", answer)
    return made


def store(answer: Answer | None = None) -> DynamoBatchStore:
    made: Any = client("dynamodb", answer)
    return DynamoBatchStore(made, "batches")


def queue(answer: Answer | None = None) -> SqsQueue:
    made: Any = client("sqs", answer)
    return SqsQueue(made, jobs_queue=CANARY, batches_queue=CANARY, callbacks_queue=CANARY)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ValidationException", 400, "Denied"),
        ("AccessDeniedException", 400, "Denied"),
        ("RequestThrottled", 400, "Unavailable"),
        ("X", 503, "Unavailable"),
    ],
)
def test_a_refusal_is_reported_with_its_code_and_whether_a_retry_may_help(
    code: str, status: int, kind: str
) -> None:
    told = told_by(lambda: store(refusing(code, status)).find(CANARY))
    assert told == (
        f"{kind}: DynamoDB answered GetItem: {code}, HTTP {status}, request REQUEST7"
        ", of ClientError"
    )


def test_a_failed_lookup_of_a_key_does_not_show_it() -> None:
    made: Any = client("dynamodb", refusing("ValidationException"))
    told = told_by(lambda: DynamoKeyStore(made, "keys", FakeClock()).find_key(CANARY))
    assert "ValidationException" in told
    assert CANARY not in told


def test_a_failed_lookup_of_a_queue_does_not_show_the_batch() -> None:
    told = told_by(
        lambda: queue(refusing("AccessDenied")).send_batch(
            BatchMessage(batch_id=CANARY, account=CANARY)
        )
    )
    assert "SQS answered GetQueueUrl: AccessDenied, HTTP 400" in told
    assert CANARY not in told


@pytest.mark.parametrize(
    ("batch_id", "kind"),
    [({"S": CANARY}, "ParamValidationError"), (CANARY, "EndpointConnectionError")],
)
def test_an_error_before_aws_is_reported_by_its_type(batch_id: Any, kind: str) -> None:
    told = told_by(lambda: store().find(batch_id))
    assert told.startswith(f"Unavailable: DynamoDB: {kind}, of {kind}")
    assert CANARY not in told


def test_an_answer_without_a_code_is_reported() -> None:
    told = told_by(lambda: store(answering(500, b"{}")).find(CANARY))
    assert told.startswith("Unavailable: DynamoDB answered GetItem: ")


class TestLoopDetection:
    """Lambda uses a header to count how often a message led to another, and ends what it takes for
    a loop. https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html"""

    TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Lineage=1:a87bd80c:16"

    @pytest.fixture(autouse=True)
    def inside_lambda(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "batchback-prod-run_jobs")
        monkeypatch.setenv("_X_AMZN_TRACE_ID", self.TRACE)

    @pytest.mark.parametrize(
        ("service", "operation"),
        [("dynamodb", "list_tables"), ("sqs", "list_queues"), ("ssm", "describe_parameters")],
    )
    def test_none_of_our_requests_carries_the_header(self, service: str, operation: str) -> None:
        assert "x-amzn-trace-id" not in self._headers(
            adapter.session.__wrapped__(), service, operation
        )

    def test_botocore_by_itself_would_send_the_header(self) -> None:
        """If this fails, botocore has changed: check whether there is another header now."""
        headers = self._headers(botocore.session.Session(), "sqs", "list_queues")
        assert headers["x-amzn-trace-id"] == self.TRACE

    def _headers(self, session: Any, service: str, operation: str) -> dict[str, str]:
        """The headers of a request as it is sent, by lower-case names."""
        made = session.create_client(service, region_name="us-east-1", config=ONCE)
        sent: dict[str, str] = {}

        def answer(request: Any, **_: object) -> AWSResponse:
            sent.update({name.lower(): _text(value) for name, value in request.headers.items()})
            taken: AWSResponse = answering(200, b"{}")(request)
            return taken

        made.meta.events.register("before-send", answer)
        getattr(made, operation)()
        return sent


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
