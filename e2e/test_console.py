"""The console with exactly the rights that docs/deploying.md gives an operator, on an emulator that
enforces them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from batchback_console.console import SaidJournal, connect
from batchback_console.offers import offer
from batchback_ops import project
from batchback_ops.stage import Stage
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain.batch import Answer, AnswersPart, Counts, Verdict
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.settings import Names
from e2e.emulator import REGION, Emulator
from tests.console import policies
from tests.console.asking import Answer as Answered
from tests.console.asking import Page
from tests.fakes.clock import START, FakeClock
from tests.samples import PLAIN_TERMS, a_batch, some_jobs

STAGE = "dev"
NAMES = Names(STAGE)
#: One job failed.
ENDED = a_batch(
    1,
    state=BatchState.COMPLETED,
    completed_at=START,
    done=frozenset({0}),
    counts=Counts(failed=1),
    next_check_at=None,
    callback=CallbackState.DELIVERED,
)
#: In AWS, the permission for the first includes the second.
BATCH_VERSIONS = {
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:SendMessage": "sqs:SendMessageBatch",
}


Policy = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OperatorsStage(Stage):
    clients: dict[str, Any]

    def client(self, service: str) -> Any:
        return self.clients[service]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        emulator.batchback("resources", "up", "--stage", STAGE)
        yield emulator


@pytest.fixture(scope="module")
def shows(emulator: Emulator) -> Page:
    return page_of(emulator, policies.to_show(STAGE))


@pytest.fixture(scope="module")
def acts(emulator: Emulator) -> Page:
    return page_of(emulator, policies.to_act(STAGE))


def page_of(emulator: Emulator, policy: Policy) -> Page:
    """The page of an operator who has only this policy."""
    iam, name = emulator.client("iam"), f"operator-{len(policy['Statement'])}"
    iam.create_user(UserName=name)
    document = json.dumps(as_the_emulator_reads_it(policy))
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    make: Any = boto3.client
    clients = {
        service: make(
            service,
            endpoint_url=emulator.address,
            region_name=REGION,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        for service in ("dynamodb", "sqs", "cloudwatch")
    }
    over_tls(clients["sqs"])
    stage = OperatorsStage(
        name=STAGE, variables=project.environment(STAGE), environ={}, clients=clients
    )
    return Page(
        connect(
            stage,
            dynamodb=clients["dynamodb"],
            sqs=clients["sqs"],
            clock=FakeClock(),
            journal=SaidJournal(say=lambda _: None),
            may_act=True,
            accounts=lambda: ["acme"],
        )
    )


def as_the_emulator_reads_it(policy: Policy) -> Policy:
    statements = [
        {**each, "Action": [*actions, *(BATCH_VERSIONS[a] for a in actions if a in BATCH_VERSIONS)]}
        for each in policy["Statement"]
        for actions in [[each["Action"]] if isinstance(each["Action"], str) else each["Action"]]
    ]
    return {**policy, "Statement": statements}


def over_tls(client: Any) -> None:
    """The emulator speaks HTTP, and the queues' policy requires TLS."""
    client.meta.events.register(
        "before-sign.sqs",
        lambda request, **_: request.headers.add_header("X-Forwarded-Proto", "https"),
    )


@pytest.fixture(scope="module", autouse=True)
def batch(emulator: Emulator) -> None:
    """An ended batch with a failed job, and its key."""
    store = DynamoBatchStore(emulator.client("dynamodb"), NAMES.batches_table)
    store.save_jobs(ENDED, PLAIN_TERMS, some_jobs(1))
    store.commit(ENDED, START)
    failed = {0: Answer(Verdict.FAILED, '{"errorCode":404,"message":"No such contact"}')}
    store.record(ENDED, 0, AnswersPart(round=1, number=0, answers=failed))
    emulator.batchback(
        *("keys", "import", ENDED.key, "--account", ENDED.account, "--stage", STAGE),
        stdin="secret",
    )


@pytest.fixture
def dead_letter(emulator: Emulator) -> None:
    queues = emulator.client("sqs")
    over_tls(queues)
    url = queues.get_queue_url(QueueName=NAMES.batches_dead_queue)["QueueUrl"]
    body = {"v": 1, "batch": ENDED.batch_id, "account": "acme", "hops": 0}
    queues.send_message(QueueUrl=url, MessageBody=json.dumps(body))


def rerun(page: Page) -> Answered:
    seen = offer("rerunFailed", ENDED, START).seen
    return page.posts(f"/batches/{ENDED.batch_id}/rerunFailed", {"seen": seen})


PAUSE = {"until": "1h", "reason": "ticket 7"}


@pytest.mark.usefixtures("dead_letter")
def test_the_policy_to_show_is_enough_to_show_everything(shows: Page) -> None:
    one = f"/batches/{ENDED.batch_id}"
    for path in ("/batches", "/batches?show=all&account=acme", one, f"{one}/jobs", f"{one}/jobs/0"):
        shows.gets(path)
    assert shows.gets(f"{one}/callback")["state"] == "delivered"
    note = shows.gets("/stage")["ageNote"]
    assert note == "Ages come from CloudWatch, which is a few minutes late."
    [letter] = shows.gets("/stage/dead-letters/batches-dead")["letters"]
    assert letter["batchId"] == ENDED.batch_id


@pytest.mark.usefixtures("dead_letter")
def test_the_policy_to_show_is_not_enough_to_change_anything(shows: Page) -> None:
    """Even though this console allows actions."""
    told = [
        shows.posts("/stage/pause", PAUSE),
        shows.posts("/stage/resume"),
        shows.posts("/stage/dead-letters/batches-dead/redrive"),
        rerun(shows),
    ]
    assert [(each.status, each.body["error"].partition(":")[0]) for each in told] == [
        (502, "AWS denies you PutItem"),
        (502, "AWS denies you DeleteItem"),
        (502, "AWS denies you SendMessageBatch"),
        (502, "AWS denies you GetItem"),
    ]


def test_the_policy_to_act_is_enough_to_act(acts: Page) -> None:
    assert acts.posts("/stage/pause", PAUSE).status == 200
    assert acts.posts("/stage/resume").body["reason"] == "ticket 7"
    made = rerun(acts)
    assert made.status == 200, made.body
    new = acts.gets(f"/batches/{made.body['batchId']}")
    [seen] = [each["seen"] for each in new["actions"] if each["name"] == "cancel"]
    assert acts.posts(f"/batches/{new['id']}/cancel", {"seen": seen}).status == 200
