"""The stub AWS returns what was written, and passes messages to functions."""

import json
from typing import Any

from benchmarks.stubs.aws import Aws, Database, updated
from benchmarks.stubs.server import Request
from chalicelib.settings import Names

TABLE = Names("bench").batches_table


def item(part: str, **attributes: Any) -> dict[str, Any]:
    return {"batch_id": {"S": "b"}, "part": {"S": part}, **attributes}


def query(database: Database, prefix: str, **more: Any) -> Any:
    values = {":batch_id": {"S": "b"}, ":prefix": {"S": prefix}}
    wanted = {"TableName": TABLE, "ExpressionAttributeValues": values, **more}
    return json.loads(database.answer("Query", wanted))


class TestDatabase:
    def test_an_update_sets_removes_adds_and_deletes(self) -> None:
        before = {"state": {"S": "running"}, "due_at": {"N": "1"}, "done": {"NS": ["1", "2"]}}
        after = updated(
            before,
            {
                "UpdateExpression": "SET #state = :put_state REMOVE #due_at "
                "ADD #counted :one DELETE #done :two",
                "ExpressionAttributeNames": {
                    "#state": "state",
                    "#due_at": "due_at",
                    "#counted": "counted",
                    "#done": "done",
                },
                "ExpressionAttributeValues": {
                    ":put_state": {"S": "completed"},
                    ":one": {"N": "1"},
                    ":two": {"NS": ["2"]},
                },
            },
        )
        assert after == {
            "state": {"S": "completed"},
            "counted": {"N": "1"},
            "done": {"NS": ["1"]},
        }
        assert before["state"] == {"S": "running"}

    def test_add_extends_a_set_and_increases_a_number(self) -> None:
        wanted = {
            "UpdateExpression": "ADD done :chunk, succeeded :jobs",
            "ExpressionAttributeValues": {":chunk": {"NS": ["7"]}, ":jobs": {"N": "25"}},
        }
        after = updated({"done": {"NS": ["3"]}, "succeeded": {"N": "50"}}, wanted)
        assert after == {"done": {"NS": ["3", "7"]}, "succeeded": {"N": "75"}}

    def test_a_query_returns_the_parts_of_a_prefix_in_order_page_by_page(self) -> None:
        database = Database()
        for number in (2, 0, 3, 1):
            large = item(f"1#{number}", packed={"B": "x" * 900_000})
            database.answer("PutItem", {"TableName": TABLE, "Item": large})
        database.answer("PutItem", {"TableName": TABLE, "Item": item("0#head")})
        page = query(database, "1#")
        assert [each["part"]["S"] for each in page["Items"]] == ["1#0", "1#1"]
        rest = query(database, "1#", ExclusiveStartKey=page["LastEvaluatedKey"])
        assert [each["part"]["S"] for each in rest["Items"]] == ["1#2", "1#3"]
        assert "LastEvaluatedKey" not in rest

    def test_items_are_read_together_and_missing_ones_are_left_out(self) -> None:
        database = Database()
        there = item("0#head")
        database.answer("PutItem", {"TableName": TABLE, "Item": there})
        keys = [{name: each[name] for name in ("batch_id", "part")} for each in (there, item("x"))]
        answer = database.answer("BatchGetItem", {"RequestItems": {TABLE: {"Keys": keys}}})
        assert json.loads(answer) == {"Responses": {TABLE: [there]}, "UnprocessedKeys": {}}


class TestFunctions:
    def test_a_message_waits_for_the_function_of_its_queue(self) -> None:
        aws = Aws()
        answers: list[bytes] = []
        url = f"http://127.0.0.1/{Names('bench').jobs_queue}"
        sent = json.dumps({"QueueUrl": url, "MessageBody": '{"n":1}'}).encode()
        aws.answer(Request("/", "AmazonSQS.SendMessage", sent), answers.append)
        aws.answer(Request("/next/call_back", "", b""), answers.append)
        assert len(answers) == 1
        aws.answer(Request("/next/run_jobs", "", b""), answers.append)
        event = json.loads(answers[1])
        assert event["function"] == "run_jobs"
        assert event["event"]["Records"][0]["body"] == '{"n":1}'

    def test_invoking_a_function_returns_its_result(self) -> None:
        aws = Aws()
        answers: list[bytes] = []
        aws.answer(Request("/invoke/api", "", b'{"a":1}'), answers.append)
        aws.answer(Request("/next/api", "", b""), answers.append)
        wanted = json.loads(answers[0])
        assert wanted["event"] == {"a": 1}
        idle: list[bytes] = []
        aws.answer(Request("/idle/", "", b""), idle.append)
        assert not idle
        aws.answer(Request(f"/done/{wanted['id']}", "", b'"done"'), answers.append)
        assert b'"done"' in answers
        assert idle
