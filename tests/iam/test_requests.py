"""Every call that the functions make needs the action and the resource that AWS documents."""

from typing import Any

import pytest

from tests.iam.requests import UnknownCall, requests_of

KEY = {"batch_id": {"S": "b1"}, "part": {"S": "0#head"}}
URL = "https://sqs.eu-west-1.amazonaws.com/210987654321/jobs"


def asked(service: str, operation: str, **parameters: Any) -> list[tuple[str, str]]:
    found = requests_of(service, operation, parameters, "eu-west-1")
    return [
        (each.action, each.resource.removeprefix(f"arn:aws:{service}:eu-west-1:")) for each in found
    ]


@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem", "DeleteItem"])
def test_a_call_on_an_item_needs_its_table_and_names_the_partition_key(operation: str) -> None:
    parameters = {"TableName": "t", "Key": KEY}
    [request] = requests_of("dynamodb", operation, parameters, "eu-west-1")
    assert request.action == f"dynamodb:{operation}"
    assert request.resource == "arn:aws:dynamodb:eu-west-1:123456789012:table/t"
    assert request.partition_keys == ("b1",)


def test_a_put_names_the_partition_key_of_the_item() -> None:
    item = {"id": {"S": "key#demo"}, "account": {"S": "demo"}}
    [request] = requests_of("dynamodb", "PutItem", {"TableName": "t", "Item": item}, "eu-west-1")
    assert (request.action, request.partition_keys) == ("dynamodb:PutItem", ("key#demo",))


def test_a_query_needs_only_the_table_or_only_the_index() -> None:
    assert asked("dynamodb", "Query", TableName="t") == [("dynamodb:Query", "123456789012:table/t")]
    assert asked("dynamodb", "Query", TableName="t", IndexName="due") == [
        ("dynamodb:Query", "123456789012:table/t/index/due")
    ]


def test_a_transaction_needs_each_table() -> None:
    assert asked("dynamodb", "BatchWriteItem", RequestItems={"t": [], "u": []}) == [
        ("dynamodb:BatchWriteItem", "123456789012:table/t"),
        ("dynamodb:BatchWriteItem", "123456789012:table/u"),
    ]


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("SendMessage", "SendMessage"),
        ("SendMessageBatch", "SendMessage"),
        ("ReceiveMessage", "ReceiveMessage"),
        ("DeleteMessage", "DeleteMessage"),
        ("GetQueueAttributes", "GetQueueAttributes"),
    ],
)
def test_a_call_on_a_queue_needs_the_queue_with_its_url(operation: str, action: str) -> None:
    assert asked("sqs", operation, QueueUrl=URL) == [(f"sqs:{action}", "210987654321:jobs")]


def test_looking_up_a_queue_needs_it_by_name() -> None:
    assert asked("sqs", "GetQueueUrl", QueueName="jobs") == [
        ("sqs:GetQueueUrl", "123456789012:jobs")
    ]
    theirs = asked("sqs", "GetQueueUrl", QueueName="jobs", QueueOwnerAWSAccountId="210987654321")
    assert theirs == [("sqs:GetQueueUrl", "210987654321:jobs")]


def test_a_log_group_ends_with_its_streams_and_a_stream_with_its_name() -> None:
    assert asked("logs", "CreateLogGroup", logGroupName="/g") == [
        ("logs:CreateLogGroup", "123456789012:log-group:/g:*")
    ]
    for operation in ("CreateLogStream", "PutLogEvents"):
        assert asked("logs", operation, logGroupName="/g", logStreamName="s") == [
            (f"logs:{operation}", "123456789012:log-group:/g:log-stream:s")
        ]


@pytest.mark.parametrize(
    ("service", "operation"), [("dynamodb", "Scan"), ("sqs", "PurgeQueue"), ("s3", "GetObject")]
)
def test_an_unknown_call_is_refused(service: str, operation: str) -> None:
    with pytest.raises(UnknownCall, match=f"{service}:{operation}"):
        asked(service, operation)
