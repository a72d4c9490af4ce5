"""Batches and keys, in DynamoDB: how they are read and written. What the items look like is in
`items` and `key_items`. Every read is strongly consistent. Every commit is one conditional write.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, groupby, zip_longest
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.adapters import aws, expressions, items, key_items, usage
from chalicelib.adapters.items import Item
from chalicelib.adapters.sequential import Sequential
from chalicelib.domain.account import Account, Key
from chalicelib.domain.batch import (
    AnswersPart,
    Batch,
    Chunk,
    Due,
    Job,
    Marker,
    SubmissionTerms,
)
from chalicelib.domain.limits import AccountUsage, Admission, Slot
from chalicelib.domain.transitions import Change
from chalicelib.errors import Unavailable
from chalicelib.operations.ports import Clock, Concurrent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_ITEMS_PER_REQUEST = 25
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_KEYS_PER_REQUEST = 100
_PAUSES = (0.05, 0.2, 0.8, 1.6)
#: Nine seconds in all: 10 MB of jobs that do not compress are as many thousand write units, and a
#: partition takes 1,000 a second.
_PAUSES_OF_JOBS = (*_PAUSES, 3.2, 3.2)
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_THROTTLES = frozenset(
    {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
)
#: What a process remembers of keys and accounts at most, so that its memory stays bounded.
_MOST_REMEMBERED = 1_000
#: The conditions, in words. A name in brackets is an attribute.
_NO_LIVE_HEAD = "attribute_not_exists(batch_id) OR expires_at <= :now OR attribute_exists(voided)"
_NOT_VOID_FOR_US = "NOT contains(voided, :submission)"
_NUMBER_IS_FREE = "attribute_not_exists(part)"
_STILL_DUE = "due_at = :seen"


class DynamoBatchStore:
    """Keeps the port's promises; see `operations.ports.BatchStore`. The parts of a large batch are
    stored side by side."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        sleep: Callable[[float], None] = time.sleep,
        concurrent: Concurrent = Sequential(),  # noqa: B008 - it holds nothing
    ) -> None:
        self._client = client
        self._table = table
        self._sleep = sleep
        self._concurrent = concurrent

    def find(self, batch_id: str) -> Batch | None:
        return items.read_head(self._get(batch_id, items.HEAD))

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        keys = [items.key(batch_id, items.HEAD) for batch_id in sorted(set(batch_ids))]
        groups = range(0, len(keys), _KEYS_PER_REQUEST)
        found = [self._read_together(keys[start : start + _KEYS_PER_REQUEST]) for start in groups]
        heads = map(items.read_head, chain.from_iterable(found))
        return {head.batch_id: head for head in heads if head}

    def find_terms(self, batch: Batch) -> SubmissionTerms | None:
        item = self._get(batch.batch_id, items.terms_part(batch.submission))
        return items.read_terms(item) if item else None

    def save_jobs(self, batch: Batch, terms: SubmissionTerms, jobs: Sequence[Job]) -> None:
        parts = [items.terms_item(batch, terms), *items.jobs_items(batch, jobs)]
        groups = range(0, len(parts), _ITEMS_PER_REQUEST)
        writes = [
            partial(self._write_together, parts[start : start + _ITEMS_PER_REQUEST])
            for start in groups
        ]
        for _ in self._concurrent.run(writes):
            pass

    def commit(self, batch: Batch, now: datetime) -> Batch | None:
        try:
            self._put(
                items.head_item(batch),
                condition=f"({_NO_LIVE_HEAD}) AND {_NOT_VOID_FOR_US}",
                values={":now": items.number(now), ":submission": {"S": batch.submission}},
            )
        except _ConditionFailed:
            return self.find(batch.batch_id)
        return batch

    def void(self, batch: Batch, now: datetime) -> Batch | None:
        forgotten = ", ".join(["submission", "account", "due_bucket", "due_at"])
        try:
            self._call(
                self._client.update_item,
                Key=items.key(batch.batch_id, items.HEAD),
                UpdateExpression="ADD voided :ours "
                f"SET expires_at = :expires, #format = :format REMOVE {forgotten}",
                ConditionExpression=_NO_LIVE_HEAD,
                ExpressionAttributeNames={"#format": "format"},
                ExpressionAttributeValues={
                    ":format": {"N": str(items.FORMAT)},
                    ":ours": {"SS": [batch.submission]},
                    ":expires": items.number(batch.expires_at),
                    ":now": items.number(now),
                },
            )
        except _ConditionFailed:
            return self.find(batch.batch_id)
        return None

    def change(self, batch: Batch, change: Change) -> Batch | None:
        try:
            answer = self._call(
                self._client.update_item,
                Key=items.key(batch.batch_id, items.HEAD),
                ReturnValues="ALL_NEW",
                **expressions.update_of(change, batch.batch_id),
            )
        except _ConditionFailed:
            return None
        return items.read_head(answer["Attributes"])

    def load_chunk(self, batch: Batch, chunk: int) -> Chunk:
        prefix = items.chunk_prefix(batch.submission, chunk)
        found = self._query("begins_with(part, :prefix)", batch, {":prefix": {"S": prefix}})
        return items.read_chunk(batch, chunk, found)

    def record(self, batch: Batch, chunk: int, part: AnswersPart) -> bool:
        """Where answers are large, workers write more than the batch's partition takes. Who waits
        for it makes no call twice, as whoever gives the message back does."""
        item = items.answers_item(batch, chunk, part)
        for pause in _PAUSES:
            try:
                return self._put_if_free(item)
            except Unavailable as error:
                if not _is_a_throttle(error.__cause__):
                    raise
            self._sleep(pause)
        return self._put_if_free(item)

    def _put_if_free(self, item: Item) -> bool:
        try:
            self._put(item, condition=_NUMBER_IS_FREE)
        except _ConditionFailed:
            return False
        return True

    def mark(self, batch: Batch, chunk: int, index: int, marker: Marker) -> None:
        self._call(self._client.put_item, Item=items.marker_item(batch, chunk, index, marker))

    def unmark(self, batch: Batch, chunk: int, index: int) -> None:
        part = items.marker_part(batch, chunk, index)
        self._call(self._client.delete_item, Key=items.key(batch.batch_id, part))

    def find_due(self, now: datetime) -> Iterator[Due]:
        """From each bucket in turn, so that a full one holds up none of the others."""
        buckets = [self._due_in(str(bucket), now) for bucket in range(items.DUE_BUCKETS)]
        for due in chain.from_iterable(zip_longest(*buckets)):
            if due is not None:
                yield due

    def reserve(self, due: Due, until: datetime) -> Batch | None:
        try:
            answer = self._call(
                self._client.update_item,
                Key=items.key(due.batch_id, items.HEAD),
                ReturnValues="ALL_NEW",
                UpdateExpression="SET due_at = :until",
                ConditionExpression=_STILL_DUE,
                ExpressionAttributeValues={
                    ":until": items.number(until),
                    ":seen": items.number(due.due_at),
                },
            )
        except _ConditionFailed:
            return None
        return items.read_head(answer["Attributes"])

    def find_of_account(self, account: str, since: datetime) -> Iterator[str]:
        query = {
            "IndexName": "by_account",
            "KeyConditionExpression": "account = :account AND created_at > :since",
            "ExpressionAttributeValues": {
                ":account": {"S": account},
                ":since": items.number(since),
            },
            "ScanIndexForward": False,
        }
        return (item["batch_id"]["S"] for item in self._pages(query))

    def _due_in(self, bucket: str, now: datetime) -> Iterator[Due]:
        query = {
            "IndexName": "due",
            "KeyConditionExpression": "due_bucket = :bucket AND due_at <= :now",
            "ExpressionAttributeValues": {":bucket": {"S": bucket}, ":now": items.number(now)},
        }
        return map(items.read_due, self._pages(query))

    def read_chunks(self, batch: Batch, chunks: range) -> Iterator[Chunk]:
        if not chunks:
            return
        found = self._query(
            "part BETWEEN :first AND :last",
            batch,
            {
                ":first": {"S": items.chunk_prefix(batch.submission, chunks[0])},
                ":last": {"S": items.after_chunk(batch.submission, chunks[-1])},
            },
        )
        expected = iter(chunks)
        for number, of_chunk in groupby(found, key=items.chunk_of):
            for missing in iter(lambda: next(expected), number):
                yield items.read_chunk(batch, missing, [])
            yield items.read_chunk(batch, number, of_chunk)
        for missing in expected:
            yield items.read_chunk(batch, missing, [])

    def admit(self, account: str, admission: Admission) -> AccountUsage:
        try:
            answer = self._change_usage(
                account,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **usage.admission_of(admission),
            )
        except _ConditionFailed as failed:
            return usage.read(failed.item)
        return usage.read(answer["Attributes"])

    def undo_admission(self, account: str, admission: Admission) -> None:
        with suppress(_ConditionFailed):
            self._change_usage(account, **usage.undoing_of(admission))

    def vacate(self, account: str, slots: Collection[Slot]) -> None:
        self._change_usage(account, **usage.vacating_of(slots))

    def reserve_pruning(self, account: str, seen: datetime | None, now: datetime) -> bool:
        try:
            self._change_usage(account, **usage.pruning_of(seen, now))
        except _ConditionFailed:
            return False
        return True

    def _change_usage(self, account: str, **update: Any) -> Any:
        return self._call(self._client.update_item, Key=usage.key(account), **update)

    def _get(self, batch_id: str, part: str) -> Item | None:
        answer = self._call(
            self._client.get_item, Key=items.key(batch_id, part), ConsistentRead=True
        )
        item: Item | None = answer.get("Item")
        return item

    def _put(self, item: Item, *, condition: str, values: Item | None = None) -> None:
        more = {"ExpressionAttributeValues": values} if values else {}
        self._call(self._client.put_item, Item=item, ConditionExpression=condition, **more)

    def _query(self, parts: str, batch: Batch, values: Item) -> Iterator[Item]:
        return self._pages(
            {
                "ConsistentRead": True,
                "KeyConditionExpression": f"batch_id = :batch_id AND {parts}",
                "ExpressionAttributeValues": {":batch_id": {"S": batch.batch_id}, **values},
            }
        )

    def _pages(self, request: dict[str, Any]) -> Iterator[Item]:
        while True:
            page = self._call(self._client.query, **request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _write_together(self, parts: list[Item]) -> None:
        requests: Any = {self._table: [{"PutRequest": {"Item": part}} for part in parts]}
        for pause in (*_PAUSES_OF_JOBS, None):
            requests = self._left_of(requests)
            if not requests:
                return
            if pause is None:
                raise Unavailable(f"DynamoDB left {len(requests[self._table])} items unwritten")
            self._sleep(pause)

    def _left_of(self, requests: Any) -> Any:
        """What of it DynamoDB did not write. Where that is all of it, it may be said by an error.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
        try:
            with _translated():
                answer = self._client.batch_write_item(RequestItems=requests)
        except Unavailable as error:
            if _is_a_throttle(error.__cause__):
                return requests
            raise
        return answer.get("UnprocessedItems")

    def _read_together(self, keys: list[Item]) -> list[Item]:
        requests: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
        found: list[Item] = []
        for pause in (*_PAUSES, None):
            with _translated():
                answer: Any = self._client.batch_get_item(RequestItems=requests)
            found += answer["Responses"].get(self._table, [])
            requests = answer.get("UnprocessedKeys")
            if not requests:
                return found
            if pause is not None:
                self._sleep(pause)
        raise Unavailable(f"DynamoDB left {len(requests[self._table]['Keys'])} items unread")

    def _call(self, method: Callable[..., Any], **request: Any) -> Any:
        with _translated():
            return method(TableName=self._table, **request)


class DynamoKeyStore:
    """Reads keys and accounts. What is read may be up to `cache_seconds` old; 0 asks each time.
    What is not there is asked for each time: it may be there the next moment."""

    def __init__(
        self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 0
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._cache_for = timedelta(seconds=cache_seconds)
        self._cache: dict[str, tuple[datetime, Item]] = {}

    def find_key(self, key: str) -> Key | None:
        item = self._find(key_items.key_id(key))
        return key_items.read_key(item) if item else None

    def find_account(self, account: str) -> Account | None:
        item = self._find(key_items.account_id(account))
        return key_items.read_account(item) if item else None

    def _find(self, id: str) -> Item | None:
        now = self._clock.now()
        known = self._cache.get(id)
        if known and now - known[0] < self._cache_for:
            return known[1]
        item = self._read(id)
        if item and self._cache_for:
            self._remember(id, now, item)
        return item

    def _remember(self, id: str, now: datetime, item: Item) -> None:
        if len(self._cache) >= _MOST_REMEMBERED:
            self._cache.clear()
        self._cache[id] = (now, item)

    def _read(self, id: str) -> Item | None:
        with _translated():
            answer = self._client.get_item(
                TableName=self._table, Key={"id": {"S": id}}, ConsistentRead=True
            )
        return answer.get("Item")


class _ConditionFailed(Exception):
    """A conditional write found its condition false. `item`: what it found, where asked for."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


class _translated:  # noqa: N801 - reads as a word where it is used
    """A block in which botocore's exceptions become ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError) and _is_of_a_condition(error):
            found: Any = error.response.get("Item")
            raise _ConditionFailed(found) from error
        if isinstance(error, ClientError | BotoCoreError):
            raise aws.unavailable("DynamoDB", error) from error


def _is_of_a_condition(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _is_a_throttle(error: BaseException | None) -> bool:
    """Of a request that was not let in, however often the SDK tried, and that did nothing."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _THROTTLES
