"""Messages come back from the queues unchanged, in the group of their account."""

import json
import string
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from chalicelib.adapters.sequential import Sequential
from chalicelib.adapters.sqs import (
    SqsQueue,
    compose_batch,
    compose_jobs,
    compose_sentinel,
    group_of,
    parse_batch,
    parse_jobs,
)
from chalicelib.adapters.threads import ConcurrentThreads
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.operations.ports import Concurrent
from tests.fakes.clock import START

CHECK = BatchMessage(batch_id="a", account="acme", hops=5, errors=2)
HELD_UP = JobsMessage(batch_id="a", account="acme", submission="b", round=2, chunk=3, hops=6)
SENTINEL = Sentinel(
    batch_id="a",
    account="acme",
    submission="b",
    round=2,
    chunk=3,
    sent_at=START + timedelta(milliseconds=1),
    done=2,
    answered=17,
    waits_until=START,
    errors=1,
)


class RecordingClient:
    """Accepts what is sent; some entries of each request may fail once."""

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.sent: list[dict[str, Any]] = []
        #: The queues whose URLs were requested.
        self.asked: list[str] = []
        self._failing = [*failing]

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:  # noqa: N803 - SQS's own
        self.asked.append(QueueName)
        return {"QueueUrl": f"https://sqs.example.com/{QueueName}"}

    def send_message(self, **request: Any) -> None:
        self.sent.append(request)

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        failed, self._failing = self._failing, []
        self.sent += [
            {"QueueUrl": QueueUrl, **each} for each in Entries if each["Id"] not in failed
        ]
        return {"Failed": [{"Id": id} for id in failed]}


def queue_over(client: RecordingClient, concurrent: Concurrent | None = None) -> SqsQueue:
    return SqsQueue(
        client,  # type: ignore[arg-type]
        jobs_queue="jobs",
        batches_queue="batches",
        callbacks_queue="callbacks",
        sleep=lambda _: None,
        concurrent=concurrent or Sequential(),
    )


@pytest.mark.parametrize("indexes", [None, (7,), (7, 8)])
def test_a_jobs_message_is_read_as_it_was_written(indexes: tuple[int, ...] | None) -> None:
    message = JobsMessage(
        batch_id="a",
        account="acme",
        submission="b",
        round=2,
        chunk=3,
        indexes=indexes,
        hops=6,
        errors=4,
        deadline=START + timedelta(milliseconds=1),
    )
    assert parse_jobs(compose_jobs(message)) == message


def test_a_waiting_message_says_since_when_and_until_when_it_may_wait() -> None:
    away_since = START + timedelta(milliseconds=1)
    message = replace(HELD_UP, away_since=away_since, deadline=START + timedelta(hours=12))
    assert parse_jobs(compose_jobs(message)) == message


def test_a_message_of_an_older_release_never_waited() -> None:
    fields = json.loads(compose_jobs(HELD_UP))
    for name in ("errors", "deadline", "away_since"):
        del fields[name]
    assert parse_jobs(json.dumps(fields)) == HELD_UP


@pytest.mark.parametrize("waits_until", [None, START + timedelta(minutes=15)])
def test_a_sentinel_is_read_as_it_was_written(waits_until: datetime | None) -> None:
    sentinel = replace(SENTINEL, waits_until=waits_until)
    assert parse_jobs(compose_sentinel(sentinel)) == sentinel


def test_a_release_that_knows_no_sentinels_finds_no_jobs_in_one() -> None:
    """It reads a message of its batch and round that is for none of the chunk's jobs."""
    fields = json.loads(compose_sentinel(SENTINEL))
    del fields["sentinel"]
    message = parse_jobs(json.dumps(fields))
    assert isinstance(message, JobsMessage)
    assert (message.indexes, message.attempt, message.chunk) == ((), 1, 3)


def test_a_batch_message_is_read_as_it_was_written() -> None:
    assert parse_batch(compose_batch(CHECK)) == CHECK


def test_every_jobs_message_is_in_its_accounts_group() -> None:
    client = RecordingClient(failing=["1"])
    messages = [
        JobsMessage(batch_id="a", account=f"account-{n % 3}", submission="b", round=1, chunk=n)
        for n in range(12)
    ]
    queue_over(client).send_jobs(messages)
    groups = {parse_jobs(each["MessageBody"]).chunk: each["MessageGroupId"] for each in client.sent}
    assert groups == {n: f"account-{n % 3}" for n in range(12)}


def test_jobs_messages_are_delayed_even_if_sent_again() -> None:
    """Otherwise a platform that asks for time to recover would get all its calls at the same
    time."""
    client = RecordingClient(failing=["1"])
    messages = [
        JobsMessage(batch_id="a", account="acme", submission="b", round=1, chunk=n)
        for n in range(12)
    ]
    queue_over(client).send_jobs(messages, 900)
    assert [each["DelaySeconds"] for each in client.sent] == [900] * 12


def test_a_batch_message_is_delayed() -> None:
    client = RecordingClient()
    queue_over(client).send_batch(CHECK, 330)
    queue_over(client).send_callback(CHECK, 330)
    queue_over(client).send_sentinel(SENTINEL, 330)
    assert [each["DelaySeconds"] for each in client.sent] == [330] * 3


def test_every_message_goes_to_its_own_queue() -> None:
    client = RecordingClient()
    queue = queue_over(client)
    queue.send_jobs([JobsMessage(batch_id="a", account="a", submission="b", round=1, chunk=0)])
    queue.send_sentinel(SENTINEL, 900)
    queue.send_batch(CHECK)
    queue.send_callback(CHECK)
    queues = [each["QueueUrl"].rpartition("/")[2] for each in client.sent]
    assert queues == ["jobs", "jobs", "batches", "callbacks"]


def test_messages_without_a_delay_are_not_delayed() -> None:
    """The queue's own delay makes no difference."""
    client = RecordingClient()
    message = JobsMessage(batch_id="a", account="acme", submission="b", round=1, chunk=0)
    queue_over(client).send_jobs([message])
    queue_over(client).send_batch(CHECK)
    queue_over(client).send_callback(CHECK)
    assert [each["DelaySeconds"] for each in client.sent] == [0, 0, 0]


def test_the_requests_for_many_messages_are_sent_concurrently() -> None:
    both = Barrier(2, timeout=20)

    class WaitingClient(RecordingClient):
        def send_message_batch(self, **request: Any) -> Any:
            both.wait()
            return super().send_message_batch(**request)

    client = WaitingClient()
    messages = [
        JobsMessage(batch_id="a", account="acme", submission="b", round=1, chunk=n)
        for n in range(20)
    ]
    queue_over(client, ConcurrentThreads(2, flush_seconds=1)).send_jobs(messages)
    sent = {parse_jobs(each["MessageBody"]).chunk for each in client.sent}
    assert (sent, len(client.sent), client.asked) == ({*range(20)}, 20, ["jobs"])


def test_every_other_message_is_in_its_accounts_group() -> None:
    client = RecordingClient()
    queue_over(client).send_batch(CHECK)
    queue_over(client).send_callback(CHECK)
    queue_over(client).send_sentinel(SENTINEL, 900)
    assert [each["MessageGroupId"] for each in client.sent] == ["acme"] * 3


class TestGroups:
    """SQS refuses a message whose group is not 1 to 128 letters, digits and punctuation."""

    @pytest.mark.parametrize(
        "account", ["a", "Acme.Ltd_2-x", "x" * 128, string.punctuation, string.ascii_letters]
    )
    def test_a_name_that_sqs_accepts_is_the_group(self, account: str) -> None:
        assert group_of(account) == account

    @pytest.mark.parametrize(
        "account",
        ["", "x" * 129, "two words", "acmé", "new\nline", "acme\n", "😀", "\ud83d", "\x7f"],
    )
    def test_the_group_of_any_other_name_is_its_hash(self, account: str) -> None:
        assert len(group_of(account)) == 64
        assert set(group_of(account)) <= set("0123456789abcdef")
        assert group_of(account) != group_of(account + "x")
