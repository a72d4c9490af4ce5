"""A stage on moto's AWS as an operator sees it in the console, with no more rights than
docs/deploying.md gives."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from batchback_console.console import Console
from batchback_console.offers import offer
from batchback_ops.ops import dead_letters
from batchback_ops.stage import Stage
from chalicelib import wiring
from chalicelib.adapters.sequential import Sequential
from chalicelib.domain.outcome import Reply
from chalicelib.service import Service
from tests.console import policies
from tests.console.asking import Answer, Page
from tests.iam.enforcement import Enforcement
from tests.iam.policy import Policy
from tests.stories.jobs import jobs
from tests.stories.on_moto import CALLBACK_URL, OnMoto

SHOW, ACT = "to show", "to act"
#: What the doctor's checks need is tried with a whole stage, in tests/ops/test_doctor.py.
OF_THE_DOCTOR = {"Doctor", "Lists"}


@dataclass(frozen=True, kw_only=True)
class OperatorsStage(Stage):
    """A stage, over clients that an operator's policy limits."""

    clients: dict[str, Any]

    def client(self, service: str) -> Any:
        return self.clients[service]


class Operator:
    """Somebody with the rights of docs/deploying.md, and the console on their machine."""

    def __init__(self, life: OnMoto) -> None:
        self.life = life
        name = life.names.stage
        self.iam = Enforcement(
            {SHOW: Policy(policies.to_show(name)), ACT: Policy(policies.to_act(name))}
        )
        self._clients: dict[str, Any] = {
            service: boto3.client(service) for service in ("dynamodb", "sqs", "cloudwatch")
        }
        for client in self._clients.values():
            self.iam.watch(client)
        self._pages = {
            SHOW: Page(self._console(may_act=False)),
            ACT: Page(self._console(may_act=True)),
        }

    def gets(self, path: str) -> Any:
        with self.iam.acting(SHOW):
            return self._pages[SHOW].gets(path)

    def posts(self, path: str, body: object = None) -> Answer:
        with self.iam.acting(ACT):
            return self._pages[ACT].posts(path, body)

    def does(self, name: str, async_id: str) -> Any:
        """Do something to a batch, and return the answer."""
        seen = offer(name, self.life.head(async_id), self.life.clock.now()).seen
        answer = self.posts(f"/batches/{async_id}/{name}", {"seen": seen})
        assert answer.status == 200, answer.body
        return answer.body

    def _console(self, *, may_act: bool) -> Console:
        life = self.life
        stage = OperatorsStage(
            name=life.names.stage,
            variables={"STAGE": life.names.stage, "PLATFORM_ADDRESS": "http://127.0.0.1:9"},
            environ={},
            clients=self._clients,
        )
        ports = wiring.connect(
            stage.settings,
            clock=life.clock,
            journal=life.journal,
            concurrent_requests=Sequential(),
            dynamodb=self._clients["dynamodb"],
            sqs=self._clients["sqs"],
        )
        return Console(
            stage=stage,
            store=ports.store,
            keys=ports.keys,
            service=Service(stage.settings, ports),
            clock=life.clock,
            may_act=may_act,
            accounts=lambda: ["demo"],
        )


@pytest.fixture
def operator(life: OnMoto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", 0)
    operator = Operator(life)
    yield operator
    assert operator.iam.denied == []


def check_message(async_id: str) -> str:
    return json.dumps({"v": 1, "batch": async_id, "account": "demo", "hops": 0})


def put(queue: str, *bodies: str) -> None:
    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName=queue)["QueueUrl"]
    for body in bodies:
        client.send_message(QueueUrl=url, MessageBody=body)


def counts(operator: Operator) -> dict[str, tuple[int, int, int]]:
    return {
        row["role"]: (row["visible"], row["inFlight"], row["delayed"])
        for row in operator.gets("/stage")["queues"]
    }


class TestQueues:
    def test_messages_are_counted_by_where_they_are(self, life: OnMoto, operator: Operator) -> None:
        life.submit(jobs(3))
        life.receive()
        life.submit(jobs(2))
        put(life.names.callbacks_dead_queue, "{}")
        assert counts(operator) == {
            "jobs": (2, 3, 0),
            "batches": (0, 0, 0),
            "callbacks": (0, 0, 0),
            "jobs-dead": (0, 0, 0),
            "batches-dead": (0, 0, 0),
            "callbacks-dead": (1, 0, 0),
        }


class TestDeadLetters:
    LATER = '{"v": 9, "id": "a"}'

    def test_they_are_shown_and_stay(self, life: OnMoto, operator: Operator) -> None:
        order = {"jobs": jobs(1), "label": "nightly", "callbackUrl": CALLBACK_URL}
        async_id = life.ask("run", order)["asyncId"]
        put(life.names.batches_dead_queue, check_message(async_id), "x" * 300, self.LATER)
        shown = operator.gets("/stage/dead-letters/batches-dead")
        assert shown["hiddenSeconds"] == 30
        assert sorted(
            (
                (each["state"], each["batchId"], each["label"], each["body"])
                for each in shown["letters"]
            ),
            key=lambda letter: letter[0],
        ) == [
            ("readable", async_id, "nightly", check_message(async_id)),
            ("tooNew", None, None, self.LATER),
            ("unreadable", None, None, "x" * 200),
        ]
        assert all(each["sentAt"] == "2026-11-23T14:49:07.000Z" for each in shown["letters"])
        life.clock.advance(seconds=1)
        assert counts(operator)["batches-dead"] == (3, 0, 0)

    def test_they_go_back_to_work(self, life: OnMoto, operator: Operator) -> None:
        put(life.names.batches_dead_queue, check_message("1"), "{}")
        answer = operator.posts("/stage/dead-letters/batches-dead/redrive")
        assert (answer.status, answer.body["moved"], answer.body["unreadable"]) == (200, 1, 1)
        assert answer.body["said"][:2] == [
            "dead messages: 1, of 1 batches",
            "  1 gone, messages: 1",
        ]
        life.clock.advance(seconds=1)
        assert counts(operator)["batches"] == (1, 0, 0)
        assert counts(operator)["batches-dead"] == (1, 0, 0)

    def test_only_what_no_version_can_read_is_discarded(
        self, life: OnMoto, operator: Operator
    ) -> None:
        put(life.names.callbacks_dead_queue, check_message("1"), "{}", self.LATER)
        answer = operator.posts("/stage/dead-letters/callbacks-dead/discard")
        assert (answer.body["found"], answer.body["discarded"]) == (3, 1)
        assert ["later release" in line for line in answer.body["said"]] == [True]
        life.clock.advance(seconds=1)
        assert counts(operator)["callbacks-dead"] == (2, 0, 0)


class TestPause:
    def test_it_holds_up_jobs_until_it_is_ended(self, life: OnMoto, operator: Operator) -> None:
        said = operator.posts("/stage/pause", {"until": "1h", "reason": "ticket 7"}).body["said"]
        assert said.startswith("Workers stop calling the platform within 5 seconds")
        assert operator.gets("/stage")["pause"] == {
            "until": "2026-11-23T15:49:07.000Z",
            "reason": "ticket 7",
        }
        life.submit(jobs(1))
        for message in life.receive():
            life.deliver(message)
        assert life.platform.calls == []
        said = operator.posts("/stage/resume").body["said"]
        assert said == "Jobs run again; those that are waiting go on within 15 minutes."
        assert operator.gets("/stage")["pause"] is None


class TestABatch:
    def test_its_actions_reach_the_platform_and_the_receiver(
        self, life: OnMoto, operator: Operator
    ) -> None:
        life.platform.answer = lambda call: Reply(
            status=500 if call.params["n"] else 200, body=b"{}"
        )
        async_id = life.submit(jobs(2))
        life.work_off()
        assert operator.does("restart", async_id)["batchId"] == async_id
        life.work_off()
        assert life.head(async_id).round == 2
        life.clock.advance(minutes=3)
        operator.does("repost", async_id)
        life.work_off()
        assert len(life.posts_of(async_id)) == 3
        new_id = operator.does("rerunFailed", async_id)["batchId"]
        assert life.progress(new_id)["jobs"]["total"] == 1
        operator.does("cancel", new_id)
        life.work_off()
        assert life.head(new_id).status == "cancelled"


def test_the_policies_grant_nothing_that_is_not_needed(life: OnMoto, operator: Operator) -> None:
    life.platform.answer = lambda _: Reply(status=500)
    async_id = life.submit(jobs(2))
    life.work_off()
    for path in (
        "/batches",
        "/batches?show=all&account=demo",
        f"/batches/{async_id}",
        f"/batches/{async_id}/jobs",
        f"/batches/{async_id}/jobs/1",
        f"/batches/{async_id}/callback",
        "/stage",
    ):
        operator.gets(path)
    put(life.names.batches_dead_queue, check_message(async_id), "{}")
    operator.gets("/stage/dead-letters/batches-dead")
    life.clock.advance(seconds=1)
    operator.posts("/stage/dead-letters/batches-dead/redrive")
    operator.posts("/stage/pause", {"until": "1h", "reason": "ticket 7"})
    operator.posts("/stage/resume")
    operator.does("rerunFailed", async_id)
    life.clock.advance(minutes=3)
    operator.does("repost", async_id)
    operator.does("restart", async_id)
    of_showing = {each.statement for each in operator.iam.policies[SHOW].permissions}
    assert not [each for each in operator.iam.unused(SHOW) if each.statement not in OF_THE_DOCTOR]
    assert not [each for each in operator.iam.unused(ACT) if each.statement not in of_showing]
