"""The parts of DynamoDB, SQS and Lambda that a batch without failures needs.

Items are kept and returned as they were written; every condition counts as true. Messages are
events for the functions that the queues belong to, and functions poll for them, as Lambda's
runtimes do:

GET  /next/run_jobs,call_back   wait for an event: {"id", "function", "event"}
POST /done/<id>                 return what the function returned
POST /invoke/api                send an event to a function and get what it returns
GET  /idle/                     wait until no event waits and no function runs
"""

import bisect
import json
import uuid
from collections import defaultdict, deque
from decimal import Decimal
from hashlib import md5
from typing import Any

from batchback_local.runtime.invocation import sqs_event
from benchmarks.counting import key_names
from benchmarks.stubs.server import Reply, Request, serve

_PAGE_BYTES = 1024 * 1024
#: Functions by the last part of the queue's name. Without failures nothing is sent to `batches`.
_FUNCTIONS = {"jobs": "run_jobs", "callbacks": "call_back"}

Item = dict[str, Any]
Parameters = dict[str, Any]


class Table:
    """Items by partition and sort key, each with its JSON text, so that reads need no encoding."""

    def __init__(self, name: str) -> None:
        self._keys = key_names(name)
        self._items: defaultdict[str, dict[str, Item]] = defaultdict(dict)
        self._texts: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._sorted: defaultdict[str, list[str]] = defaultdict(list)

    def put(self, item: Item) -> None:
        partition, part = self._place(item)
        if part not in self._items[partition]:
            bisect.insort(self._sorted[partition], part)
        self._items[partition][part] = item
        self._texts[partition][part] = json.dumps(item)

    def delete(self, key: Item) -> None:
        partition, part = self._place(key)
        if self._items[partition].pop(part, None) is not None:
            self._sorted[partition].remove(part)
            del self._texts[partition][part]

    def get(self, key: Item) -> Item | None:
        partition, part = self._place(key)
        return self._items[partition].get(part)

    def text(self, key: Item) -> str | None:
        partition, part = self._place(key)
        return self._texts[partition].get(part)

    def page(self, partition: str, first: str, last: str) -> tuple[str, str | None]:
        """Return the items of a range as JSON text, and the last sort key if there are more."""
        parts = self._sorted[partition]
        found: list[str] = []
        size = 0
        for part in parts[bisect.bisect_left(parts, first) :]:
            if part > last:
                break
            if size > _PAGE_BYTES:
                return ",".join(found), part
            found.append(self._texts[partition][part])
            size += len(found[-1]) * 3 // 4  # base64 values weigh the most
        return ",".join(found), None

    def _place(self, item: Item) -> tuple[str, str]:
        texts = [text for name in self._keys for text in item[name].values()]
        return texts[0], texts[-1]


class Database:
    """The DynamoDB operations that the adapters use, in DynamoDB's JSON."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}

    def answer(self, operation: str, wanted: Parameters) -> str:
        if operation == "BatchWriteItem":
            for name, requests in wanted["RequestItems"].items():
                for request in requests:
                    self._table(name).put(request["PutRequest"]["Item"])
            return '{"UnprocessedItems":{}}'
        if operation == "BatchGetItem":
            return self._batch_get(wanted["RequestItems"])
        table = self._table(wanted["TableName"])
        return {
            "GetItem": self._get,
            "PutItem": self._put,
            "UpdateItem": self._update,
            "DeleteItem": self._delete,
            "Query": self._query,
        }[operation](table, wanted)

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            self._tables[name] = Table(name)
        return self._tables[name]

    def _get(self, table: Table, wanted: Parameters) -> str:
        text = table.text(wanted["Key"])
        return f'{{"Item":{text}}}' if text else "{}"

    def _batch_get(self, wanted: Parameters) -> str:
        found = {
            name: [text for key in of_table["Keys"] if (text := self._table(name).text(key))]
            for name, of_table in wanted.items()
        }
        told = ",".join(f'"{name}":[{",".join(texts)}]' for name, texts in found.items())
        return f'{{"Responses":{{{told}}},"UnprocessedKeys":{{}}}}'

    def _put(self, table: Table, wanted: Parameters) -> str:
        table.put(wanted["Item"])
        return "{}"

    def _delete(self, table: Table, wanted: Parameters) -> str:
        table.delete(wanted["Key"])
        return "{}"

    def _update(self, table: Table, wanted: Parameters) -> str:
        item = updated(table.get(wanted["Key"]) or wanted["Key"], wanted)
        table.put(item)
        return f'{{"Attributes":{table.text(wanted["Key"])}}}'

    def _query(self, table: Table, wanted: Parameters) -> str:
        values = {name: value["S"] for name, value in wanted["ExpressionAttributeValues"].items()}
        first = values[":prefix"] if ":prefix" in values else values[":first"]
        last = values.get(":last", first + "~")
        start = wanted.get("ExclusiveStartKey")
        partition = values[":batch_id"]
        items, more = table.page(partition, start["part"]["S"] if start else first, last)
        key = {"batch_id": {"S": partition}, "part": {"S": more}}
        following = f',"LastEvaluatedKey":{json.dumps(key)}' if more else ""
        return f'{{"Items":[{items}]{following}}}'


def updated(item: Item, wanted: Parameters) -> Item:
    """Return an item after an update expression of SET, REMOVE, ADD and DELETE."""
    names = wanted.get("ExpressionAttributeNames", {})
    values = wanted.get("ExpressionAttributeValues", {})
    after = dict(item)
    action = ""
    for clause in _clauses(wanted["UpdateExpression"]):
        words = clause.replace("=", " ").split()
        if words[0] in {"SET", "REMOVE", "ADD", "DELETE"}:
            action = words.pop(0)
        name = names.get(words[0], words[0])
        if action == "REMOVE":
            after.pop(name, None)
        else:
            _apply(after, action, name, values[words[1]])
    return after


def _clauses(expression: str) -> list[str]:
    for action in ("SET", "REMOVE", "ADD", "DELETE"):
        expression = expression.replace(f" {action} ", f", {action} ")
    return expression.split(",")


def _apply(item: Item, action: str, name: str, value: Any) -> None:
    if action == "SET":
        item[name] = value
        return
    [(kind, operand)] = value.items()
    if kind == "N":
        before = Decimal(item.get(name, {"N": "0"})["N"])
        item[name] = {"N": str(before + Decimal(operand))}
        return
    elements = set(item.get(name, {kind: []})[kind])
    elements = elements | set(operand) if action == "ADD" else elements - set(operand)
    item[name] = {kind: sorted(elements)}
    if not elements:
        del item[name]


class Functions:
    """Events that wait for functions, and functions that wait for events."""

    def __init__(self) -> None:
        self._events: deque[tuple[str, str, Any]] = deque()
        self._waiting: deque[tuple[set[str], Reply]] = deque()
        self._callers: dict[str, Reply] = {}
        self._running = 0
        self._until_idle: list[Reply] = []

    def invoke(self, function: str, event: Any, reply: Reply | None = None) -> None:
        id = uuid.uuid4().hex
        if reply:
            self._callers[id] = reply
        self._events.append((id, function, event))
        self._match()

    def wait(self, functions: set[str], reply: Reply) -> None:
        self._waiting.append((functions, reply))
        self._match()

    def finish(self, id: str, result: bytes) -> None:
        self._running -= 1
        caller = self._callers.pop(id, None)
        if caller:
            caller(result)
        self._tell_if_idle()

    def wait_until_idle(self, reply: Reply) -> None:
        self._until_idle.append(reply)
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        while self._until_idle and not self._events and not self._running:
            self._until_idle.pop()(b"{}")

    def _match(self) -> None:
        for id, function, event in [*self._events]:
            for waiting in self._waiting:
                functions, reply = waiting
                if function in functions:
                    self._events.remove((id, function, event))
                    self._waiting.remove(waiting)
                    self._running += 1
                    found = {"id": id, "function": function, "event": event}
                    reply(json.dumps(found).encode())
                    break


class Aws:
    """All stubs, behind one address."""

    def __init__(self) -> None:
        self._database = Database()
        self._functions = Functions()

    def answer(self, request: Request, reply: Reply) -> None:
        service, _, operation = request.operation.partition(".")
        if service.startswith("DynamoDB"):
            reply(self._database.answer(operation, json.loads(request.body)).encode())
        elif service == "AmazonSQS":
            reply(json.dumps(self._queue(operation, json.loads(request.body))).encode())
        else:
            self._run(request, reply)

    def _run(self, request: Request, reply: Reply) -> None:
        _, verb, what = request.target.split("/")
        if verb == "next":
            self._functions.wait(set(what.split(",")), reply)
        elif verb == "invoke":
            self._functions.invoke(what, json.loads(request.body), reply)
        elif verb == "idle":
            self._functions.wait_until_idle(reply)
        else:
            reply(b"{}")
            self._functions.finish(what, request.body)

    def _queue(self, operation: str, wanted: Parameters) -> Parameters:
        if operation == "GetQueueUrl":
            return {"QueueUrl": f"http://127.0.0.1/{wanted['QueueName']}"}
        if operation == "SendMessage":
            return self._send(wanted["QueueUrl"], wanted)
        if operation == "SendMessageBatch":
            sent = [self._send(wanted["QueueUrl"], entry) for entry in wanted["Entries"]]
            return {"Successful": sent, "Failed": []}
        raise NotImplementedError(operation)

    def _send(self, url: str, entry: Parameters) -> Parameters:
        queue = url.rpartition("/")[2]
        digest = md5(entry["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        message = {
            "MessageId": str(uuid.uuid4()),
            "ReceiptHandle": uuid.uuid4().hex,
            "Body": entry["MessageBody"],
            "MD5OfBody": digest,
            "Attributes": {"ApproximateReceiveCount": "1"},
        }
        arn = f"arn:aws:sqs:us-east-1:123456789012:{queue}"
        event = sqs_event([message], queue_arn=arn, region="us-east-1")
        function = _FUNCTIONS[queue.rpartition("-")[2]]
        self._functions.invoke(function, event)
        return {
            "Id": entry.get("Id"),
            "MessageId": message["MessageId"],
            "MD5OfMessageBody": digest,
        }


if __name__ == "__main__":
    serve(Aws().answer)
