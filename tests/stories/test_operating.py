"""A stage on moto's AWS as an operator sees it: `batchback ops`."""

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
import pytest
from batchback.cli import main
from batchback.shell import Shell, Status

from batchback_ops import project
from batchback_ops.ops import dead_letters
from chalicelib.domain.outcome import NoReply, Reply
from tests.stories.jobs import jobs
from tests.stories.on_moto import OnMoto


@cache
def sqs() -> Any:
    return boto3.client("sqs")


class Operator:
    """An operator with a shell, in the stage of a story."""

    def __init__(self, life: OnMoto) -> None:
        self.life = life
        self.told = ""
        self.read: Any = None

    def types(self, *argv: str) -> int:
        stdout, stderr = io.StringIO(), io.StringIO()
        shell = Shell(environ={}, stdout=stdout, stderr=stderr, now=self.life.clock.now)
        status = main(["ops", *argv, "--stage", self.life.names.stage], shell=shell)
        self.told = stderr.getvalue()
        self.read = json.loads(stdout.getvalue() or "null")
        return status


class Queue:
    """A queue of the stage, as a test fills and reads it."""

    def __init__(self, name: str) -> None:
        self._sqs = sqs()
        self._url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def put(self, *bodies: str, group: str | None = None) -> None:
        more = {"MessageGroupId": group} if group else {}
        for body in bodies:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=body, **more)

    def groups(self) -> list[str]:
        found = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["MessageGroupId"],
        )
        return [message["Attributes"]["MessageGroupId"] for message in found["Messages"]]

    def take(self) -> list[str]:
        found = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
        return sorted(message["Body"] for message in found.get("Messages", []))

    def count(self) -> tuple[int, int]:
        """Count the messages, hidden ones too."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        visible, hidden = (int(found["Attributes"][name]) for name in names)
        return visible, hidden


@pytest.fixture
def operator(life: OnMoto, monkeypatch: pytest.MonkeyPatch) -> Operator:
    stages = {life.names.stage: {"environment_variables": {"STAGE": life.names.stage}}}
    monkeypatch.setattr(project, "configuration", lambda: {"stages": stages})
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", 0)
    return Operator(life)


def damage(
    life: OnMoto, async_id: str, attribute: str, value: Any, *, part: str = "0#head"
) -> None:
    """Store another value of an attribute in a part of a batch. None: remove it."""
    change: Any = {"Action": "DELETE"} if value is None else {"Action": "PUT", "Value": value}
    boto3.client("dynamodb").update_item(
        TableName=life.names.batches_table,
        Key={"batch_id": {"S": async_id}, "part": {"S": part}},
        AttributeUpdates={attribute: change},
    )


def parts(life: OnMoto, async_id: str) -> list[str]:
    found = boto3.client("dynamodb").query(
        TableName=life.names.batches_table,
        KeyConditionExpression="batch_id = :id",
        ExpressionAttributeValues={":id": {"S": async_id}},
    )
    return [item["part"]["S"] for item in found["Items"]]


class TestList:
    def test_unfinished_batches_are_listed_oldest_first_and_finished_ones_are_not(
        self, life: OnMoto, operator: Operator
    ) -> None:
        over = life.submit(jobs(2))
        life.work_off()
        first = life.submit(jobs(2))
        life.clock.advance(seconds=1)
        second = life.submit(jobs(3))
        assert operator.types("list") == Status.OK
        assert [row["batchId"] for row in operator.read] == [first, second]
        assert operator.read[1]["jobs"] == {
            "total": 3,
            "succeeded": 0,
            "failed": 0,
            "waiting": 3,
        }
        assert over not in operator.told
        assert "--account" in operator.told

    def test_an_accounts_list_includes_finished_batches(
        self, life: OnMoto, operator: Operator
    ) -> None:
        over = life.submit(jobs(2))
        life.work_off()
        operator.types("list", "--account", "demo")
        assert [(row["batchId"], row["status"]) for row in operator.read] == [(over, "completed")]
        operator.types("list", "--account", "somebody-else")
        assert operator.read == []

    @pytest.mark.parametrize(
        ("attribute", "value", "fault"),
        [
            ("total", {"S": "many"}, "its stored head is damaged"),
            ("key", None, "its stored head is damaged"),
            ("format", {"N": "99"}, "a later release wrote it"),
        ],
    )
    def test_a_batch_that_cannot_be_read_is_named_and_the_others_are_listed(
        self, life: OnMoto, operator: Operator, attribute: str, value: Any, fault: str
    ) -> None:
        unreadable, fine = life.submit(jobs(1)), life.submit(jobs(1))
        damage(life, unreadable, attribute, value)
        for words in (["list"], ["list", "--account", "demo"]):
            assert operator.types(*words) == Status.OK
            assert [row["batchId"] for row in operator.read] == [fine]
            assert f"batch {unreadable} is left out: {fault}\n" in operator.told

    def test_a_batch_at_a_standstill_is_listed_with_the_reason(
        self, life: OnMoto, operator: Operator
    ) -> None:
        """The messages are lost and no sweep runs; the first cause that can be recognized is
        shown."""
        lost = life.submit(jobs(2))
        life.receive()
        for minutes, reason in ((4, None), (2, "does run_jobs run"), (34, "does sweep run")):
            life.clock.advance(minutes=minutes)
            operator.types("list", "--stuck")
            assert [row["batchId"] for row in operator.read] == [lost] * (reason is not None)
            assert all(str(reason) in row["stuck"] for row in operator.read)


class TestShow:
    def test_show_tells_a_batchs_story(self, life: OnMoto, operator: Operator) -> None:
        life.platform.answer = lambda call: Reply(
            status=404 if call.params["n"] else 200, body=b"{}"
        )
        life.receiver.answers = [Reply(status=503)]
        async_id = life.submit(jobs(2), callback_url="https://example.com/hook?token=x")
        for message in life.receive():
            life.deliver(message)
            life.delete(message)
        for message in life.receive():
            life.deliver(message)
            life.delete(message)
        assert operator.types("show", async_id) == Status.OK
        told = operator.read
        assert (told["status"], told["stuck"], told["account"]) == ("completed", None, "demo")
        assert (told["jobs"]["succeeded"], told["jobs"]["whichFailed"]) == (1, "1")
        assert told["chunks"] == {"total": 2, "jobsInEach": 1, "done": 2, "whichAreToDo": ""}
        assert told["callback"]["to"] == "https://example.com"
        assert (told["callback"]["attempts"], told["callback"]["lastStatus"]) == (1, 503)

    def test_a_missing_batch_is_reported(self, operator: Operator) -> None:
        assert operator.types("show", "0" * 32) == Status.USAGE
        assert operator.told.startswith(f"batchback: There is no batch {'0' * 32} in stage ")

    def test_a_damaged_batch_is_reported_with_the_way_out(
        self, life: OnMoto, operator: Operator
    ) -> None:
        async_id = life.submit(jobs(1))
        damage(life, async_id, "total", {"S": "many"})
        assert operator.types("show", async_id) == Status.USAGE
        assert operator.told.startswith(f"batchback: Batch {async_id} cannot be shown, because ")
        assert f"from a backup of {life.names.batches_table}, or ask" in operator.told

    def test_a_batch_with_damaged_parts_is_shown_without_them(
        self, life: OnMoto, operator: Operator
    ) -> None:
        async_id = life.submit(jobs(2))
        (terms,) = (part for part in parts(life, async_id) if part.startswith("0#terms#"))
        damaged, _ = (part for part in parts(life, async_id) if "#0jobs#" in part)
        damage(life, async_id, "request_hash", {"N": "1"}, part=terms)
        damage(life, async_id, "packed", None, part=damaged)
        assert operator.types("show", async_id) == Status.OK
        assert operator.read["jobs"]["total"] == 2
        assert f"the stored terms of batch {async_id} are damaged: its callback" in operator.told

    def test_a_stage_without_resources_is_reported(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The adapter's own error, Unavailable, says nothing to the person who can fix it."""
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        for words in (["list"], ["show", "0" * 32], ["redrive"]):
            assert operator.types(*words) == Status.USAGE
            assert "has no resources in eu-west-1" in operator.told


class TestPause:
    def test_no_job_is_called_until_it_is_resumed(self, life: OnMoto, operator: Operator) -> None:
        async_id = life.submit(jobs(2))
        assert operator.types("pause", "--until", "2h", "--reason", "the API moves") == Status.OK
        until = "2026-11-23T16:49:07.000Z"
        assert operator.read == {"pausedUntil": until, "reason": "the API moves"}
        assert "callbacks go on; `batchback ops resume --stage " in operator.told
        for message in life.receive():
            life.deliver(message)
            life.delete(message)
        assert life.platform.calls == []
        operator.types("show", async_id)
        assert operator.read["pause"] == {"until": until, "reason": "the API moves"}
        assert operator.read["waitsUntil"] > "2026-11-23T15:04"
        life.clock.advance(minutes=10)
        operator.types("list", "--stuck")
        assert operator.read == []
        assert operator.types("resume") == Status.OK
        assert operator.read == {"wasPausedUntil": until, "reason": "the API moves"}
        life.clock.advance(minutes=6)
        for message in life.receive():
            life.deliver(message)
        assert len(life.platform.calls) == 2
        operator.types("show", async_id)
        assert operator.read["pause"] is None

    def test_a_pause_that_is_over_does_not_count(self, life: OnMoto, operator: Operator) -> None:
        operator.types("pause", "--until", "1m", "--reason", "x")
        life.clock.advance(minutes=1)
        async_id = life.submit(jobs(1))
        operator.types("show", async_id)
        assert operator.read["pause"] is None
        assert operator.types("resume") == Status.OK
        assert operator.read == {"wasPausedUntil": None, "reason": None}
        assert "there was no pause" in operator.told

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["--reason", "x"], "Missing option '--until'"),
            (["--until", "2h"], "Missing option '--reason'"),
            (["--until", "2h", "--reason", " "], "--reason is empty: give what others"),
            (["--until", "2020-01-01T00:00Z", "--reason", "x"], "is in the past: give"),
            (["--until", "15d", "--reason", "x"], "is more than 14 days away: give"),
            (["--until", "soon", "--reason", "x"], "is not a time: give one with its zone"),
        ],
    )
    def test_a_pause_needs_an_end_and_a_reason(
        self, life: OnMoto, operator: Operator, words: list[str], why: str
    ) -> None:
        assert operator.types("pause", *words) == Status.USAGE
        assert why in operator.told
        life.submit(jobs(1))
        for message in life.receive():
            life.deliver(message)
        assert len(life.platform.calls) == 1

    def test_an_outage_of_the_platform_is_shown_with_the_batch(
        self, life: OnMoto, operator: Operator
    ) -> None:
        life.platform.answer = lambda _: NoReply(reason="no connection to the platform")
        async_id = life.submit(jobs(12))
        for message in life.receive():
            life.deliver(message)
        operator.types("show", async_id)
        assert operator.read["platformDown"] == {
            "since": "2026-11-23T14:49:07.000Z",
            "askedAgainAt": "2026-11-23T14:49:22.000Z",
        }


class TestRedrive:
    @pytest.fixture
    def dead(self, life: OnMoto) -> Queue:
        return Queue(life.names.batches_dead_queue)

    @pytest.fixture
    def home(self, life: OnMoto) -> Queue:
        return Queue(life.names.batches_queue)

    def test_a_batch_whose_messages_died_goes_on(
        self, life: OnMoto, operator: Operator, dead: Queue
    ) -> None:
        async_id = life.submit(jobs(2))
        life.ask("cancel", {"async": async_id})
        *_, check = life.receive()
        dead.put(check["Body"], check["Body"])
        assert operator.types("redrive") == Status.OK
        assert operator.read == {
            "queue": "batches-dead",
            "found": 2,
            "moved": 2,
            "unreadable": 0,
            "batches": {async_id: 2},
        }
        assert f"{async_id} running, messages: 2" in operator.told
        assert dead.count() == (0, 0)
        life.work_off()
        assert life.progress(async_id)["callback"]["status"] == "delivered"

    def test_a_callback_whose_message_died_is_sent(self, life: OnMoto, operator: Operator) -> None:
        async_id = life.submit(jobs(2))
        for message in life.receive():
            life.deliver(message)
            life.delete(message)
        [callback] = life.receive()
        life.delete(callback)
        dead = Queue(life.names.callbacks_dead_queue)
        dead.put(callback["Body"])
        assert operator.types("redrive", "--queue", "callbacks-dead") == Status.OK
        assert (operator.read["queue"], operator.read["moved"]) == ("callbacks-dead", 1)
        assert f"{async_id} completed, messages: 1" in operator.told
        assert dead.count() == (0, 0)
        life.work_off()
        assert life.progress(async_id)["callback"]["status"] == "delivered"

    def test_messages_of_a_damaged_batch_are_moved_too(
        self, life: OnMoto, operator: Operator, dead: Queue
    ) -> None:
        damaged, fine = life.submit(jobs(1)), life.submit(jobs(1))
        damage(life, damaged, "total", {"S": "many"})
        for async_id in (damaged, fine):
            dead.put(json.dumps({"v": 1, "batch": async_id, "account": "demo", "hops": 0}))
        assert operator.types("redrive") == Status.OK
        assert operator.read["moved"] == 2
        assert f"{damaged} unreadable, messages: 1" in operator.told
        assert f"{fine} running, messages: 1" in operator.told

    def test_a_dry_run_moves_nothing_and_leaves_every_message_visible(
        self, life: OnMoto, operator: Operator, dead: Queue, home: Queue
    ) -> None:
        dead.put('{"v": 1, "batch": "a", "account": "demo", "hops": 0}', "{}")
        operator.types("redrive", "--dry-run")
        assert (operator.read["found"], operator.read["moved"]) == (2, 0)
        assert "a gone, messages: 1" in operator.told
        life.clock.advance(seconds=1)
        assert dead.count() == (2, 0)
        assert home.count() == (0, 0)

    def test_messages_that_no_function_can_read_stay(
        self, life: OnMoto, operator: Operator, dead: Queue, home: Queue
    ) -> None:
        """Sent back to its queue, such a message would only die again."""
        strange = ["{}", "[]", "no json", '{"v": 9, "id": "a"}']
        dead.put(*strange)
        operator.types("redrive")
        assert (operator.read["found"], operator.read["unreadable"]) == (4, 4)
        assert "this version cannot read them: 4" in operator.told
        assert "`batchback ops discard --queue batches-dead --stage " in operator.told
        life.clock.advance(seconds=1)
        assert dead.take() == sorted(strange)
        assert home.count() == (0, 0)

    def test_no_more_than_the_limit_are_moved(
        self, operator: Operator, dead: Queue, home: Queue
    ) -> None:
        dead.put(*[check_message(n) for n in range(13)])
        operator.types("redrive", "--limit", "12")
        assert operator.read["moved"] == 12
        assert (dead.count(), home.count()) == ((1, 0), (12, 0))

    @pytest.mark.parametrize("limit", ["0", "1001", "-1", "many"])
    def test_an_invalid_limit_is_refused(self, operator: Operator, limit: str) -> None:
        assert operator.types("redrive", f"--limit={limit}") == Status.USAGE

    def test_a_message_stays_in_its_accounts_group(
        self, operator: Operator, dead: Queue, home: Queue
    ) -> None:
        """The groups make the queues fair."""
        dead.put(check_message(1), check_message(2), group="acme")
        operator.types("redrive")
        assert home.groups() == ["acme", "acme"]

    def test_messages_of_jobs_go_back_to_the_queue_of_jobs(
        self, life: OnMoto, operator: Operator
    ) -> None:
        async_id = life.submit(jobs(2))
        bodies = [message["Body"] for message in life.receive()]
        buried, run = Queue(life.names.jobs_dead_queue), Queue(life.names.jobs_queue)
        buried.put(*bodies)
        operator.types("redrive", "--queue", "jobs-dead")
        assert operator.read["batches"] == {async_id: 2}
        assert (buried.count(), run.count()) == ((0, 0), (2, 2))


class TestDiscard:
    """A message that no version can read would keep its alarm on until SQS deletes it."""

    LATER = '{"v": 9, "id": "a"}'

    @pytest.fixture
    def dead(self, life: OnMoto) -> Queue:
        queue = Queue(life.names.batches_dead_queue)
        queue.put("{}", "no json", self.LATER, check_message(1))
        return queue

    def test_it_is_shown_and_stays_until_the_operator_confirms(
        self, life: OnMoto, operator: Operator, dead: Queue
    ) -> None:
        assert operator.types("discard") == Status.OK
        counts = [operator.read[name] for name in ("found", "unreadable", "discarded")]
        assert counts == [4, 2, 0]
        assert sorted(each["body"] for each in operator.read["messages"]) == ["no json", "{}"]
        assert all(each["messageId"] and each["sentAt"] for each in operator.read["messages"])
        assert "add --yes" in operator.told
        life.clock.advance(seconds=1)
        assert len(dead.take()) == 4

    def test_only_messages_that_no_version_can_read_are_deleted(
        self, life: OnMoto, operator: Operator, dead: Queue
    ) -> None:
        """A later release can read its own messages."""
        assert operator.types("discard", "--yes") == Status.OK
        assert (operator.read["unreadable"], operator.read["discarded"]) == (2, 2)
        assert "a later release wrote them: 1" in operator.told
        life.clock.advance(seconds=1)
        assert dead.take() == sorted([self.LATER, check_message(1)])


def check_message(number: int) -> str:
    return json.dumps({"v": 1, "batch": str(number), "account": "demo", "hops": 0})


class TestHalfWay:
    """A redrive that stops halfway loses nothing."""

    @pytest.fixture
    def letters(self, life: OnMoto) -> Callable[..., dead_letters.DeadLetterQueue]:
        def open_with(client: Any) -> dead_letters.DeadLetterQueue:
            names = life.names
            return dead_letters.of_batches(client, names.batches_dead_queue, names.batches_queue)

        Queue(life.names.batches_dead_queue).put(*[check_message(n) for n in range(3)])
        return open_with

    def test_a_message_that_its_queue_rejects_stays(
        self, life: OnMoto, letters: Callable[..., dead_letters.DeadLetterQueue]
    ) -> None:
        queue = letters(TakesOne(sqs()))
        taken = queue.take(10)
        assert queue.move(taken) == 1
        assert Queue(life.names.batches_queue).take() == [taken[0].body]
        life.clock.advance(seconds=301)
        assert Queue(life.names.batches_dead_queue).take() == sorted(
            each.body for each in taken[1:]
        )

    def test_dying_before_sending_moves_nothing(
        self, life: OnMoto, letters: Callable[..., dead_letters.DeadLetterQueue]
    ) -> None:
        letters(sqs()).take(10)
        life.clock.advance(seconds=301)
        assert len(Queue(life.names.batches_dead_queue).take()) == 3

    def test_dying_before_deleting_sends_messages_twice_at_worst(
        self, life: OnMoto, letters: Callable[..., dead_letters.DeadLetterQueue]
    ) -> None:
        queue = letters(DiesBeforeDeleting(sqs()))
        taken = queue.take(10)
        with pytest.raises(KeyboardInterrupt):
            queue.move(taken)
        assert len(Queue(life.names.batches_queue).take()) == 3
        life.clock.advance(minutes=6)
        assert len(Queue(life.names.batches_dead_queue).take()) == 3


class Sqs:
    """SQS, except for what a subclass changes."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


class TakesOne(Sqs):
    def send_message_batch(self, **request: Any) -> Any:
        first, *rest = request["Entries"]
        answer = self.client.send_message_batch(QueueUrl=request["QueueUrl"], Entries=[first])
        failed = [{"Id": each["Id"], "SenderFault": False, "Code": "x"} for each in rest]
        return {**answer, "Failed": failed}


class DiesBeforeDeleting(Sqs):
    def delete_message_batch(self, **_: Any) -> Any:
        raise KeyboardInterrupt
