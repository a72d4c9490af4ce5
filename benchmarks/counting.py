"""Count the requests that leave botocore, by kind, and what they are billed, from real sizes.

The counter keeps a copy of every item it saw written, so that it knows what an update replaced:
AWS does not return that, and an emulator returns constants. It must see all writes from the moment
the tables are empty. Use it from one thread at a time.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from batchback_ops import project
from benchmarks import units
from benchmarks.units import Item

#: The name for requests that were made outside of `by`.
NOBODY = "nobody"


@dataclass(slots=True)
class Tally:
    """What was counted for one function."""

    requests: Counter[str] = field(default_factory=Counter)
    #: Tables and indexes together.
    write_units: float = 0
    index_write_units: float = 0
    read_units: float = 0
    #: As SQS bills them: 64 KB each.
    sqs_requests: int = 0
    stored_bytes: int = 0
    failed_conditions: int = 0
    #: The start and end of each request.
    spans: list[tuple[float, float]] = field(default_factory=list)

    @property
    def total_requests(self) -> int:
        return self.requests.total()

    @property
    def in_series(self) -> int:
        """The number of requests that had to wait for one another: the longest chain in which each
        began after the one before had ended."""
        chain, ended_at = 0, 0.0
        for began, ended in sorted(self.spans, key=lambda span: span[1]):
            if began >= ended_at:
                chain, ended_at = chain + 1, ended
        return chain


class RequestCounter:
    """Watch clients and count their requests; `by` says who makes them."""

    def __init__(self) -> None:
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._items: dict[tuple[str, ...], Item] = {}
        self._who = NOBODY

    def watch(self, client: Any) -> None:
        """Count everything that this client sends from now on."""
        service = client.meta.service_model.service_name
        events = client.meta.events
        events.register_last(f"provide-client-params.{service}.*", self._remember_params)
        events.register_first(f"request-created.{service}.*", self._count_request)
        events.register_last(f"after-call.{service}.*", self._count_units)

    @contextmanager
    def by(self, who: str) -> Iterator[Tally]:
        """Count the requests inside for a function."""
        before, self._who = self._who, who
        try:
            yield self.tallies[who]
        finally:
            self._who = before

    @contextmanager
    def together(self) -> Iterator[None]:
        """Count the requests inside as concurrent, although they are sent one after another."""
        spans = self._tally.spans
        before, began_at = len(spans), time.monotonic()
        yield
        spans[before:] = [(began_at, time.monotonic())] * (len(spans) - before)

    def forget(self) -> None:
        """Start counting again; the stored items stay known."""
        self.tallies.clear()

    def sizes_of(self, table: str, sort_key: str) -> list[int]:
        """Return the size of each stored item that has this sort key."""
        return [
            units.item_bytes(item)
            for key, item in self._items.items()
            if key[0] == table and key[-1] == sort_key
        ]

    def _remember_params(
        self, params: Mapping[str, Any], context: dict[str, Any], **_: Any
    ) -> None:
        context["benchmark"] = (params, time.monotonic())

    def _count_request(self, operation_name: str, **_: Any) -> None:
        """Called for every attempt, so that the SDK's retries count too."""
        self._tally.requests[operation_name] += 1

    def _count_units(
        self, parsed: Mapping[str, Any], model: Any, context: Mapping[str, Any], **_: Any
    ) -> None:
        params, began_at = context["benchmark"]
        self._tally.spans.append((began_at, time.monotonic()))
        if model.name not in _METERS:
            raise NotImplementedError(f"The benchmark has no price rule for {model.name}: add one")
        _METERS[model.name](self, params, parsed)

    @property
    def _tally(self) -> Tally:
        return self.tallies[self._who]

    # What each kind of request costs.

    def _get(self, params: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        self._read(params, [parsed.get("Item") or {}])

    def _batch_get(self, params: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        """Count each item separately, missing items too. None may be left unprocessed."""
        assert not parsed.get("UnprocessedKeys")  # noqa: S101
        for table, wanted in params["RequestItems"].items():
            found = parsed["Responses"].get(table, [])
            missing: list[Item] = [{}] * (len(wanted["Keys"]) - len(found))
            for item in [*found, *missing]:
                self._read(wanted, [item])

    def _query(self, params: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        self._read(params, parsed["Items"])

    def _read(self, params: Mapping[str, Any], items: Sequence[Item]) -> None:
        self._tally.read_units += units.read_units(
            sum(units.item_bytes(item) for item in items),
            consistent=params.get("ConsistentRead", False),
        )

    def _put(self, params: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        self._write(params["TableName"], params["Item"], params["Item"], parsed)

    def _update(self, params: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        if params.get("ReturnValues") != "ALL_NEW" and not _has_failed(parsed):
            raise NotImplementedError("Cannot count an update that does not return ALL_NEW")
        self._write(params["TableName"], params["Key"], parsed.get("Attributes"), parsed)

    def _delete(self, params: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        self._write(params["TableName"], params["Key"], None, parsed)

    def _batch_write(self, params: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        """Count each item separately. None may be left unprocessed: that does not happen here."""
        assert not parsed.get("UnprocessedItems")  # noqa: S101
        for table, requests in params["RequestItems"].items():
            for request in requests:
                item = request["PutRequest"]["Item"]
                self._write(table, item, item, parsed)

    def _write(self, table: str, key: Item, after: Item | None, parsed: Mapping[str, Any]) -> None:
        place = (table, *(text for name in key_names(table) for text in key[name].values()))
        before = self._items.get(place)
        if _has_failed(parsed):
            self._tally.failed_conditions += 1
            self._tally.write_units += units.put_units(before, None)
            return
        of_indexes = sum(
            units.index_units(_entry(before, names), _entry(after, names))
            for names in index_keys(table)
        )
        self._tally.write_units += units.put_units(before, after) + of_indexes
        self._tally.index_write_units += of_indexes
        self._store(place, before, after)

    def _store(self, place: tuple[str, ...], before: Item | None, after: Item | None) -> None:
        self._tally.stored_bytes += sum(
            sign * units.item_bytes(item) for sign, item in ((-1, before), (1, after)) if item
        )
        if after is None:
            self._items.pop(place, None)
        else:
            self._items[place] = after

    def _message(self, params: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        self._tally.sqs_requests += units.sqs_requests(len(params["MessageBody"].encode()))

    def _messages(self, params: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        sizes = [len(entry["MessageBody"].encode()) for entry in params["Entries"]]
        self._tally.sqs_requests += units.sqs_requests(sum(sizes))

    def _received(self, _: Mapping[str, Any], parsed: Mapping[str, Any]) -> None:
        """A receive that finds nothing is billed too, but per hour and not per job."""
        sizes = [len(message["Body"].encode()) for message in parsed.get("Messages", [])]
        self._tally.sqs_requests += units.sqs_requests(sum(sizes)) if sizes else 0

    def _small(self, _: Mapping[str, Any], __: Mapping[str, Any]) -> None:
        self._tally.sqs_requests += 1


_METERS = {
    "GetItem": RequestCounter._get,
    "BatchGetItem": RequestCounter._batch_get,
    "Query": RequestCounter._query,
    "PutItem": RequestCounter._put,
    "UpdateItem": RequestCounter._update,
    "DeleteItem": RequestCounter._delete,
    "BatchWriteItem": RequestCounter._batch_write,
    "SendMessage": RequestCounter._message,
    "SendMessageBatch": RequestCounter._messages,
    "ReceiveMessage": RequestCounter._received,
    "DeleteMessage": RequestCounter._small,
    "GetQueueUrl": RequestCounter._small,
}


def _has_failed(parsed: Mapping[str, Any]) -> bool:
    """Return whether a condition was false; raise RuntimeError for any other error."""
    if "Error" not in parsed:
        return False
    if parsed["Error"]["Code"] == "ConditionalCheckFailedException":
        return True
    raise RuntimeError(f"AWS returned an error: {parsed['Error']}")


def _entry(item: Item | None, names: Sequence[str]) -> Item | None:
    """Return an item as an index of keys holds it; None if the index does not contain it."""
    if item is None or not all(name in item for name in names):
        return None
    return {name: item[name] for name in names}


def key_names(table: str) -> list[str]:
    """Return the name of the partition key, and of the sort key if there is one."""
    return _names(_tables()[table.rpartition("-")[2]]["KeySchema"])


def index_keys(table: str) -> list[list[str]]:
    """Return the attributes that each index of a table projects."""
    properties = _tables()[table.rpartition("-")[2]]
    indexes = properties.get("GlobalSecondaryIndexes", [])
    for index in indexes:
        if index["Projection"] != {"ProjectionType": "KEYS_ONLY"}:
            raise NotImplementedError(
                f"Cannot count {index['IndexName']}: it projects more than keys"
            )
    return [_names(index["KeySchema"]) + _names(properties["KeySchema"]) for index in indexes]


@cache
def _tables() -> dict[str, Any]:
    """Return the tables of the deployment's template, by the last part of their names."""
    resources = json.loads(project.template())["Resources"].values()
    tables = [each["Properties"] for each in resources if each["Type"] == "AWS::DynamoDB::Table"]
    return {table["TableName"]["Fn::Sub"].rpartition("-")[2]: table for table in tables}


def _names(schema: Sequence[Mapping[str, str]]) -> list[str]:
    return [key["AttributeName"] for key in schema]
