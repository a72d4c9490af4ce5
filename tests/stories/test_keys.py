"""Keys that are made, rotated and revoked while batches run, and the places where secrets never
are."""

import base64
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import boto3
from standardwebhooks.webhooks import WebhookVerificationError

from batchback_ops import project
from batchback_ops.keys import credentials
from chalicelib.domain.account import WORKERS_REMEMBER_SECONDS, Account, Key, Secret
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.operations import call_jobs
from tests.fakes.http import FakePlatform, Post, echo
from tests.fakes.webhooks import verify
from tests.samples import WEBHOOK_SECRET
from tests.stories.jobs import echoes, jobs
from tests.stories.on_moto import REGION, Message, OnMoto

REVOKED = {"errorCode": 463, "message": "Key revoked"}
NEW_SECRET = "whsec_" + base64.b64encode(b"a new secret of 32 bytes, or so.").decode()
DAY = timedelta(days=1)


class SeesSecrets(FakePlatform):
    """A platform that records the secret that each call could be signed with."""

    def __init__(self, life: OnMoto) -> None:
        super().__init__()
        self._life = life
        self.secrets: list[list[str]] = []

    def call(self, *, key: Key, **call: Any) -> Reply | NoReply:
        self.secrets.append(key.live_secrets(self._life.clock.now()))
        return super().call(key=key, **call)


def rotate(life: OnMoto, new: str) -> None:
    """Rotate as `batchback keys rotate` does."""
    now = life.clock.now()
    life.key_table.rotate_key("demo", lambda seen: credentials.rotated(seen.secrets, new, now, DAY))


def deliver(life: OnMoto, message: Message) -> None:
    life.deliver(message)
    life.delete(message)


def test_a_new_key_may_call_immediately(life: OnMoto) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(b"new:its-secret").decode()}
    status, _ = life.call("list", {}, **basic)
    assert status == 401
    life.key_table.add_key(Key(key="new", account="demo", secrets=(Secret(value="its-secret"),)))
    status, _ = life.call("list", {}, **basic)
    assert status == 200


class TestRevoked:
    def test_jobs_of_a_key_that_was_revoked_after_submission_are_not_called(
        self, life: OnMoto
    ) -> None:
        """The worker learned the key when it was valid, and forgets it in time."""
        life.configure(JOBS_PER_MESSAGE="5")
        life.submit(jobs(20))
        first, second, *rest = life.receive()
        deliver(life, first)
        life.key_table.revoke("demo")
        deliver(life, second)
        called = len(life.platform.calls)
        life.clock.advance(seconds=WORKERS_REMEMBER_SECONDS)
        for message in rest:
            deliver(life, message)
        assert len(life.platform.calls) == called < 20
        life.work_off()
        [post] = life.receiver.posts
        responses = [each["response"] for each in json.loads(post.body)["results"]]
        assert responses == echoes(20)[:called] + [REVOKED] * (20 - called)

    def test_the_api_refuses_it_immediately_and_says_so_only_with_its_secret(
        self, life: OnMoto
    ) -> None:
        life.ask("list", {})
        life.key_table.revoke("demo")
        status, body = life.call("list", {})
        assert (status, json.loads(body)["errorCode"]) == (463, 463)
        wrong = {"Authorization": "Basic " + base64.b64encode(b"demo:wrong").decode()}
        status, _ = life.call("list", {}, **wrong)
        assert status == 401

    def test_no_call_is_started_with_it_after_a_minute(self) -> None:
        """The time that a worker remembers a key, plus the last moment at which it starts a
        call."""
        config = project.configuration()["lambda_functions"]
        shortest_call = 1
        last_start = (
            config["run_jobs"]["lambda_timeout"] - call_jobs.SECONDS_TO_RECORD - shortest_call
        )
        assert WORKERS_REMEMBER_SECONDS + last_start <= 60


class TestRotated:
    def test_a_running_batch_continues_with_the_newest_secret(self, life: OnMoto) -> None:
        life.replace(platform=SeesSecrets(life))
        life.configure(JOBS_PER_MESSAGE="20")
        async_id = life.submit(jobs(160))
        first, *rest = life.receive()
        deliver(life, first)
        assert life.platform.secrets == [["demo-secret"]] * 20
        rotate(life, "their-new-secret")
        life.clock.advance(seconds=WORKERS_REMEMBER_SECONDS)
        for message in rest:
            deliver(life, message)
        life.work_off()
        assert life.platform.secrets[20:] == [["their-new-secret", "demo-secret"]] * 140
        life.clock.advance(hours=24)
        answer = life.call("results", {"async": async_id})
        assert answer[0] == 401  # with its old secret, which has ended

    def test_until_the_old_secret_ends_callers_may_use_either(self, life: OnMoto) -> None:
        rotate(life, "new")
        new = {"Authorization": "Basic " + base64.b64encode(b"demo:new").decode()}
        assert [life.call("list", {})[0], life.call("list", {}, **new)[0]] == [200, 200]
        life.clock.advance(hours=24)
        assert [life.call("list", {})[0], life.call("list", {}, **new)[0]] == [401, 200]


def verifies(post: Post, secret: str) -> bool:
    """Whether a receiver accepts the callback if it arrives immediately."""
    sent_at = datetime.fromtimestamp(int(post.headers["webhook-timestamp"]), UTC)
    try:
        verify(secret, post.body, post.headers, now=sent_at)
    except WebhookVerificationError:
        return False
    return True


def test_a_callback_secret_rotated_between_two_attempts_breaks_no_receiver(
    life: OnMoto,
) -> None:
    """A receiver with the old secret verifies both attempts, one with the new secret the second."""

    def rotate(seen: Account) -> tuple[Secret, ...]:
        return credentials.rotated(seen.callback_secrets, NEW_SECRET, life.clock.now(), DAY)

    class Rotates(list[Reply | NoReply]):
        """A first answer during which an operator rotates the secret."""

        def pop(self, *_: object) -> Reply | NoReply:
            life.key_table.rotate_account("demo", rotate)
            life.clock.advance(seconds=WORKERS_REMEMBER_SECONDS)
            return super().pop()

    life.receiver.answers = Rotates([Reply(status=503)])
    life.submit(jobs(1))
    life.work_off()
    first, second = life.receiver.posts
    assert [verifies(first, secret) for secret in (WEBHOOK_SECRET, NEW_SECRET)] == [True, False]
    assert [verifies(second, secret) for secret in (WEBHOOK_SECRET, NEW_SECRET)] == [True, True]
    assert len(second.headers["webhook-signature"].split(" ")) == 2
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_no_secret_is_in_a_message_in_the_batches_table_in_the_log_or_in_an_answer(
    life: OnMoto,
) -> None:
    """From submission to callback, and when calls and callbacks fail."""
    seen: list[str] = []
    life.order = lambda messages: [_noted(message, seen) for message in messages]
    answers: Iterator[Reply | NoReply | None] = chain(
        [Reply(status=500), NoReply(reason="no answer within 30 seconds")], repeat(None)
    )
    life.platform.answer = lambda call: next(answers) or echo(call)
    life.receiver.answers = [Reply(status=500)]
    life.configure(JOBS_PER_MESSAGE="2")
    async_id = life.submit(jobs(20))
    life.work_off()
    assert len(seen) > 10
    seen += [
        life.call(action, {"async": async_id})[1].decode()
        for action in ("progress", "results", "list")
    ]
    stored = _stored(life)
    assert '["story","work",' in "".join(stored)
    seen += [*stored, json.dumps(life.journal.lines, default=str)]
    text = "".join(seen)
    for secret in ("demo-secret", WEBHOOK_SECRET, WEBHOOK_SECRET.removeprefix("whsec_")):
        assert secret not in text
        assert base64.b64encode(secret.encode()).decode() not in text


def _noted(message: Message, seen: list[str]) -> Message:
    seen.append(json.dumps(message, default=str))
    return message


def _stored(life: OnMoto) -> list[str]:
    """Everything in the table, decompressed."""
    table = life.names.batches_table
    client = boto3.client("dynamodb", endpoint_url=f"https://dynamodb.{REGION}.amazonaws.com")
    items = client.scan(TableName=table)["Items"]
    packed = [zlib.decompress(item["packed"]["B"]).decode() for item in items if "packed" in item]
    return [*map(str, items), *packed]
