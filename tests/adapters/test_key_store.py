"""Keys and accounts as the service reads them, from the fake and from DynamoDB, and what is
cached."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest

from batchback_ops.keys.table import KeyTable
from chalicelib.adapters import key_items, key_store
from chalicelib.adapters.key_store import DynamoKeyStore
from chalicelib.domain.account import WORKERS_REMEMBER_SECONDS, Account, Key, Secret
from chalicelib.operations.ports import KeyStore
from chalicelib.settings import Names
from tests.fakes.clock import START, FakeClock
from tests.fakes.dynamodb import FakeKeyStore
from tests.samples import WEBHOOK_SECRET

TABLE = Names("local").keys_table
#: Names that no other test uses.
KEY = Key(
    key="key-store/1",
    account="key-store",
    secrets=(
        Secret(value='né"w'),
        Secret(value="old", expires_at=START + timedelta(hours=24)),
    ),
    created_at=START,
)
ACCOUNT = Account(
    account="key-store",
    callback_secrets=(Secret(value=WEBHOOK_SECRET), Secret(value="whsec_", expires_at=START)),
    created_at=START,
)


class Counting:
    """A client that counts its requests."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked: Counter[str] = Counter()

    def get_item(self, **request: Any) -> Any:
        assert request["ConsistentRead"]
        self.asked[request["Key"]["id"]["S"]] += 1
        return self._client.get_item(**request)


@pytest.fixture(scope="module")
def client(aws: None) -> Any:  # noqa: ARG001 - moto must be up
    return boto3.client("dynamodb", endpoint_url="https://dynamodb.us-east-1.amazonaws.com")


@pytest.fixture
def table(client: Any) -> KeyTable:
    table = KeyTable(client, TABLE)
    table.add_key(KEY)
    table.add_account(ACCOUNT)
    return table


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> KeyStore:
    if request.param == "fake":
        return FakeKeyStore([KEY], [ACCOUNT])
    request.getfixturevalue("table")
    return DynamoKeyStore(request.getfixturevalue("client"), TABLE, FakeClock())


class TestReading:
    def test_keys_and_accounts_are_read_as_written(self, store: KeyStore) -> None:
        assert store.find_key(KEY.key) == KEY
        assert store.find_account(ACCOUNT.account) == ACCOUNT

    def test_missing_keys_and_accounts_are_none(self, store: KeyStore) -> None:
        assert store.find_key("nobody") is None
        assert store.find_account("nobody") is None
        assert store.find_key(ACCOUNT.account) is None

    @pytest.mark.parametrize("state", ["revoked", "suspended", "Active", " active", ""])
    def test_only_an_active_key_is_accepted(self, client: Any, state: str) -> None:
        """A later release may know more states, and an operator may misspell one."""
        item = {**key_items.key_item(KEY), "state": {"S": state}}
        client.put_item(TableName=TABLE, Item={**item, "id": {"S": "key#key-store/state"}})
        found = DynamoKeyStore(client, TABLE, FakeClock()).find_key("key-store/state")
        assert found
        assert found.is_revoked
        assert not found.may_sign_for(KEY.account)


class World:
    """A store with a cache, and the client it uses."""

    def __init__(self, client: Any, seconds: float) -> None:
        self.client = Counting(client)
        self.clock = FakeClock()
        self.store = DynamoKeyStore(self.client, TABLE, self.clock, seconds)  # type: ignore[arg-type]

    def asked(self, key: str = KEY.key) -> int:
        return self.client.asked[f"key#{key}"]


@pytest.fixture
def world(client: Any, table: KeyTable) -> Callable[[float], World]:  # noqa: ARG001 - the key is there
    return lambda seconds: World(client, seconds)


class TestCache:
    def test_a_key_is_requested_once_while_it_is_fresh(
        self, world: Callable[[float], World]
    ) -> None:
        workers = world(WORKERS_REMEMBER_SECONDS)
        for asked in (1, 2):
            for _ in range(3):
                assert workers.store.find_key(KEY.key) == KEY
            workers.clock.advance(seconds=WORKERS_REMEMBER_SECONDS - 0.001)
            assert workers.store.find_key(KEY.key) == KEY
            assert workers.asked() == asked
            workers.clock.advance(seconds=0.001)

    def test_missing_keys_are_not_cached(
        self, world: Callable[[float], World], table: KeyTable
    ) -> None:
        workers = world(WORKERS_REMEMBER_SECONDS)
        new = Key(key="key-store/new", account="key-store", secrets=KEY.secrets)
        assert workers.store.find_key(new.key) is None
        table.add_key(new)
        assert workers.store.find_key(new.key) == new

    def test_the_api_caches_nothing(self, world: Callable[[float], World]) -> None:
        """Strangers choose the names that it looks up."""
        door = world(0)
        for name in [KEY.key, KEY.key, "nobody", "nobody"]:
            door.store.find_key(name)
        assert (door.asked(), door.asked("nobody")) == (2, 2)
        assert not door.store._cache

    def test_the_cache_is_bounded(
        self,
        world: Callable[[float], World],
        table: KeyTable,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(key_store, "_MOST_REMEMBERED", 2)
        workers = world(WORKERS_REMEMBER_SECONDS)
        names = [f"key-store/many-{n}" for n in range(5)]
        for name in names:
            table.add_key(Key(key=name, account="key-store", secrets=KEY.secrets))
            workers.store.find_key(name)
            assert len(workers.store._cache) <= 2
        workers.store.find_key(names[-1])
        assert workers.asked(names[-1]) == 1
