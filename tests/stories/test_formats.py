"""A release continues what an older one has stored and sent, and leaves alone what a later one has.
The samples in tests/vectors are frozen: see tests/formats."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import boto3
import pytest

from chalicelib.adapters import items, key_items, sqs, usage
from chalicelib.adapters.key_store import DynamoKeyStore
from chalicelib.errors import FunctionFailed, TooNew
from tests.fakes.clock import FakeClock
from tests.formats import lives
from tests.formats.sample import QUEUES, VECTORS, Item, Sample
from tests.samples import TERMS, a_batch
from tests.stories.on_moto import OnMoto

#: The frozen samples, by their formats and additions.
FORMATS = sorted(
    (folder.name.removeprefix("format-") for folder in VECTORS.glob("format-*")),
    key=lambda name: [int(part) for part in name.split(".")],
)

BATCH = a_batch()
FREEZE = "freeze a sample that has these: see Formats in docs/upgrading.md"


def bring_to_life(life: OnMoto, sample: Sample) -> None:
    life.clock.set(sample.frozen_at)
    lives.configure(life)
    sample.put(life.names)


def _with_more(item: Item) -> Item:
    without_format = {name: value for name, value in item.items() if name != "format"}
    return {**without_format, "of_a_later_release": {"S": "whatever it is"}}


def _more_parts(sample: Sample) -> list[Item]:
    """Add parts of an unknown kind in the middle of the chunks."""
    return [
        {**item, "part": {"S": item["part"]["S"].replace("#0jobs#", "#3later#")}}
        for item in sample.batches
        if "#0jobs#" in item["part"]["S"]
    ]


def _more_in_messages(sample: Sample) -> list[Item]:
    return [
        {**message, "body": json.dumps({**json.loads(message["body"]), "later": [1]})}
        for message in sample.messages
    ]


def test_a_sample_of_the_current_format_is_frozen() -> None:
    """For a new format of items or messages, run `python -m tests.formats N`."""
    newest, *_ = FORMATS[-1].split(".")
    assert max(items.FORMAT, key_items.FORMAT, sqs.FORMAT) == int(newest)


class TestTheNewestSample:
    """Covers everything that can be read."""

    SAMPLE = Sample.read(FORMATS[-1])

    def test_holds_every_attribute_of_a_head(self) -> None:
        heads = self._items("0#head")
        stored = {
            *items.attributes_of(
                {f.name: getattr(BATCH, f.name) for f in fields(BATCH)}, BATCH.batch_id
            )
        }
        assert stored - set().union(*heads) == set(), FREEZE

    def test_holds_every_attribute_of_the_terms(self) -> None:
        stored = items.terms_item(BATCH, TERMS).keys()
        assert stored - set().union(*self._items("0#terms")) == set(), FREEZE

    @pytest.mark.parametrize("part", ["#0jobs#", "#1answers#", "#2trying#", "0#usage", "0#outage"])
    def test_holds_every_kind_of_item(self, part: str) -> None:
        assert self._items(part)

    @pytest.mark.parametrize("queue", QUEUES)
    def test_holds_messages_of_every_queue(self, queue: str) -> None:
        assert queue in {message["queue"] for message in self.SAMPLE.messages}

    def _items(self, part: str) -> list[Item]:
        return [item for item in self.SAMPLE.batches if part in item["part"]["S"]]


@pytest.mark.parametrize("version", FORMATS)
def test_batches_an_older_release_left_in_flight_end_as_they_would_have_there(
    life: OnMoto, version: str
) -> None:
    sample = Sample.read(version)
    bring_to_life(life, sample)
    begun = _begun(sample)
    assert lives.submitted(life) == begun["just submitted"]
    assert lives.end(life, begun) == sample.expected


def test_additions_of_a_later_release_are_ignored_and_no_format_means_the_first(
    life: OnMoto,
) -> None:
    sample = Sample.read("1")
    sample = replace(
        sample,
        batches=[_with_more(item) for item in [*sample.batches, *_more_parts(sample)]],
        keys=[_with_more(item) for item in sample.keys],
        messages=_more_in_messages(sample),
    )
    bring_to_life(life, sample)
    assert lives.end(life, _begun(sample)) == sample.expected


def test_a_batch_of_a_later_release_is_left_alone_until_that_release_is_back(life: OnMoto) -> None:
    """As after a rollback: its messages are sent on, its callers get 500, other batches go on."""
    new, other = life.submit(lives.jobs(2)), life.submit(lives.jobs(1))
    before = _with_format(life, new, 2)
    _deliver_all_of(life, new)
    assert {each["batch_id"] for each in life.journal.of("message handed on")} == {new}
    assert "A stored item has format 2" in life.journal.of("function failed")[0]["error"]
    assert life.call("progress", {"async": new})[0] == 500
    life.clock.advance(minutes=31)
    life.sweep()
    assert life.journal.of("sweep failed")[0]["batch_id"] == new
    assert before.items() - _head(life, new).items() == set()
    _with_format(life, new, 1)
    life.clock.advance(seconds=721)
    life.sweep()
    life.work_off()
    for async_id in (new, other):
        assert life.posts_of(async_id) == [life.results(async_id)]


def test_a_message_of_a_later_release_comes_back(life: OnMoto) -> None:
    async_id = life.submit(lives.jobs(1))
    [message] = life.receive()
    newer = {**json.loads(message["Body"]), "v": 2}
    with pytest.raises(FunctionFailed, match="TooNew: A message has format 2"):
        life.deliver({**message, "Body": json.dumps(newer)})
    assert life.platform.calls == []
    life.clock.advance(seconds=361)
    life.work_off()
    assert len(life.posts_of(async_id)) == 1


class TestEveryItem:
    """Items and messages of a later format."""

    COMMON: Mapping[str, Any] = {"format": {"N": "2"}}

    @pytest.mark.parametrize("part", ["0jobs#00", "1answers#0001#0000", "2trying#00000"])
    def test_an_item_of_a_chunk_is_refused(self, part: str) -> None:
        item = {**self.COMMON, "part": {"S": f"1#s#0000#{part}"}}
        with pytest.raises(TooNew):
            items.read_chunk(BATCH, 0, [item])

    @pytest.mark.parametrize("read", [items.read_head, items.read_terms, usage.read])
    def test_an_item_of_a_batch_or_an_account_is_refused(
        self, read: Callable[[Item], object]
    ) -> None:
        with pytest.raises(TooNew, match="format 2, and this release knows formats up to 1"):
            read(dict(self.COMMON))

    @pytest.mark.parametrize("parse", [sqs.parse_jobs, sqs.parse_batch])
    def test_a_message_of_a_queue_is_refused(self, parse: Callable[[str], object]) -> None:
        with pytest.raises(TooNew):
            parse('{"v": 2}')

    def test_an_item_of_a_key_is_refused(self, life: OnMoto) -> None:
        client = boto3.client("dynamodb")
        for id in ("key#new", "account#new"):
            client.put_item(TableName=life.names.keys_table, Item={"id": {"S": id}, **self.COMMON})
        store = DynamoKeyStore(client, life.names.keys_table, FakeClock())
        for find in (store.find_key, store.find_account):
            with pytest.raises(TooNew):
                find("new")

    def test_an_item_changed_in_place_keeps_its_format(self, life: OnMoto) -> None:
        """An account's usage is written before it is read."""
        life.configure(MAX_OPEN_BATCHES="2")
        key = usage.key("demo")
        client = boto3.client("dynamodb")
        table = life.names.batches_table
        client.put_item(TableName=table, Item={**key, **self.COMMON})
        assert (
            life.call("run", {"jobs": lives.jobs(1), "callbackUrl": "https://a.example"})[0] == 500
        )
        item: Any = client.get_item(TableName=table, Key=key)["Item"]
        assert item["format"] == {"N": "2"}


def _begun(sample: Sample) -> dict[str, str]:
    by_name = {name: each["id"] for name, each in sample.expected.items()}
    by_name.pop("before it was restarted")
    return by_name


def _head(life: OnMoto, async_id: str) -> dict[str, str]:
    """The head as text, without the due time, which a sweep moves."""
    item: Any = boto3.client("dynamodb").get_item(
        TableName=life.names.batches_table, Key=items.key(async_id, items.HEAD)
    )["Item"]
    return {name: json.dumps(value) for name, value in item.items() if name != "due_at"}


def _with_format(life: OnMoto, async_id: str, version: int) -> dict[str, str]:
    boto3.client("dynamodb").update_item(
        TableName=life.names.batches_table,
        Key=items.key(async_id, items.HEAD),
        UpdateExpression="SET #format = :format",
        ExpressionAttributeNames={"#format": "format"},
        ExpressionAttributeValues={":format": {"N": str(version)}},
    )
    return _head(life, async_id)


def _deliver_all_of(life: OnMoto, async_id: str) -> None:
    for message in life.receive():
        if async_id in message["Body"]:
            life.deliver(message)
            life.delete(message)
