"""The embedded AWS is created from the deployment's template, and it is atomic."""

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from batchback_local.aws.embedded import EmbeddedAws
from batchback_local.aws.moto_patches import import_cloudformation
from batchback_local.aws.resources import create_resources
from batchback_local.errors import CannotStart, PortInUse
from chalicelib.settings import Names
from tests.local.conftest import STAGE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

NAMES = Names(STAGE)


def test_the_openapi_validator_is_restored_once_cloudformation_is_imported() -> None:
    import_cloudformation()
    assert import_module("openapi_spec_validator").__file__


def test_a_stage_is_created_without_warnings(
    embedded_aws: EmbeddedAws, caplog: pytest.LogCaptureFixture
) -> None:
    """The service does not need what moto cannot create from the template."""
    logging.disable(logging.NOTSET)
    create_resources("tests-words", embedded_aws.address)
    assert not caplog.messages


def test_tables_have_the_names_that_the_service_derives(dynamodb: "DynamoDBClient") -> None:
    pages = dynamodb.get_paginator("list_tables").paginate()
    tables = {name for page in pages for name in page["TableNames"]}
    assert {NAMES.batches_table, NAMES.keys_table} <= tables


def test_queues_have_the_names_that_the_service_derives(sqs: "SQSClient") -> None:
    urls = sqs.list_queues(QueueNamePrefix=f"batchback-{STAGE}-")["QueueUrls"]
    assert {url.rpartition("/")[2] for url in urls} == {
        NAMES.jobs_queue,
        NAMES.jobs_dead_queue,
        NAMES.batches_queue,
        NAMES.batches_dead_queue,
        NAMES.callbacks_queue,
        NAMES.callbacks_dead_queue,
    }


def test_items_come_back_as_they_were_put(dynamodb: "DynamoDBClient") -> None:
    """moto's own way to write them is replaced."""
    stored: dict[str, Any] = {
        "batch_id": {"S": "of-all-types"},
        "part": {"S": "é\0"},
        "text": {"S": ""},
        "number": {"N": "1.50"},
        "bytes": {"B": b"\x00\xff"},
        "none": {"NULL": True},
        "flag": {"BOOL": False},
        "sets": {"L": [{"SS": ["x"]}, {"NS": ["7"]}, {"BS": [b"\xff"]}]},
        "map": {"M": {"list": {"L": []}, "map": {"M": {"bytes": {"B": b"\x01"}}}}},
    }
    table = NAMES.batches_table
    dynamodb.put_item(TableName=table, Item=stored)
    key = {name: stored[name] for name in ("batch_id", "part")}
    assert dynamodb.get_item(TableName=table, Key=key)["Item"] == stored
    many = dynamodb.batch_get_item(RequestItems={table: {"Keys": [key]}})["Responses"]
    assert many[table] == [stored]
    found = dynamodb.query(
        TableName=table,
        KeyConditionExpression="batch_id = :id",
        ExpressionAttributeValues={":id": key["batch_id"]},
    )
    assert found["Items"] == [stored]
    dynamodb.delete_item(TableName=table, Key=key)


def test_an_index_has_the_items_of_its_own_partition(dynamodb: "DynamoDBClient") -> None:
    """They come in order, whatever else the table contains. Items without the index's keys are left
    out."""
    table = NAMES.batches_table
    keys = [
        {"batch_id": {"S": f"indexed-{number}"}, "part": {"S": "0#head"}} for number in range(4)
    ]
    others: list[dict[str, Any]] = [
        {"account": {"S": "an-index"}, "created_at": {"N": "9"}},
        {"account": {"S": "an-index"}, "created_at": {"N": "10"}},
        {"account": {"S": "another"}, "created_at": {"N": "11"}},
        {"account": {"S": "an-index"}},
    ]
    for key, other in zip(keys, others, strict=True):
        dynamodb.put_item(TableName=table, Item={**key, **other})
    found = dynamodb.query(
        TableName=table,
        IndexName="by_account",
        KeyConditionExpression="account = :account AND created_at > :since",
        ExpressionAttributeValues={":account": {"S": "an-index"}, ":since": {"N": "8"}},
    )
    assert [item["batch_id"]["S"] for item in found["Items"]] == ["indexed-0", "indexed-1"]
    for key in keys:
        dynamodb.delete_item(TableName=table, Key=key)


@pytest.mark.parametrize(
    ("index", "keys"),
    [("due", ["due_bucket", "due_at"]), ("by_account", ["account", "created_at"])],
)
def test_the_batches_table_has_its_indexes(
    dynamodb: "DynamoDBClient", index: str, keys: list[str]
) -> None:
    table = dynamodb.describe_table(TableName=NAMES.batches_table)["Table"]
    found = {each["IndexName"]: each for each in table["GlobalSecondaryIndexes"]}[index]
    assert [key["AttributeName"] for key in found["KeySchema"]] == keys
    assert found["Projection"]["ProjectionType"] == "KEYS_ONLY"


def test_additions_from_many_threads_all_count(dynamodb: "DynamoDBClient") -> None:
    """Without the patches, moto loses some of them."""

    def add(_: int) -> None:
        for _ in range(50):
            dynamodb.update_item(
                TableName=NAMES.keys_table,
                Key={"id": {"S": "counter"}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(16)))
    item = dynamodb.get_item(TableName=NAMES.keys_table, Key={"id": {"S": "counter"}})["Item"]
    assert item["n"] == {"N": "800"}


def test_each_message_is_received_by_one_of_many(sqs: "SQSClient") -> None:
    url = sqs.create_queue(QueueName="many-receivers")["QueueUrl"]
    for start in range(0, 100, 10):
        entries = [{"Id": str(n), "MessageBody": str(start + n)} for n in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)  # type: ignore[arg-type]

    def receive(_: int) -> list[str]:
        bodies: list[str] = []
        while messages := sqs.receive_message(QueueUrl=url).get("Messages"):
            bodies += [message["Body"] for message in messages]
        return bodies

    with ThreadPoolExecutor(8) as pool:
        received = Counter(body for bodies in pool.map(receive, range(8)) for body in bodies)
    assert received == Counter(map(str, range(100)))


def test_a_long_poll_holds_up_no_sender(sqs: "SQSClient") -> None:
    """A message sent while another thread waits for it arrives there."""
    url = sqs.create_queue(QueueName="long-poll")["QueueUrl"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=10)
        sqs.send_message(QueueUrl=url, MessageBody="at last")
        assert waiting.result(5)["Messages"][0]["Body"] == "at last"


def test_a_query_gives_its_own_partition_in_order(dynamodb: "DynamoDBClient") -> None:
    for batch in ("a", "b"):
        for part in ("2", "1", "3"):
            dynamodb.put_item(
                TableName=NAMES.batches_table,
                Item={"batch_id": {"S": batch}, "part": {"S": part}},
            )
    answer = dynamodb.query(
        TableName=NAMES.batches_table,
        KeyConditionExpression="batch_id = :batch",
        ExpressionAttributeValues={":batch": {"S": "a"}},
    )
    assert [(item["batch_id"]["S"], item["part"]["S"]) for item in answer["Items"]] == [
        ("a", "1"),
        ("a", "2"),
        ("a", "3"),
    ]


def test_a_stack_that_cannot_be_created_is_reported_in_one_sentence(
    embedded_aws: EmbeddedAws,
) -> None:
    with pytest.raises(CannotStart, match=f"^The stack batchback-{STAGE} cannot be created "):
        create_resources(STAGE, embedded_aws.address)


def test_a_port_in_use_is_reported_in_one_sentence(embedded_aws: EmbeddedAws) -> None:
    port = urlsplit(embedded_aws.address).port
    with pytest.raises(PortInUse, match=f"^Port {port} cannot be used"):
        EmbeddedAws(port or 0)
