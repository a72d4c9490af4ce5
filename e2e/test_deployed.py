"""The service deployed from the zip by the template: functions with their roles, API Gateway's
routes, queues, the schedule, and an operator's commands. If something here differs from the stage
(on_emulator.py), the doctor must report it, and nothing else.

Everything is in one file, so that one emulator is enough."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from batchback import Refused
from batchback.shell import Status
from botocore.exceptions import ClientError

from batchback_ops import project
from batchback_ops.gateway_responses import NO_SUCH_PATH
from batchback_ops.policies.permissions import PERMISSIONS
from e2e.on_emulator import (
    KEY,
    NAMES,
    OTHER_PARAMETERS,
    PATIENCE_SECONDS,
    SECRET,
    STACK,
    STAGE,
    VISIBILITY_SECONDS,
    OnEmulator,
)
from tests.samples import without_life

#: Long enough if no other worker starts at the same time.
LONGER_THAN_ONE_WORKER_STARTS_SECONDS = 7
WORKERS = ["advance_batch", "bury_jobs", "call_back", "run_jobs", "sweep"]

BY_ITS_PIPELINE = "deploy it with its pipeline (docs/packaging.md)"

Request = dict[str, Any]
Findings = dict[str, dict[str, Any]]


def request(service: OnEmulator, total: int) -> Request:
    jobs = [
        {"namespace": "event", "action": "inviteContacts", "params": {"event": n, "contacts": [7]}}
        for n in range(total)
    ]
    return {"jobs": jobs, "callbackUrl": service.callback_url}


def signed(service: OnEmulator, body: Request) -> str:
    return service.caller.submit(body)["asyncId"]


def basic(service: OnEmulator, body: Request) -> str:
    named = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    answer = requests.post(
        f"{service.address}/api/1.0/batch?action=run",
        json=body,
        headers={"Authorization": f"Basic {named}"},
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status_code == 200, answer.text
    async_id: str = answer.json()["asyncId"]
    return async_id


def callback_of(service: OnEmulator, async_id: str) -> Any:
    """The body of the batch's only callback, once it is delivered."""

    def is_delivered() -> bool:
        return service.caller.progress(async_id)["callback"]["status"] == "delivered"

    service.until(is_delivered, "called back")
    [callback] = [
        each for each in service.receiver.received() if each["body"]["asyncId"] == async_id
    ]
    assert callback["verified"]
    return callback["body"]


def events_of(service: OnEmulator, function: str, event: str) -> list[dict[str, Any]]:
    logged = service.logged(f"{STACK}-{function}")
    return [line for line in logged if line["event"] == event]


def findings(service: OnEmulator, *options: str) -> Findings:
    told = service.emulator.batchback(
        *("doctor", "--stage", STAGE, "--address", service.address, *options),
        status=Status.REFUSED,
    )
    return {each["check"]: each for each in json.loads(told.stdout)}


def wrong(found: Findings) -> dict[str, tuple[str, str]]:
    return {
        check: (each["found"], each["remedy"]) for check, each in found.items() if not each["ok"]
    }


def ops(service: OnEmulator, command: str, *options: str) -> Any:
    return json.loads(service.emulator.batchback("ops", command, "--stage", STAGE, *options).stdout)


class TestGateway:
    @pytest.mark.parametrize("path", ["/", "/api/1.0", "/api/1.0/batch/x"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_an_unknown_path_is_an_error_of_the_contract(
        self, service: OnEmulator, method: str, path: str
    ) -> None:
        answer = requests.request(method, f"{service.address}{path}", timeout=PATIENCE_SECONDS)
        assert (answer.status_code, answer.text) == (NO_SUCH_PATH.status, NO_SUCH_PATH.body)
        assert NO_SUCH_PATH.headers.items() <= answer.headers.items()

    def test_an_unknown_method_is_an_error_of_the_contract(self, service: OnEmulator) -> None:
        url = f"{service.address}/api/1.0/batch?action=run"
        answer = requests.request("TRACE", url, timeout=PATIENCE_SECONDS)
        assert answer.json()["errorCode"] == answer.status_code


class TestBatches:
    @pytest.mark.parametrize("submit", [signed, basic])
    @pytest.mark.parametrize("total", [1, 20, 200])
    def test_jobs_go_in_over_http_and_one_callback_comes_out(
        self, service: OnEmulator, total: int, submit: Callable[[OnEmulator, Request], str]
    ) -> None:
        wanted = request(service, total)
        async_id = submit(service, wanted)
        body = callback_of(service, async_id)
        assert [each["request"] for each in body["results"]] == [
            each["params"] for each in wanted["jobs"]
        ]
        assert all(each["response"]["results"][0]["contact"] == 7 for each in body["results"])
        assert service.caller.results(async_id) == body

    def test_nobody_gets_in_without_a_key(self, service: OnEmulator) -> None:
        answer = requests.post(
            f"{service.address}/api/1.0/test?action=ping", json={}, timeout=PATIENCE_SECONDS
        )
        assert (answer.status_code, answer.json()["errorCode"]) == (401, 401)

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_every_method_reaches_the_service(self, service: OnEmulator, method: str) -> None:
        answer = requests.request(
            method, f"{service.address}/api/1.0/batch?action=run", timeout=PATIENCE_SECONDS
        )
        assert (answer.status_code, answer.json()["errorCode"]) == (405, 405)

    def test_an_error_has_the_shape_that_callers_know(self, service: OnEmulator) -> None:
        with pytest.raises(Refused) as refused:
            service.caller.progress("0" * 32)
        assert (refused.value.error_code, refused.value.specific_code) == (404, 24105)


class TestWorstCases:
    def test_a_job_that_kills_its_workers_is_buried_and_its_batch_ends(
        self, service: OnEmulator
    ) -> None:
        """Three deliveries, three dead workers, the dead-letter queue, `bury_jobs`."""
        wanted = request(service, 2)
        wanted["jobs"][1]["params"]["killsAfter"] = 1
        with service.messages_of_jobs_come_back_after(LONGER_THAN_ONE_WORKER_STARTS_SECONDS):
            async_id = signed(service, wanted)
            good, killer = callback_of(service, async_id)["results"]
        assert good["response"]["results"][0]["status"] == "invited"
        assert killer["response"]["errorCode"] == 461
        assert [each["batch_id"] for each in events_of(service, "bury_jobs", "job buried")] == [
            async_id
        ]
        keys = [without_life(each["idempotencyKey"]) for each in service.platform.calls_so_far()]
        assert keys.count(f"{async_id}-1") == 3

    def test_a_batch_whose_messages_were_lost_is_found_by_the_schedule(
        self, service: OnEmulator
    ) -> None:
        with service.nothing_feeds("run_jobs"):
            async_id = signed(service, request(service, 3))
            service.lose_messages_of_jobs()
        assert service.caller.progress(async_id)["jobs"]["waiting"] == 3
        service.forget_that_it_was_sent(async_id)
        assert len(callback_of(service, async_id)["results"]) == 3
        assert [each["batch_id"] for each in events_of(service, "sweep", "batch swept")] == [
            async_id
        ]


class TestStack:
    def test_functions_have_the_names_that_logs_and_alarms_use(self, service: OnEmulator) -> None:
        functions = service.resources("AWS::Lambda::Function").values()
        assert sorted(functions) == [STACK, *(f"{STACK}-{name}" for name in WORKERS)]
        logs = service.resources("AWS::Logs::LogGroup").values()
        assert sorted(logs) == [f"/aws/lambda/{name}" for name in sorted(functions)]

    def test_it_has_the_parameters_and_tags_of_the_stage(self, service: OnEmulator) -> None:
        cloudformation = service.emulator.client("cloudformation")
        [stack] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
        assert parameters == {**project.stack_parameters(STAGE), **OTHER_PARAMETERS}
        assert {each["Key"]: each["Value"] for each in stack["Tags"]} == project.tags(STAGE)

    def test_the_api_has_only_its_own_stage(self, service: OnEmulator) -> None:
        gateway = service.emulator.client("apigateway")
        api = service.resources("AWS::ApiGateway::RestApi")["RestAPI"]
        stages = [each["stageName"] for each in gateway.get_stages(restApiId=api)["item"]]
        assert stages == [STAGE]

    def test_a_queue_refuses_requests_without_tls(self, service: OnEmulator) -> None:
        """Tests the policy of the stage's queues on another queue, because the stage's had to do
        without it here."""
        policy = json.loads(project.template())["Resources"]["QueuesPolicy"]["Properties"]
        queue = service.over_tls.create_queue(
            QueueName="tls-alone", Attributes={"Policy": json.dumps(policy["PolicyDocument"])}
        )
        message = {"QueueUrl": queue["QueueUrl"], "MessageBody": "{}"}
        with pytest.raises(ClientError, match="AccessDenied"):
            service.emulator.client("sqs").send_message(**message)
        assert service.over_tls.send_message(**message)["MessageId"]

    def test_a_second_deployment_leaves_tables_and_queues_alone(self, service: OnEmulator) -> None:
        changed = service.deploy(MAX_JOBS_PER_BATCH="300")
        assert {"APIHandler", "AdvanceBatch", "BuryJobs", "CallBack", "RunJobs", "Sweep"} <= {
            *changed
        }
        assert not [name for name in changed if name.endswith(("Table", "Queue", "Log"))]
        async_id = signed(service, request(service, 250))
        assert len(callback_of(service, async_id)["results"]) == 250

    def test_resources_up_does_not_remove_its_functions(self, service: OnEmulator) -> None:
        refused = service.emulator.batchback(
            "resources", "up", "--stage", STAGE, status=Status.REFUSED
        )
        assert "A pipeline made the stack" in refused.stderr
        assert service.caller.ping()


class TestDoctor:
    @pytest.fixture
    def expected(self, service: OnEmulator) -> set[str]:
        """What the doctor must report here about a healthy stage."""
        others = "stack", "visibility of jobs", "alarms", "platform"
        everywhere = [
            f"{what} {each}" for each in PERMISSIONS for what in ("function", "policy of")
        ]
        assert service.variables
        return {*others, *everywhere}

    def test_it_reports_only_what_differs_here(
        self, service: OnEmulator, expected: set[str]
    ) -> None:
        caller = ("--key", KEY, "--secret", SECRET, "--callback-url", service.callback_url)
        found = findings(service, *caller)
        told = wrong(found)
        assert {*told} == expected
        assert told["stack"][0].endswith(" in DeletionProtection, JobsVisibilitySeconds")
        assert told["visibility of jobs"][0].startswith(
            f"{VISIBILITY_SECONDS} s, less than 6 times"
        )
        for function in PERMISSIONS:
            others = ", ".join(sorted(service.variables))
            assert told[f"function {function}"][0].endswith(f"config.json in {others}")
            *_, statements = told[f"policy of {function}"][0].partition("committed policy in ")
            assert {*statements.split(", ")} <= {"BatchesQueue", "CallbacksQueue", "JobsQueue"}
        assert {remedy.rpartition(", then ")[2] for _, remedy in told.values()} == {BY_ITS_PIPELINE}
        assert found["ping"]["found"].startswith("answered a signed call at ")
        assert found["batch"]["found"].endswith(": test.ping ran, its callback was delivered")

    def test_broken_parts_are_reported_with_their_remedy(
        self, service: OnEmulator, expected: set[str]
    ) -> None:
        with (
            service.nothing_feeds("bury_jobs") as trigger,
            service.may_no_longer(f"{STACK}-run_jobs", "Keys"),
            service.is_set_by_hand(f"{STACK}-sweep", FLUSH_SECONDS="2"),
        ):
            told = wrong(findings(service, "--no-batch"))
        assert {*told} - expected == {"messages of bury_jobs", "ping", "batch"}
        assert told["messages of bury_jobs"] == (
            f"its source {NAMES.jobs_dead_queue} is Disabled",
            f"aws lambda update-event-source-mapping --uuid {trigger} --enabled",
        )
        assert told["policy of run_jobs"][0].endswith(
            " in BatchesQueue, CallbacksQueue, JobsQueue, Keys"
        )
        assert "FLUSH_SECONDS" in told["function sweep"][0]


class TestOps:
    def test_dead_letters_are_found_and_go_back_to_work(self, service: OnEmulator) -> None:
        """The dead letters of a completed batch whose callback has not been sent since."""
        queue = "callbacks-dead"
        with service.nothing_feeds("call_back"):
            async_id = signed(service, request(service, 3))
            progress = service.caller.progress
            service.until(lambda: progress(async_id)["status"] == "completed", "completed")
            letters = service.give_up_messages_of_callbacks()
        [listed] = [each for each in ops(service, "list") if each["batchId"] == async_id]
        assert (listed["status"], listed["callback"]) == ("completed", "waiting")
        shown = ops(service, "show", async_id)
        assert (shown["jobs"]["succeeded"], shown["callback"]["attempts"]) == (3, 0)
        redrive = "redrive", "--queue", queue
        assert f"batchback ops {' '.join(redrive)} --stage prod" in self.doctor(service)
        found = {"queue": queue, "found": letters, "unreadable": 0}
        found["batches"] = {async_id: letters}
        assert ops(service, *redrive, "--dry-run") == {**found, "moved": 0}
        assert ops(service, *redrive) == {**found, "moved": letters}
        assert len(callback_of(service, async_id)["results"]) == 3
        assert ops(service, "show", async_id)["callback"]["state"] == "delivered"
        assert ops(service, *redrive)["found"] == 0

    def doctor(self, service: OnEmulator) -> str:
        return wrong(findings(service, "--no-batch"))["dead letters"][1]


class TestResources:
    """`batchback resources`, for a second stage."""

    def test_a_stage_is_created_shown_and_deleted(self, service: OnEmulator) -> None:
        stage = ("--stage", "dev")
        queues = service.emulator.client("sqs")
        made = service.emulator.batchback("resources", "up", *stage)
        assert "CREATE_COMPLETE" in made.stderr
        shown = json.loads(service.emulator.batchback("resources", "show", *stage).stdout)
        assert (shown["outOfDate"], shown["openBatches"]) == ([], 0)
        again = service.emulator.batchback("resources", "up", *stage)
        assert "nothing to change" in again.stderr
        service.emulator.batchback("resources", "down", *stage, "--yes")
        assert not queues.list_queues(QueueNamePrefix="batchback-dev-").get("QueueUrls")
        assert queues.list_queues(QueueNamePrefix=f"{STACK}-")["QueueUrls"]
