"""Reads keys and accounts from DynamoDB. The format of their items is in `key_items`."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.adapters import key_items
from chalicelib.adapters.dynamodb import Table
from chalicelib.adapters.items import Item
from chalicelib.domain.account import Account, Key
from chalicelib.operations.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: How many keys and accounts a process caches at most, so that its memory stays bounded.
_MOST_REMEMBERED = 1_000


class DynamoKeyStore:
    """Reads keys and accounts. What it returns may be up to `cache_seconds` old; 0 disables the
    cache. Missing items are not cached, because they may be created at any time."""

    def __init__(
        self, client: "DynamoDBClient", table: str, clock: Clock, cache_seconds: float = 0
    ) -> None:
        self._table = Table(client, table)
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
        item = self._table.get({"id": {"S": id}})
        if item and self._cache_for:
            self._remember(id, now, item)
        return item

    def _remember(self, id: str, now: datetime, item: Item) -> None:
        if len(self._cache) >= _MOST_REMEMBERED:
            self._cache.clear()
        self._cache[id] = (now, item)
