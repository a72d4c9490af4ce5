"""The service deployed from the zip by the template: functions by their roles, routes of API
Gateway, queues, the schedule."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from batchback.client import Refused
from batchback.shell import Status
from e2e.on_emulator import KEY, PATIENCE_SECONDS, SECRET, STACK, STAGE, OnEmulator

#: Where no others start beside it.
LONGER_THAN_ONE_WORKER_STARTS_SECONDS = 7
WORKERS = ["advance_batch", "bury_jobs", "run_jobs", "sweep"]

Order = dict[str, Any]


def order(service: OnEmulator, total: int) -> Order:
    jobs = [
        {"namespace": "event", "action": "inviteContacts", "params": {"event": n, "contacts": [7]}}
        for n in range(total)
    ]
    return {"jobs": jobs, "callbackUrl": service.callback_url}


def signed(service: OnEmulator, order: Order) -> str:
    return service.caller.submit(order)["asyncId"]


def basic(service: OnEmulator, order: Order) -> str:
    named = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    answer = requests.post(
        f"{service.address}/api/1.0/batch?action=run",
        json=order,
        headers={"Authorization": f"Basic {named}"},
        timeout=PATIENCE_SECONDS,
    )
    assert answer.status_code == 200, answer.text
    async_id: str = answer.json()["asyncId"]
    return async_id


def callback_of(service: OnEmulator, async_id: str) -> Any:
    """The body of the one callback of a batch, once it is delivered."""

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


class TestBatches:
    @pytest.mark.parametrize("submit", [signed, basic])
    @pytest.mark.parametrize("total", [1, 20, 200])
    def test_jobs_go_in_over_http_and_one_callback_comes_out(
        self, service: OnEmulator, total: int, submit: Callable[[OnEmulator, Order], str]
    ) -> None:
        wanted = order(service, total)
        async_id = submit(service, wanted)
        body = callback_of(service, async_id)
        assert [each["request"] for each in body["results"]] == [
            each["params"] for each in wanted["jobs"]
        ]
        assert all(each["response"]["results"][0]["contact"] == 7 for each in body["results"])
        assert service.caller.results(async_id) == body

    def test_nobody_comes_in_without_a_key(self, service: OnEmulator) -> None:
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
        wanted = order(service, 2)
        wanted["jobs"][1]["params"]["killsAfter"] = 1
        with service.messages_of_jobs_come_back_after(LONGER_THAN_ONE_WORKER_STARTS_SECONDS):
            async_id = signed(service, wanted)
            good, killer = callback_of(service, async_id)["results"]
        assert good["response"]["results"][0]["status"] == "invited"
        assert killer["response"]["errorCode"] == 461
        assert [each["batch_id"] for each in events_of(service, "bury_jobs", "job buried")] == [
            async_id
        ]
        keys = [each["idempotencyKey"] for each in service.platform.calls_so_far()]
        assert keys.count(f"{async_id}-1") == 3

    def test_a_batch_whose_messages_were_lost_is_woken_by_the_schedule(
        self, service: OnEmulator
    ) -> None:
        with service.nothing_feeds("run_jobs"):
            async_id = signed(service, order(service, 3))
            service.lose_messages_of_jobs()
        assert service.caller.progress(async_id)["jobs"]["waiting"] == 3
        service.put_alarm_forward(async_id)
        assert len(callback_of(service, async_id)["results"]) == 3
        assert [each["batch_id"] for each in events_of(service, "sweep", "batch swept")] == [
            async_id
        ]


class TestStack:
    def test_functions_have_the_names_that_logs_and_alarms_go_by(self, service: OnEmulator) -> None:
        functions = service.resources("AWS::Lambda::Function").values()
        assert sorted(functions) == [STACK, *(f"{STACK}-{name}" for name in WORKERS)]
        logs = service.resources("AWS::Logs::LogGroup").values()
        assert sorted(logs) == [f"/aws/lambda/{name}" for name in sorted(functions)]

    def test_the_api_has_no_stage_but_its_own(self, service: OnEmulator) -> None:
        gateway = service.emulator.client("apigateway")
        api = service.resources("AWS::ApiGateway::RestApi")["RestAPI"]
        stages = [each["stageName"] for each in gateway.get_stages(restApiId=api)["item"]]
        assert stages == [STAGE]

    def test_a_second_deployment_leaves_tables_and_queues_alone(self, service: OnEmulator) -> None:
        changed = service.deploy(MAX_JOBS_PER_BATCH="300")
        assert {"APIHandler", "AdvanceBatch", "BuryJobs", "RunJobs", "Sweep"} <= {*changed}
        assert not [name for name in changed if name.endswith(("Table", "Queue", "Log"))]
        async_id = signed(service, order(service, 250))
        assert len(callback_of(service, async_id)["results"]) == 250

    def test_resources_up_does_not_take_its_functions_away(self, service: OnEmulator) -> None:
        refused = service.emulator.batchback(
            "resources", "up", "--stage", STAGE, status=Status.REFUSED
        )
        assert "is a pipeline's" in refused.stderr
        assert service.caller.ping()


class TestResources:
    """`batchback resources`, of a stage beside the one that is deployed."""

    def test_a_stage_comes_is_shown_and_goes(self, service: OnEmulator) -> None:
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
