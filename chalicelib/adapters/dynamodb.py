"""A DynamoDB table: requests, pages, retries and errors. It does not know what the table
contains."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.adapters import aws
from chalicelib.adapters.attempts import attempts
from chalicelib.adapters.expressions import Update, placeholders
from chalicelib.adapters.items import Item
from chalicelib.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
ITEMS_PER_REQUEST = 25
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_KEYS_PER_REQUEST = 100
_PAUSES = (0.05, 0.2, 0.8, 1.6)
#: Nine seconds in total: 10 MB of jobs that do not compress take 10,000 write units, and a
#: partition accepts 1,000 per second.
_LONG_PAUSES = (*_PAUSES, 3.2, 3.2)
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_THROTTLES = frozenset(
    {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
)


class ConditionFailed(Exception):
    """The condition of a conditional write was false. `item` is the item found, if the write asked
    for it."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


class Table:
    """One table. Reads of the table are strongly consistent; reads of its indexes are not. Raises
    only Unavailable, and ConditionFailed if there is a condition."""

    def __init__(
        self, client: "DynamoDBClient", name: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, key: Item) -> Item | None:
        answer = self._call(self._client.get_item, Key=key, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def get_all(self, keys: Sequence[Item]) -> Iterator[Item]:
        """Yield the items that exist under these keys, in no particular order."""
        groups = range(0, len(keys), _KEYS_PER_REQUEST)
        found = [self._get_group(keys[start : start + _KEYS_PER_REQUEST]) for start in groups]
        return chain.from_iterable(found)

    def _get_group(self, keys: Sequence[Item]) -> list[Item]:
        requests: Any = {self._name: {"Keys": keys, "ConsistentRead": True}}
        found: list[Item] = []
        for _ in attempts(_PAUSES, self._sleep):
            with _translated():
                answer: Any = self._client.batch_get_item(RequestItems=requests)
            found += answer["Responses"].get(self._name, [])
            requests = answer.get("UnprocessedKeys")
            if not requests:
                return found
        raise Unavailable(f"DynamoDB did not read {len(requests[self._name]['Keys'])} items")

    def query(
        self,
        condition: str,
        *,
        index: str | None = None,
        newest_first: bool = False,
        after: Item | None = None,
        limit: int | None = None,
        **values: Any,
    ) -> Iterator[Item]:
        """Yield the items whose keys meet the condition, in the order of their sort keys, with one
        page in memory at a time. `after` is the key to start after, and `limit` the most items to
        yield."""
        request: dict[str, Any] = {
            "KeyConditionExpression": condition,
            **placeholders(condition, **values),
            **({"IndexName": index} if index else {"ConsistentRead": True}),
            **({"ScanIndexForward": False} if newest_first else {}),
            **({"ExclusiveStartKey": after} if after else {}),
            **({"Limit": limit} if limit else {}),
        }
        return islice(self._pages(request), limit)

    def _pages(self, request: dict[str, Any]) -> Iterator[Item]:
        while True:
            page = self._call(self._client.query, **request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def put(self, item: Item) -> None:
        self._call(self._client.put_item, Item=item)

    def put_when(self, condition: str, item: Item, **values: Any) -> None:
        self._call(
            self._client.put_item,
            Item=item,
            ConditionExpression=condition,
            **placeholders(condition, **values),
        )

    def put_patiently(self, condition: str, item: Item) -> None:
        """Like `put_when`, but waits while the item's partition is throttled."""
        for _ in attempts(_PAUSES, self._sleep):
            try:
                return self.put_when(condition, item)
            except Unavailable as error:
                if not _is_throttled(error):
                    raise
                refusal = error
        raise refusal

    def put_group(self, items: Sequence[Item]) -> None:
        """Put up to ITEMS_PER_REQUEST items. If it raises, some of them may be stored."""
        requests: Any = {self._name: [{"PutRequest": {"Item": item}} for item in items]}
        for _ in attempts(_LONG_PAUSES, self._sleep):
            requests = self._left_of(requests)
            if not requests:
                return
        raise Unavailable(f"DynamoDB did not write {len(requests[self._name])} items")

    def _left_of(self, requests: Any) -> Any:
        """Return what DynamoDB did not write. If it wrote nothing, it may also report that as an
        error.
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html"""
        try:
            with _translated():
                answer = self._client.batch_write_item(RequestItems=requests)
        except Unavailable as error:
            if _is_throttled(error):
                return requests
            raise
        return answer.get("UnprocessedItems")

    def update(self, key: Item, update: Update, **options: str) -> Any:
        """Return the attributes that the options of UpdateItem ask for, or None."""
        answer = self._call(self._client.update_item, Key=key, **update.request(), **options)
        return answer.get("Attributes")

    def delete_when(self, condition: str, key: Item, **values: Any) -> None:
        self._call(
            self._client.delete_item,
            Key=key,
            ConditionExpression=condition,
            **placeholders(condition, **values),
        )

    def delete(self, key: Item) -> None:
        self._call(self._client.delete_item, Key=key)

    def _call(self, method: Callable[..., Any], **request: Any) -> Any:
        with _translated():
            return method(TableName=self._name, **request)


class _translated:  # noqa: N801 - reads as a word where it is used
    """A block in which botocore's exceptions become ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError) and _is_of_a_condition(error):
            found: Any = error.response.get("Item")
            raise ConditionFailed(found) from error
        if isinstance(error, ClientError | BotoCoreError):
            raise aws.unavailable("DynamoDB", error) from error


def _is_of_a_condition(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _is_throttled(error: Unavailable) -> bool:
    """Whether the request was throttled in spite of the SDK's retries, and so had no effect."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] in _THROTTLES
