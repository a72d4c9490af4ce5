"""Batches as the console shows them, stored on moto's AWS: whole, damaged, and without a secret."""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from batchback_ops.stage import Stage
from chalicelib.adapters import items
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.adapters.key_store import DynamoKeyStore
from chalicelib.domain.batch import Batch
from chalicelib.domain.outcome import Reply
from tests.console.asking import Page, console_of
from tests.console.local_service import local_tools
from tests.leaks import found_in
from tests.operations.world import World
from tests.stories.on_moto import OnMoto

#: Each secret that a batch leads to, besides those of its key and account, which `furnish` stores.
ORDER = {
    "jobs": [{"namespace": "story", "action": "work", "params": {"n": n}} for n in range(6)],
    "callbackUrl": "https://example.com/canary-path?token=canary-query",
    "callbackHeaders": {"Authorization": "Bearer canary-header", "X-Any": "canary-too"},
    "label": "nightly",
    "metadata": {"order": "77"},
}


def views(async_id: str) -> list[str]:
    batch = f"/batches/{async_id}"
    return [
        *("/console", "/batches", "/batches?show=all&account=demo", "/batches?status=trouble"),
        *(batch, f"{batch}/jobs", f"{batch}/jobs?text=bearer", f"{batch}/jobs/0"),
        f"{batch}/callback",
    ]


class Stored:
    """A batch on moto, and the console."""

    def __init__(self, life: OnMoto) -> None:
        self.life = life
        life.platform.answer = lambda call: (
            Reply(status=404, body=b'{"errorCode":404,"message":"No such contact"}')
            if call.params["n"] == 1
            else Reply(status=200, body=b'{"ok":true}')
        )
        self.async_id: str = life.ask("run", ORDER)["asyncId"]
        life.work_off()
        self._client = boto3.client("dynamodb")
        self._table = life.names.batches_table
        self.stage, self.local = self._page(), self._page(local=local_tools())

    @property
    def head(self) -> Batch:
        return self.life.head(self.async_id)

    def _page(self, **given: Any) -> Page:
        world = World()
        world.clock = self.life.clock
        world.store = DynamoBatchStore(self._client, self._table)  # type: ignore[assignment]
        world.keys = DynamoKeyStore(  # type: ignore[assignment]
            self._client, self.life.names.keys_table, world.clock, 0
        )
        stage = Stage(name=self.life.names.stage, variables={}, environ={})
        return Page(console_of(world, stage=stage, may_act=False, **given))

    @contextmanager
    def damaged(self, part: str, attributes: Mapping[str, Any]) -> Iterator[None]:
        """Replace attributes of an item inside the block; None removes one."""
        key = items.key(self.async_id, part)
        item = self._client.get_item(TableName=self._table, Key=key)["Item"]
        kept = {name: value for name, value in {**item, **attributes}.items() if value}
        self._client.put_item(TableName=self._table, Item=kept)
        yield
        self._client.put_item(TableName=self._table, Item=item)

    def shows(self, path: str = "", page: Page | None = None) -> Any:
        return (page or self.stage).gets(f"/batches/{self.async_id}{path}")


@pytest.fixture
def stored(life: OnMoto) -> Stored:
    return Stored(life)


def test_a_batch_is_shown_from_its_run_to_its_callback(stored: Stored) -> None:
    (row,) = stored.stage.gets("/batches?show=all&account=demo")["batches"]
    assert (row["label"], row["status"], row["trouble"]) == ("nightly", "completed", None)
    told = {"total": 6, "succeeded": 5, "failed": 1, "unanswered": 0, "waiting": 0}
    assert row["jobs"] == told
    shown = stored.shows()
    assert shown["grid"] == "sfssss"
    assert shown["byError"] == [{"error": "404 No such contact", "outcome": "f", "count": 1}]
    assert shown["metadata"] == {"order": "77"}
    assert [row["index"] for row in stored.shows("/jobs")["rows"]] == [1, 0, 2, 3, 4, 5]
    job = stored.shows("/jobs/1")
    assert (job["request"], job["httpStatus"]) == ('{"n":1}', 404)
    assert json.loads(job["response"])["message"] == "No such contact"
    callback = stored.shows("/callback")
    assert (callback["state"], len(callback["attempts"])) == ("delivered", 1)
    assert callback["bytes"] == len(stored.life.posts_of(stored.async_id)[0])


def test_no_answer_about_a_stage_has_a_secret(stored: Stored) -> None:
    """None of the key, the account, the callback or its address."""
    for path in views(stored.async_id):
        assert found_in(stored.stage.raw(path)) == [], path
    assert stored.stage.told == []


def test_of_this_machines_service_only_the_address_is_whole(stored: Stored) -> None:
    """The user has sent the batch. The values of its headers stay hidden all the same."""
    for path in views(stored.async_id):
        said = stored.local.raw(path).replace(ORDER["callbackUrl"], "")  # type: ignore[arg-type]
        assert found_in(said) == [], path


TERMS: list[dict[str, Any]] = [
    {"metadata": {"S": "{"}},
    {"metadata": {"S": "[1]"}},
    {"metadata": {"N": "1"}},
    {"callback_headers": {"S": '{"a":1}'}},
    {"callback_results": {"S": "some"}},
    {"request_hash": None},
    {"deadline": {"S": "soon"}},
]
HEADS: list[dict[str, Any]] = [
    {"state": {"S": "odd"}},
    {"created_at": None},
    {"deadline": None},
    {"round_began_at": None},
    {"total": {"S": "many"}},
    {"chunk_size": None},
]


class TestDamage:
    def test_damaged_terms_are_said_and_the_rest_is_shown(self, stored: Stored) -> None:
        for attributes in TERMS:
            with stored.damaged(items.terms_part(stored.head.submission), attributes):
                shown = stored.shows()
                assert "damaged" in shown["damage"], attributes
                assert shown["grid"] == "sfssss"
                assert "damaged" in stored.shows("/callback")["damage"]
                assert stored.shows("/jobs/1", stored.local)["curl"]
                assert stored.stage.gets("/batches?show=all&account=demo")["batches"]

    def test_jobs_that_cannot_be_read_are_shown_with_their_answers(self, stored: Stored) -> None:
        part = f"{items.chunk_prefix(stored.head.submission, 1)}0jobs#00"
        for packed in [b"x", zlib.compress(b"[]\n"), zlib.compress(b"\xff")]:
            with stored.damaged(part, {"packed": {"B": packed}}):
                assert stored.shows()["grid"] == "sfssss"
                job = stored.shows("/jobs/1")
                assert (job["request"], job["curl"], job["httpStatus"]) == (None, None, 404)

    def test_answers_that_cannot_be_read_are_shown_as_missing(self, stored: Stored) -> None:
        part = f"{items.chunk_prefix(stored.head.submission, 1)}1answers#0001#0000"
        for packed in [{"B": b"x"}, {"S": "x"}, None]:
            with stored.damaged(part, {"packed": packed}):
                assert stored.shows("/jobs/1")["response"] is None

    def test_a_damaged_head_says_so_and_is_missing_in_the_list(self, stored: Stored) -> None:
        for attributes in HEADS:
            with stored.damaged(items.HEAD, attributes):
                answer = stored.stage.asks("GET", f"/batches/{stored.async_id}")
                assert (answer.status, "damaged" in answer.body["error"]) == (409, True), attributes
                listed = stored.stage.gets("/batches?show=all&account=demo")
                assert listed["batches"] == []
