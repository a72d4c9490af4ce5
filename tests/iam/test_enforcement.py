"""The deployed policies deny what a function has no business doing, at the client."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from batchback_ops import project
from batchback_ops.policies import documents
from batchback_ops.policies.permissions import PERMISSIONS
from chalicelib.settings import Names
from tests.iam.enforcement import Enforcement
from tests.iam.policy import Policy

PROD, DEV = Names("prod"), Names("dev")
HEAD = {"batch_id": {"S": "b1"}, "part": {"S": "0#head"}}
KEY = {"id": {"S": "key#demo"}}
ACCOUNT = {"id": {"S": "account#demo"}}


class Clients:
    """The clients of functions of the stage prod."""

    def __init__(self) -> None:
        self.iam = Enforcement({function: Policy(_deployed(function)) for function in PERMISSIONS})
        self.dynamodb = boto3.client("dynamodb")
        self.sqs = boto3.client("sqs")
        self.logs: Any = boto3.client("logs")
        for client in (self.dynamodb, self.sqs, self.logs):
            self.iam.watch(client)

    def get(self, table: str, key: Any) -> None:
        self.dynamodb.get_item(TableName=table, Key=key)

    def put(self, table: str, item: Any) -> None:
        self.dynamodb.put_item(TableName=table, Item=item)

    def delete(self, table: str, key: Any) -> None:
        self.dynamodb.delete_item(TableName=table, Key=key)

    def write_together(self, *tables: str) -> None:
        requests: Any = {table: [{"PutRequest": {"Item": KEY}}] for table in tables}
        self.dynamodb.batch_write_item(RequestItems=requests)

    def query(self, table: str, **more: Any) -> None:
        self.dynamodb.query(
            TableName=table,
            KeyConditionExpression="batch_id = :id",
            ExpressionAttributeValues={":id": {"S": "b1"}},
            **more,
        )

    def send(self, queue: str) -> None:
        self.sqs.send_message(QueueUrl=_url(queue), MessageBody="{}")

    def take(self, queue: str) -> None:
        self.sqs.receive_message(QueueUrl=_url(queue))

    def log(self, function: str) -> None:
        self.logs.put_log_events(
            logGroupName=f"/aws/lambda/{function}", logStreamName="s", logEvents=[]
        )


def _deployed(function: str) -> Any:
    """The deployed policy file itself."""
    name = documents.file_name(function, PROD.stage)
    return json.loads((project.root() / ".chalice" / name).read_text("utf-8"))


def _url(queue: str) -> str:
    return f"https://sqs.us-east-1.amazonaws.com/123456789012/{queue}"


@pytest.fixture(scope="module")
def clients(aws: None) -> Clients:  # noqa: ARG001 - so that no call leaves the machine
    return Clients()


Deed = Callable[[Clients], None]
BUSINESS_OF_OTHERS: list[tuple[str, str, Deed]] = [
    ("api_handler", "writes a key", lambda c: c.put(PROD.keys_table, KEY)),
    ("api_handler", "writes keys", lambda c: c.write_together(PROD.keys_table)),
    (
        "api_handler",
        "writes batches, and a key with them",
        lambda c: c.write_together(PROD.batches_table, PROD.keys_table),
    ),
    ("api_handler", "deletes a key", lambda c: c.delete(PROD.keys_table, KEY)),
    ("api_handler", "reads a callback secret", lambda c: c.get(PROD.keys_table, ACCOUNT)),
    ("api_handler", "deletes a batch", lambda c: c.delete(PROD.batches_table, HEAD)),
    (
        "api_handler",
        "looks for batches that are due",
        lambda c: c.query(PROD.batches_table, IndexName="due"),
    ),
    ("api_handler", "takes a job", lambda c: c.take(PROD.jobs_queue)),
    ("api_handler", "reads another stage", lambda c: c.get(DEV.batches_table, HEAD)),
    ("api_handler", "writes into another's log", lambda c: c.log("batchback-prod-sweep")),
    ("run_jobs", "reads a batch of another stage", lambda c: c.get(DEV.batches_table, HEAD)),
    ("run_jobs", "sends to another stage", lambda c: c.send(DEV.jobs_queue)),
    ("run_jobs", "writes a key", lambda c: c.put(PROD.keys_table, KEY)),
    ("run_jobs", "reads a callback secret", lambda c: c.get(PROD.keys_table, ACCOUNT)),
    ("run_jobs", "takes a dead job", lambda c: c.take(PROD.jobs_dead_queue)),
    (
        "run_jobs",
        "lists an account's batches",
        lambda c: c.query(PROD.batches_table, IndexName="by_account"),
    ),
    ("run_jobs", "takes a check", lambda c: c.take(PROD.batches_queue)),
    ("advance_batch", "reads a caller's secret", lambda c: c.get(PROD.keys_table, KEY)),
    ("advance_batch", "reads a callback secret", lambda c: c.get(PROD.keys_table, ACCOUNT)),
    ("advance_batch", "writes an account", lambda c: c.put(PROD.keys_table, ACCOUNT)),
    ("advance_batch", "deletes a batch", lambda c: c.delete(PROD.batches_table, HEAD)),
    ("advance_batch", "takes a job", lambda c: c.take(PROD.jobs_queue)),
    ("advance_batch", "takes a callback", lambda c: c.take(PROD.callbacks_queue)),
    ("call_back", "reads a caller's secret", lambda c: c.get(PROD.keys_table, KEY)),
    ("call_back", "writes an account", lambda c: c.put(PROD.keys_table, ACCOUNT)),
    ("call_back", "records an answer", lambda c: c.put(PROD.batches_table, HEAD)),
    ("call_back", "deletes a batch", lambda c: c.delete(PROD.batches_table, HEAD)),
    ("call_back", "sends a job", lambda c: c.send(PROD.jobs_queue)),
    ("call_back", "sends a check", lambda c: c.send(PROD.batches_queue)),
    ("call_back", "takes a check", lambda c: c.take(PROD.batches_queue)),
    ("bury_jobs", "reads a caller's secret", lambda c: c.get(PROD.keys_table, KEY)),
    ("bury_jobs", "reads a callback secret", lambda c: c.get(PROD.keys_table, ACCOUNT)),
    ("bury_jobs", "takes a job", lambda c: c.take(PROD.jobs_queue)),
    ("bury_jobs", "sends a job", lambda c: c.send(PROD.jobs_queue)),
    ("sweep", "reads a caller's secret", lambda c: c.get(PROD.keys_table, KEY)),
    ("sweep", "reads a callback secret", lambda c: c.get(PROD.keys_table, ACCOUNT)),
    ("sweep", "reads a batch", lambda c: c.get(PROD.batches_table, HEAD)),
    ("sweep", "reads a batch's jobs", lambda c: c.query(PROD.batches_table)),
    ("sweep", "sends a job", lambda c: c.send(PROD.jobs_queue)),
    ("sweep", "writes into the log of a stage", lambda c: c.log("batchback-prod-2-sweep")),
    ("sweep", "sends to a queue without a receiver", lambda c: c.send(PROD.batches_dead_queue)),
]


@pytest.mark.parametrize(
    ("function", "deed"),
    [(function, deed) for function, _, deed in BUSINESS_OF_OTHERS],
    ids=[f"{function} {what}" for function, what, _ in BUSINESS_OF_OTHERS],
)
def test_a_function_is_denied_what_only_others_may_do(
    clients: Clients, function: str, deed: Deed
) -> None:
    with clients.iam.acting(function), pytest.raises(ClientError, match="AccessDenied"):
        deed(clients)


def test_every_function_is_denied_something() -> None:
    assert {function for function, _, _ in BUSINESS_OF_OTHERS} == {*PERMISSIONS}


def test_a_denial_is_remembered_even_if_it_is_caught(clients: Clients) -> None:
    with clients.iam.acting("sweep"), pytest.raises(ClientError):
        clients.get(PROD.keys_table, KEY)
    assert clients.iam.denied[-1] == (
        "sweep: dynamodb:GetItem on "
        "arn:aws:dynamodb:us-east-1:123456789012:table/batchback-prod-keys"
    )


def test_a_call_outside_any_function_is_denied(clients: Clients) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        clients.get(PROD.batches_table, HEAD)
    assert clients.iam.denied[-1].startswith("None: dynamodb:GetItem on ")


def test_an_unknown_call_is_denied(clients: Clients) -> None:
    with clients.iam.acting("api_handler"), pytest.raises(ClientError, match="AccessDenied"):
        clients.dynamodb.scan(TableName=PROD.batches_table)
    assert clients.iam.denied[-1] == "api_handler: the unknown dynamodb:Scan"


def test_an_allowed_call_reaches_aws_and_counts_as_used(clients: Clients) -> None:
    before = clients.iam.unused("api_handler")
    with clients.iam.acting("api_handler"), pytest.raises(ClientError, match="ResourceNotFound"):
        clients.get(PROD.keys_table, KEY)
    [used] = before - clients.iam.unused("api_handler")
    assert (used.statement, used.action) == ("Keys", "dynamodb:GetItem")
