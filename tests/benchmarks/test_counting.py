"""The counter on real clients: it counts what was sent, and what AWS would bill for it."""

from collections import Counter
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from benchmarks import in_process, payloads
from benchmarks.counting import NOBODY, RequestCounter, Tally
from benchmarks.functions import API, CALL_BACK, FUNCTIONS, RUN_JOBS
from chalicelib.settings import Names

TABLE = Names("local").batches_table


@pytest.fixture(scope="module")
def dynamodb(aws: None) -> Any:  # noqa: ARG001 - moto must be up
    return boto3.client("dynamodb")


@pytest.fixture
def tally(dynamodb: Any) -> Tally:
    counter = RequestCounter()
    counter.watch(dynamodb)
    return counter.tallies[NOBODY]


def item(part: str, **attributes: Any) -> dict[str, Any]:
    return {"batch_id": {"S": "counted"}, "part": {"S": part}, **attributes}


def key(part: str) -> dict[str, Any]:
    return item(part)


class TestDynamoDB:
    def test_a_put_is_billed_by_its_size(self, dynamodb: Any, tally: Tally) -> None:
        dynamodb.put_item(TableName=TABLE, Item=item("put", packed={"B": b"x" * 2000}))
        assert (tally.write_units, tally.index_write_units) == (2, 0)
        assert tally.stored_bytes == len("batch_idcountedpartputpacked") + 2000

    def test_a_failed_condition_is_billed_by_the_existing_item(
        self, dynamodb: Any, tally: Tally
    ) -> None:
        dynamodb.put_item(TableName=TABLE, Item=item("taken", packed={"B": b"x" * 2000}))
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            dynamodb.put_item(
                TableName=TABLE,
                Item=item("taken"),
                ConditionExpression="attribute_not_exists(part)",
            )
        assert (tally.write_units, tally.failed_conditions) == (2 + 2, 1)

    def test_an_item_in_both_indexes_is_billed_for_each_and_for_each_move(
        self, dynamodb: Any, tally: Tally
    ) -> None:
        due = {"due_bucket": {"S": "1"}, "due_at": {"N": "1"}}
        account = {"account": {"S": "acme"}, "created_at": {"N": "1"}}
        dynamodb.put_item(TableName=TABLE, Item=item("head", **due, **account))
        assert (tally.write_units, tally.index_write_units) == (1 + 2, 2)
        move = {
            "TableName": TABLE,
            "Key": key("head"),
            "ExpressionAttributeValues": {":at": {"N": "2"}},
            "ReturnValues": "ALL_NEW",
        }
        dynamodb.update_item(**move, UpdateExpression="SET due_at = :at")
        assert (tally.write_units, tally.index_write_units) == (3 + 1 + 2, 2 + 2)
        dynamodb.update_item(**move, UpdateExpression="SET looks = :at")
        assert (tally.write_units, tally.index_write_units) == (6 + 1, 4)
        dynamodb.delete_item(TableName=TABLE, Key=key("head"))
        assert (tally.write_units, tally.index_write_units) == (7 + 1 + 2, 4 + 2)
        assert tally.stored_bytes == 0

    def test_items_written_together_are_billed_one_by_one(
        self, dynamodb: Any, tally: Tally
    ) -> None:
        parts = [item(f"together-{size}", packed={"B": b"x" * size}) for size in (100, 1500)]
        requests = [{"PutRequest": {"Item": part}} for part in parts]
        dynamodb.batch_write_item(RequestItems={TABLE: requests})
        assert (tally.write_units, tally.total_requests) == (1 + 2, 1)

    def test_a_query_is_billed_by_the_total_that_it_reads(
        self, dynamodb: Any, tally: Tally
    ) -> None:
        for number in range(3):
            dynamodb.put_item(TableName=TABLE, Item=item(f"q{number}", packed={"B": b"x" * 3000}))
        dynamodb.query(
            TableName=TABLE,
            ConsistentRead=True,
            KeyConditionExpression="batch_id = :id AND begins_with(part, :part)",
            ExpressionAttributeValues={":id": {"S": "counted"}, ":part": {"S": "q"}},
        )
        assert tally.read_units == 3

    def test_reading_a_missing_item_is_billed(self, dynamodb: Any, tally: Tally) -> None:
        dynamodb.get_item(TableName=TABLE, Key=key("none"), ConsistentRead=True)
        dynamodb.get_item(TableName=TABLE, Key=key("none"))
        assert tally.read_units == 1.5

    def test_items_read_together_are_billed_one_by_one(self, dynamodb: Any, tally: Tally) -> None:
        """Missing items are billed too."""
        keys = [key("none"), key("neither")]
        for consistent in (True, False):
            wanted = {TABLE: {"Keys": keys, "ConsistentRead": consistent}}
            dynamodb.batch_get_item(RequestItems=wanted)
        assert (tally.read_units, tally.total_requests) == (3, 2)

    def test_a_request_without_a_rule_is_an_error(self, dynamodb: Any, tally: Tally) -> None:
        """A number that leaves something out is worse than none."""
        with pytest.raises(NotImplementedError, match="DescribeTable"):
            dynamodb.describe_table(TableName=TABLE)
        assert tally.write_units == 0


class TestRoundTrips:
    def test_requests_that_overlap_are_not_in_series(self) -> None:
        spans = [(0.0, 1.0), (0.1, 0.9), (1.0, 2.0), (1.5, 2.5), (2.0, 3.0)]
        assert Tally(spans=spans).in_series == 3
        assert Tally().in_series == 0

    def test_concurrent_requests_are_one_round_trip(self, dynamodb: Any) -> None:
        counter = RequestCounter()
        counter.watch(dynamodb)
        for _ in range(2):
            with counter.together():
                for _ in range(3):
                    dynamodb.get_item(TableName=TABLE, Key=key("none"))
        tally = counter.tallies[NOBODY]
        assert (tally.total_requests, tally.in_series) == (6, 2)


class TestABatch:
    """A whole batch on moto, counted twice: by the counter, and by a hook of its own."""

    def test_every_request_is_counted_and_belongs_to_a_function(self, aws: None) -> None:  # noqa: ARG002
        sent: Counter[str] = Counter()
        with in_process.service_on_moto(payloads.SMALL.answer, "counted") as service:
            for client in service.clients:
                client.meta.events.register(
                    "request-created", lambda operation_name, **_: sent.update([operation_name])
                )
            service.forget()
            assert service.submit(payloads.jobs(10, payloads.SMALL)) == 200
            assert service.work_off() == [10]
        tallies = service.counter.tallies
        assert sum((each.requests for each in tallies.values()), Counter()) == sent
        assert NOBODY not in tallies
        assert service.invocations == {API: 1, RUN_JOBS: 5, CALL_BACK: 1}
        assert tallies[RUN_JOBS].requests["PutItem"] == 5
        assert tallies[in_process.POLLERS].sqs_requests == 2 * 6
        assert sum(tallies[function].failed_conditions for function in FUNCTIONS) == 0

    def test_a_refused_batch_is_reported(self, aws: None) -> None:  # noqa: ARG002
        with in_process.service_on_moto(payloads.SMALL.answer, "refused") as service:
            assert service.submit([]) == 400
