"""The queues of a stage: SQS counts their messages at each look, and CloudWatch is asked for their
ages once a minute."""

from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from batchback_console.queues import Queues
from batchback_ops.stage import Stage
from tests.console.aws_of_a_stage import Aws
from tests.fakes.clock import START

NAMES = {
    "jobs": "batchback-prod-jobs",
    "batches": "batchback-prod-batches",
    "callbacks": "batchback-prod-callbacks",
    "jobs-dead": "batchback-prod-jobs-dead",
    "batches-dead": "batchback-prod-batches-dead",
    "callbacks-dead": "batchback-prod-callbacks-dead",
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    aws = Aws()
    monkeypatch.setattr(Stage, "client", lambda *_: aws)
    return aws


def queues_of(stage: str) -> Queues:
    return Queues(stage=Stage(name=stage, variables={}, environ={}))


@pytest.fixture
def queues(aws: Aws) -> Queues:  # noqa: ARG001 - its clients
    return queues_of("prod")


def ages(queues: Queues, now: datetime = START) -> dict[str, int | None]:
    return {row["role"]: row["oldestSeconds"] for row in queues.rows(now)}


def test_every_queue_of_the_stage_is_counted(queues: Queues) -> None:
    rows = queues.rows(START)
    assert {row["role"]: row["name"] for row in rows} == NAMES
    assert rows[0] == {
        "role": "jobs",
        "name": "batchback-prod-jobs",
        "visible": 19,
        "inFlight": 21,
        "delayed": 20,
        "oldestSeconds": None,
        "deadRole": "jobs-dead",
    }
    assert [row["deadRole"] for row in rows] == [
        "jobs-dead",
        "batches-dead",
        "callbacks-dead",
        None,
        None,
        None,
    ]


def test_the_newest_age_counts_and_a_queue_without_one_has_none(queues: Queues, aws: Aws) -> None:
    aws.ages = {NAMES["jobs"]: [42.0, 7.0], NAMES["callbacks-dead"]: [0.0]}
    assert ages(queues) == {**dict.fromkeys(NAMES), "jobs": 42, "callbacks-dead": 0}
    assert aws.period == (START - timedelta(minutes=15), START)
    assert queues.age_note() == "Ages come from CloudWatch, which is a few minutes late."


def test_ages_are_requested_together_and_once_a_minute(queues: Queues, aws: Aws) -> None:
    for seconds in range(0, 61, 5):
        queues.rows(START + timedelta(seconds=seconds))
    assert aws.asked == {"GetQueueUrl": 6, "GetQueueAttributes": 6 * 13, "GetMetricData": 2}


def test_without_permission_to_read_ages_the_rest_is_shown(queues: Queues, aws: Aws) -> None:
    aws.ages = {NAMES["jobs"]: [42.0]}
    assert ages(queues)["jobs"] == 42
    denied = {"Error": {"Code": "AccessDenied", "Message": "no GetMetricData for you"}}
    aws.error = ClientError(denied, "GetMetricData")  # type: ignore[arg-type]
    assert ages(queues, START + timedelta(minutes=1)) == dict.fromkeys(NAMES)
    assert queues.age_note() == (
        "Ages are missing: AWS denies you GetMetricData: no GetMetricData for you"
    )


def test_on_this_machine_there_are_no_ages(aws: Aws) -> None:
    queues = queues_of("local")
    assert set(ages(queues).values()) == {None}
    assert queues.age_note() == "The AWS on this machine does not report how old messages are."
    assert aws.asked["GetMetricData"] == 0
