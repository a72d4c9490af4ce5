"""The keys table, as the operators' commands change it. `key_items` defines the items.

Every write is conditional, so that no change is lost: an added item never replaces another, and an
item is changed only if it is still what was read. A write that the SDK repeats recognizes itself.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from batchback.errors import CannotGoOn

from chalicelib.adapters import key_items
from chalicelib.adapters.expressions import Update, placeholders
from chalicelib.adapters.items import Item
from chalicelib.domain.account import Account, Key, Secret

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Secrets = tuple[Secret, ...]

#: The conditions, in words.
_IS_THERE = "attribute_exists(#id)"
_IS_NOT_THERE = "attribute_not_exists(#id)"


class KeyTable:
    """The keys and accounts of one stage. AWS's errors pass through."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def find_key(self, key: str) -> Key | None:
        item = self._get(key_items.key_id(key))
        return key_items.read_key(item) if item else None

    def find_account(self, account: str) -> Account | None:
        item = self._get(key_items.account_id(account))
        return key_items.read_account(item) if item else None

    def list_keys(self) -> Iterator[Key]:
        """All keys, in no order."""
        scan = self._client.get_paginator("scan")
        for page in scan.paginate(TableName=self._table, ConsistentRead=True):
            yield from map(key_items.read_key, filter(key_items.is_key, page["Items"]))

    def add_key(self, key: Key) -> Key:
        """Add the key, unless there is one of this name. Return the one that is stored."""
        return key_items.read_key(self._add(key_items.key_item(key)))

    def add_account(self, account: Account) -> Account:
        """Add the account, unless there is one of this name. Return the one that is stored."""
        return key_items.read_account(self._add(key_items.account_item(account)))

    def rotate_key(self, key: str, rotate: Callable[[Key], Secrets]) -> Key | None:
        """Give the key the secrets that `rotate` returns for it. None if there is no such key. What
        `rotate` raises passes through, and nothing is written. CannotGoOn if somebody else rotates
        the key at the same moment."""
        item = self._rotate(
            key_items.key_id(key), "secrets", lambda seen: rotate(key_items.read_key(seen))
        )
        return key_items.read_key(item) if item else None

    def rotate_account(self, account: str, rotate: Callable[[Account], Secrets]) -> Account | None:
        """The same for an account's callback secrets."""
        item = self._rotate(
            key_items.account_id(account),
            "callback_secrets",
            lambda seen: rotate(key_items.read_account(seen)),
        )
        return key_items.read_account(item) if item else None

    def revoke(self, key: str) -> Key | None:
        """Revoke the key for good, if it is not revoked yet. None if there is no such key."""
        revoke = Update().when(_IS_THERE).set(state={"S": key_items.REVOKED})
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": key_items.key_id(key)}},
                ReturnValues="ALL_NEW",
                **revoke.request(),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return key_items.read_key(answer["Attributes"])

    def _add(self, item: Item) -> Item:
        """Return the item that is stored: this one, or the one that was there before."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=_IS_NOT_THERE,
                **placeholders(_IS_NOT_THERE),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return self._get(item["id"]["S"]) or item
        return item

    def _rotate(self, id: str, attribute: str, rotate: Callable[[Item], Secrets]) -> Item | None:
        seen = self._get(id)
        if seen is None:
            return None
        wanted = key_items.secrets_attribute(rotate(seen))
        update = Update().when_equal(**{attribute: seen[attribute]}).set(**{attribute: wanted})
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": id}},
                ReturnValues="ALL_NEW",
                **update.request(),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return self._standing(id, attribute, wanted)
        return answer["Attributes"]

    def _standing(self, id: str, attribute: str, wanted: Item) -> Item:
        """The item, if it already contains what was to be written: then the SDK repeated our own
        write."""
        item = self._get(id)
        if item is None or item[attribute] != wanted:
            raise CannotGoOn(
                "Somebody else rotated this secret at the same moment, so you changed nothing: "
                "check what is there now, and run this again if you still want to."
            )
        return item

    def _get(self, id: str) -> Item | None:
        answer = self._client.get_item(
            TableName=self._table, Key={"id": {"S": id}}, ConsistentRead=True
        )
        return answer.get("Item")
