"""In these stories, each function uses every permission of its policy and needs no other.

Needing no other is checked in every story: see the fixture `life`."""

import json
from contextlib import suppress
from typing import Any

import boto3
import pytest

from batchback_ops.policies.permissions import PERMISSIONS
from chalicelib import wiring
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Job
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.submission import Submission
from tests.chalice_deployment import deployed
from tests.description import description
from tests.fakes.http import Call, echo
from tests.stories.jobs import echoes, jobs
from tests.stories.on_moto import CALLBACK_URL, OnMoto
from tests.stories.outages import failing


def test_no_call_is_denied(told: OnMoto) -> None:
    assert told.iam.denied == []


@pytest.mark.parametrize("function", PERMISSIONS)
def test_every_permission_is_used(told: OnMoto, function: str) -> None:
    assert told.iam.unused(function) == set()


def test_every_action_is_asked_for(told: OnMoto) -> None:
    """Otherwise nothing here would notice that the policy does not allow its calls."""
    asked = {line["action"] for line in told.journal.of("request")}
    assert {*description().actions} - asked == set(), "ask for these in a story of this file"


@pytest.fixture(scope="module")
def told(aws: None) -> OnMoto:  # noqa: ARG001 - moto must be up
    """All stories, one after the other, in one stage."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        life = OnMoto(monkeypatch)
        for tell in STORIES:
            tell(life)
    return life


def a_batch_runs_and_is_followed(life: OnMoto) -> None:
    async_id = life.submit(jobs(40), Idempotency_Key="order-1")
    assert life.submit(jobs(40), Idempotency_Key="order-1") == async_id
    assert life.ask("results", {"async": async_id, "partial": True})["results"] == []
    life.work_off()
    assert life.progress(async_id)["progress"] == 100
    assert life.responses(async_id) == echoes(40)
    assert json.loads(life.results(async_id, start=30, perPage=5))["meta"]["count"] == 5
    assert life.posts_of(async_id) == [life.results(async_id)]
    assert life.ask("list", {})["results"][0]["asyncId"] == async_id
    assert life.ask("ping", {}, namespace="test")["ack"]


def a_batch_is_cancelled_restarted_and_reposted(life: OnMoto) -> None:
    async_id = life.submit(jobs(40))
    life.ask("cancel", {"async": async_id})
    messages = life.receive()
    for message in reversed(messages):  # the check comes first, and answers for all jobs
        life.deliver(message)
        life.delete(message)
    life.work_off()
    assert life.progress(async_id)["status"] == "cancelled"
    life.ask("restart", {"async": async_id})
    life.work_off()
    assert life.responses(async_id) == echoes(40)
    life.ask("repost", {"async": async_id})
    life.work_off()
    assert len(life.posts_of(async_id)) == 3


def open_batches_are_limited_and_a_place_is_left_behind(life: OnMoto) -> None:
    life.configure(MAX_OPEN_BATCHES="1")
    life.submit(jobs(1))
    life.configure()
    life.work_off()  # and no slot is freed
    life.configure(MAX_OPEN_BATCHES="1")
    life.submit(jobs(1))
    life.work_off()
    life.configure()


def a_commit_is_lost_and_voided(life: OnMoto) -> None:
    with failing(life.dynamodb, "PutItem"):
        status, answer = life.call("run", {"jobs": jobs(3), "callbackUrl": CALLBACK_URL})
    assert (status, json.loads(answer)["specificCode"]) == (500, 24091)
    life.work_off()


def jobs_and_a_callback_are_retried(life: OnMoto) -> None:
    """One job is retried after a wait so long that the next check is moved behind it."""
    life.platform.answer = lambda call: (
        echo(call)
        if life.platform.calls.count(call) > 1
        else Reply(status=503, retry_after="300" if call.params["n"] else None)
    )
    life.receiver.answers = [Reply(status=500)]
    async_id = life.submit(jobs(2))
    life.work_off()
    assert life.responses(async_id) == echoes(2)
    assert life.progress(async_id)["callback"]["attempts"] == 2
    life.platform.answer = echo


def a_worker_dies_once_and_another_each_time(life: OnMoto) -> None:
    """One job survives at its third call, under a marker; another never does, and is buried."""
    life.configure(JOBS_PER_MESSAGE="5")

    def deadly(call: Call) -> Reply | NoReply:
        calls = life.platform.calls.count(call)
        if call.action == "poison" or (call.action == "frail" and calls < 3):
            raise WorkerDied
        return echo(call)

    life.platform.answer = deadly
    async_id = life.submit([*jobs(1, "poison"), *jobs(38), *jobs(1, "frail")])
    while life.progress(async_id)["status"] == "running":
        deliver_in_spite_of_deaths(life)
        life.clock.advance(seconds=361)  # the visibility timeout is over
    life.work_off()
    assert life.journal.of("message split")
    assert life.journal.of("job buried")
    first, *_, last = life.responses(async_id)
    assert (first["errorCode"], last) == (461, {"echo": {"n": 0}})
    assert len(life.posts_of(async_id)) == 1
    life.platform.answer = echo
    life.configure()


def too_many_jobs_fail(life: OnMoto) -> None:
    """One worker notices it while running jobs, another while burying a job that killed its
    workers. In both batches the second job is waiting for its next call."""

    def fail(call: Call) -> Reply:
        if call.action == "poison":
            raise WorkerDied
        return Reply(status=429 if call.action == "waits" else 404, retry_after="3000", body=b"{}")

    life.platform.answer = fail
    for action in ("fails", "poison"):
        async_id = submit_with_limit(life, action, "waits")
        while life.progress(async_id)["status"] == "running":
            deliver_in_spite_of_deaths(life)
            life.clock.advance(seconds=361)  # the visibility timeout is over
        assert life.progress(async_id)["status"] == "stopped"
    life.work_off()
    assert len(life.journal.of("batch stopped")) == 2
    life.platform.answer = echo


def the_queue_is_down_and_the_sweep_has_the_batch_checked(life: OnMoto) -> None:
    with failing(life.sqs, "SendMessageBatch"):
        async_id = life.submit(jobs(3))
    assert life.receive() == []
    life.clock.advance(seconds=61)
    life.sweep()
    life.work_off()
    assert life.journal.of("chunks sent")
    assert life.posts_of(async_id) == [life.results(async_id)]


def the_messages_are_lost_and_a_sentinel_finds_out(life: OnMoto) -> None:
    async_id = life.submit(jobs(3))
    for message in life.receive():
        life.delete(message)
    life.clock.advance(minutes=31)
    life.sweep()
    life.work_off()
    assert life.journal.of("chunks sent again")
    assert life.posts_of(async_id) == [life.results(async_id)]


def the_database_is_down_while_a_batch_is_checked(life: OnMoto) -> None:
    async_id = life.submit(jobs(3))
    life.ask("cancel", {"async": async_id})
    *_, check = life.receive()
    with failing(life.dynamodb, "GetItem"):
        life.deliver(check)
    life.delete(check)
    assert life.journal.of("message handed on")
    life.work_off()
    assert life.progress(async_id)["status"] == "cancelled"
    life.clock.advance(minutes=12)  # so that the messages this story received and left come back
    life.work_off()


def the_message_of_a_callback_is_lost(life: OnMoto) -> None:
    async_id = life.submit(jobs(1))
    for _ in ("the job", "the callback"):
        for message in life.receive():
            if life.function_of(message) != "call_back":
                life.deliver(message)
            life.delete(message)
    life.clock.advance(minutes=4)
    life.sweep()
    life.work_off()
    assert life.posts_of(async_id) == [life.results(async_id)]


def a_batch_expires_before_it_is_checked(life: OnMoto) -> None:
    async_id = life.submit(jobs(3))
    life.clock.advance(hours=61)
    life.sweep()
    assert life.head(async_id).due_at is None
    assert life.call("progress", {"async": async_id})[0] == 404
    life.work_off()
    assert life.journal.of("message out of date")


def the_platforms_header_is_kept_in_parameter_store(life: OnMoto) -> None:
    boto3.client("ssm").put_parameter(
        Name=life.names.platform_header, Value="X-Key: fixed", Type="SecureString"
    )
    life.configure(PLATFORM_AUTH="header", PLATFORM_HEADER="ssm")
    with life.iam.acting("run_jobs"):
        header = wiring.platform_header(life.settings, life.clock, life.journal)
        assert header() == ("X-Key", "fixed")
    life.configure()


def lambda_writes_the_logs(life: OnMoto) -> None:
    """Log on behalf of the functions. The code makes no such calls and Lambda is not here, so these
    are Lambda's calls as AWS documents them."""
    logs: Any = boto3.client("logs")
    life.iam.watch(logs)
    stage = life.names.stage
    configuration = {"app_name": "batchback", "stages": {stage: {"autogen_policy": True}}}
    for function, found in deployed(stage, configuration).items():
        group, stream = f"/aws/lambda/{found.lambda_name}", "2026/11/23/[$LATEST]0"
        event = {"timestamp": int(life.clock.now().timestamp() * 1000), "message": "{}"}
        with life.iam.acting(function):
            with suppress(logs.exceptions.ResourceAlreadyExistsException):
                logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])


STORIES = [
    a_batch_runs_and_is_followed,
    a_batch_is_cancelled_restarted_and_reposted,
    open_batches_are_limited_and_a_place_is_left_behind,
    a_commit_is_lost_and_voided,
    jobs_and_a_callback_are_retried,
    a_worker_dies_once_and_another_each_time,
    too_many_jobs_fail,
    the_queue_is_down_and_the_sweep_has_the_batch_checked,
    the_messages_are_lost_and_a_sentinel_finds_out,
    the_database_is_down_while_a_batch_is_checked,
    the_message_of_a_callback_is_lost,
    a_batch_expires_before_it_is_checked,
    the_platforms_header_is_kept_in_parameter_store,
    lambda_writes_the_logs,
]


class WorkerDied(BaseException):
    """Ends the whole invocation, as an unexpected error does."""


def submit_with_limit(life: OnMoto, *actions: str) -> str:
    """Submit a batch of which no job may fail."""
    submission = Submission(
        jobs=tuple(Job(index, "event", action, "{}") for index, action in enumerate(actions)),
        callback_url=CALLBACK_URL,
        max_failed=0,
    )
    caller = Caller(account="demo", key="demo")
    with life.iam.acting("api_handler"):
        submitter = life.container("api_handler").submitter
        return submitter.submit_batch(caller, submission, b"{}").batch_id


def deliver_in_spite_of_deaths(life: OnMoto) -> None:
    for message in life.receive():
        try:
            life.deliver(message)
        except WorkerDied:
            continue  # so it comes back
        life.delete(message)
