"""The whole local service, started as any user starts it, and driven over real HTTP."""

import io
import json
import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

import psutil
import pytest
import requests
from batchback import Client, Job, Refused
from batchback.cli import main
from batchback.listening import Inbox, Kind, listening
from batchback.shell import Shell

from batchback_local.live.process import ServiceProcess, is_alive
from batchback_local.live.service import LiveService
from batchback_local.live.waiting import tries, until
from tests.leaks import found_in
from tests.samples import without_life
from tests.trials.large import VARIABLES, Large
from tests.trials.soak import Plan, Soak

#: Nothing here takes this long unless it is broken.
PATIENCE_SECONDS = 300
#: A soak small enough for every run. No batch can end before both workers are dead. So none of them
#: dies during a delivery, which would only be retried when its lease ends, minutes later.
SHORT = Plan(
    seed=7,
    batches=4,
    jobs=8,
    workers=2,
    kills=2,
    pause_seconds=(0.1, 0.3),
    visibility_seconds=3,
    call_ms=1_500,
    failures=6,
    patience_seconds=PATIENCE_SECONDS,
)


class Local(LiveService):
    """A running service, and a caller of it."""

    def __init__(self, process: ServiceProcess) -> None:
        self.process = process
        self.where = process.where()
        super().__init__(self.where, PATIENCE_SECONDS)

    @property
    def callback_url(self) -> str:
        return f"{self.where['receiver']}/callback"

    def send(
        self, target: str, body: bytes = b"{}", method: str = "POST", **headers: str
    ) -> requests.Response:
        """Send a request with HTTP Basic, exactly as given."""
        return self._http.request(
            method,
            f"{self.where['address']}{target}",
            data=body,
            auth=(self.where["key"], self.where["secret"]),
            headers={
                "Content-Type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            timeout=PATIENCE_SECONDS,
        )

    def run(self, jobs: list[Job]) -> str:
        return self.client.run(jobs, self.callback_url)["asyncId"]

    def called_back(self, async_id: str) -> dict[str, Any]:
        """The batch's callback, once it has arrived and counts as delivered."""
        for _ in tries("called back", PATIENCE_SECONDS):
            if self.client.progress(async_id)["callback"]["status"] == "delivered":
                break
        [post] = [post for post in self.get("receiver", "/received") if async_id in post["raw"]]
        found: dict[str, Any] = post
        return found


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServiceProcess]]:
    """Two services that start at the same time: one with its workers inside it and a job timeout
    that only a hanging platform exceeds, one with workers that can be killed."""
    first = ServiceProcess(tmp_path_factory.mktemp("first"), variables={"JOB_TIMEOUT_SECONDS": "5"})
    second = ServiceProcess(
        tmp_path_factory.mktemp("second"), *SHORT.options, variables=SHORT.variables | VARIABLES
    )
    with first, second:
        yield [first, second]


@pytest.fixture(scope="module")
def local(processes: list[ServiceProcess]) -> Iterator[Local]:
    with Local(processes[0]) as local:
        yield local


@pytest.fixture(scope="module")
def beside(processes: list[ServiceProcess]) -> Iterator[Local]:
    with Local(processes[1]) as local:
        yield local


def invitation(event: int, *contacts: int) -> Job:
    params = {"event": event, "contacts": [*contacts]}
    return {"namespace": "event", "action": "inviteContacts", "params": params}


class TestConsole:
    def test_it_shows_a_batch_and_the_callback_that_arrived(self, local: Local) -> None:
        async_id = local.run([invitation(1, 1), {"namespace": "no", "action": "such"}])
        local.called_back(async_id)
        page, token = urldefrag(local.where["console"])
        bearer = {"Authorization": f"Bearer {token.removeprefix('token=')}"}

        def get(path: str) -> Any:
            asked = f"{page}api/batches{path}"
            return requests.get(asked, headers=bearer, timeout=PATIENCE_SECONDS).json()

        assert async_id in [row["id"] for row in get("")["batches"]]
        assert get(f"/{async_id}")["grid"] == "sf"
        assert get(f"/{async_id}/jobs/1")["error"] == "404 There is no no.such"
        (received,) = get(f"/{async_id}/callback")["received"]
        assert received["verified"]
        assert received["raw"].encode() == local.results(async_id).content


class TestCalling:
    def test_the_two_jobs_of_the_contract_come_back_in_one_callback(self, local: Local) -> None:
        jobs = [invitation(1, 1, 2, 3), invitation(2, 1, 2, 4)]
        async_id = local.run(jobs)
        assert re.fullmatch(r"[0-9a-f]{32}", async_id)
        callback = local.called_back(async_id)
        assert callback["verified"]
        assert re.fullmatch(rf"{async_id}-[0-9a-f]{{8}}-1", callback["headers"]["webhook-id"])
        assert callback["raw"].encode() == local.results(async_id).content
        assert callback["body"]["asyncId"] == async_id
        for job, result in zip(jobs, callback["body"]["results"], strict=True):
            assert (result["namespace"], result["action"]) == ("event", "inviteContacts")
            assert result["request"] == job["params"]
            invited = result["response"]["results"]
            assert [each["contact"] for each in invited] == job["params"]["contacts"]
            assert {*invited[0]} == {"contact", "status", "inviteLinkYes", "inviteLinkNo"}

    def test_two_hundred_jobs_come_back_in_order_the_same_bytes_as_results(
        self, local: Local
    ) -> None:
        async_id = local.run([invitation(5, n) for n in range(200)])
        callback = local.called_back(async_id)
        assert callback["raw"].encode() == local.results(async_id).content
        assert [
            result["response"]["results"][0]["contact"] for result in callback["body"]["results"]
        ] == [*range(200)]
        made = [
            without_life(call["idempotencyKey"])
            for call in local.get("platform", "/calls")
            if call["idempotencyKey"].startswith(async_id)
        ]
        assert sorted(made) == sorted(f"{async_id}-{index}" for index in range(200))
        progress = local.client.progress(async_id)
        assert (progress["progress"], progress["status"]) == (100, "completed")

    def test_batchback_listen_receives_the_callback(self, local: Local, tmp_path: Path) -> None:
        secrets = [local.where["callbackSecret"]]
        inbox = Inbox(secrets=secrets, now=lambda: datetime.now(UTC), folder=tmp_path)
        with listening(inbox, "127.0.0.1", 0) as listener:
            batch = local.client.run([invitation(1, 1)], listener.url)
            arrival = next(iter(listener.arrivals()))
        assert arrival.kind is Kind.NEW
        assert arrival.body == local.results(batch["asyncId"]).content
        assert arrival.file
        environ = {"BATCHBACK_CALLBACK_SECRET": secrets[0]}
        shell = Shell(environ=environ, stdout=io.StringIO(), stderr=io.StringIO())
        assert main(["verify", str(arrival.file)], shell=shell) == 0

    def test_each_job_gets_the_behavior_configured_on_the_platform(self, local: Local) -> None:
        told: dict[str, dict[str, object]] = {
            "refuses": {"status": 400},
            "hangs": {"sleepMs": 20_000, "status": 200, "times": 1},
            "recovers": {"status": 500, "times": 1},
            "html": {"status": 200, "body": "<html>", "contentType": "text/html"},
            "large": {"status": 200, "bytes": 3_000_000},
        }
        for action, wish in told.items():
            local.tell("platform", {"namespace": "story", "action": action, **wish})
        async_id = local.run(
            [{"namespace": "story", "action": action, "params": {}} for action in told]
        )
        callback = local.called_back(async_id)
        refuses, hangs, recovers, html, large = [
            result["response"] for result in callback["body"]["results"]
        ]
        assert (refuses["errorCode"], refuses["message"]) == (400, "As POST /behave asked")
        assert hangs["errorCode"] == recovers["errorCode"] == 404  # the second call got through
        assert (html["errorCode"], html["body"]) == (461, "<html>")
        assert "response of 3000000 bytes is over the limit" in large["message"]
        calls = [
            call["action"]
            for call in local.get("platform", "/calls")
            if call["idempotencyKey"].startswith(async_id)
        ]
        assert {action: calls.count(action) for action in told} == {
            "refuses": 1,
            "hangs": 2,
            "recovers": 2,
            "html": 1,
            "large": 1,
        }
        assert callback["raw"].encode() == local.results(async_id).content

    def test_ping_answers_signed_and_password_requests(self, local: Local) -> None:
        pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
        assert re.fullmatch(pattern, local.client.ping()["ack"])
        answer = local.send("/api/1.0/test?action=ping", b"[]")
        assert re.fullmatch(pattern, answer.json()["ack"])

    def test_without_a_valid_key_every_answer_is_the_same(self, local: Local) -> None:
        async_id = local.run([invitation(9, 9)])
        stranger = Client(local.where["address"], "demo", "wrong")
        with stranger, pytest.raises(Refused) as refused:
            stranger.progress(async_id)
        assert (refused.value.error_code, refused.value.specific_code) == (401, 0)
        local.called_back(async_id)


class TestErrors:
    @pytest.mark.parametrize(
        ("target", "request_", "error_code", "specific_code"),
        [
            ("/api/1.0/nonsense?action=run", {}, 404, 0),
            ("/api/1.0/batch?action=nonsense", {}, 404, 0),
            ("/api/1.0/batch", {}, 400, 23017),
            ("/api/1.0/batch?action=run", {"method": "GET"}, 405, 0),
            ("/api/1.0/batch?action=run", {"method": "PUT"}, 405, 0),
            ("/api/1.0/batch?action=run", {"Content_Type": "text/plain"}, 415, 0),
            ("/api/1.0/batch?action=run", {"body": b" " * 3_500_001}, 413, 0),
            ("/api/1.0/batch?action=run", {"body": b'{"jobs": [NaN]}'}, 400, 23016),
            ("/api/1.0/batch?action=run", {"body": b'{"jobs": ['}, 400, 23016),
            ("/api/1.0/batch?action=run", {"body": b"\xff"}, 400, 23016),
            ("/api/1.0/batch?action=run", {"body": b""}, 400, 23017),
            ("/api/1.0/batch?action=run", {"body": b'{"jobs":[]}'}, 400, 24093),
            ("/api/1.0/batch?action=progress", {"body": b'{"async":"%032d"}' % 0}, 404, 24105),
            ("/api/1.0/batch?action=results", {"body": b'{"async":"%032d"}' % 0}, 404, 24115),
        ],
    )
    def test_every_error_has_the_contracts_shape(
        self,
        local: Local,
        target: str,
        request_: dict[str, Any],
        error_code: int,
        specific_code: int,
    ) -> None:
        answer = local.send(target, **request_)
        error = answer.json()
        assert answer.headers["Content-Type"] == "application/json"
        assert (answer.status_code, error["errorCode"]) == (error_code, error_code)
        assert error["specificCode"] == specific_code
        assert isinstance(error["message"], str)
        assert {*error} <= {"errorCode", "specificCode", "message", "additionalMessages"}

    def test_head_is_answered_without_a_body_and_the_connection_stays_open(
        self, local: Local
    ) -> None:
        answer = local.send("/api/1.0/batch?action=run", method="HEAD")
        assert (answer.status_code, answer.content) == (405, b"")
        assert answer.headers["Allow"] == "POST"
        assert local.send("/api/1.0/test?action=ping").status_code == 200

    def test_a_private_callback_address_outside_the_allowed_networks_is_refused(
        self, local: Local
    ) -> None:
        with pytest.raises(Refused) as refused:
            local.client.run([invitation(1, 1)], "http://169.254.169.254/latest/meta-data/")
        assert (refused.value.error_code, refused.value.specific_code) == (400, 23016)


def test_its_output_holds_nothing_of_the_requests(local: Local) -> None:
    answers = {"status": 400, "body": "canary-response"}
    local.tell("platform", {"namespace": "story", "action": "sings", **answers})
    sings: Job = {"namespace": "story", "action": "sings", "params": {"note": "canary-params"}}
    url = f"{local.callback_url}?token=canary-query"
    async_id = local.client.run([sings], url, idempotency_key="canary-key")["asyncId"]
    assert "canary-response" in local.called_back(async_id)["raw"]
    refused = local.send("/api/1.0/batch?action=canary-action", b"canary-body")
    assert refused.status_code == 404
    said = [line for line in local.process.said().splitlines() if not line.startswith("  ")]
    assert any("callback attempted" in line and async_id in line for line in said)
    assert found_in("\n".join(said)) == []


class TestConcurrentServices:
    """The other service, whose workers are processes that die."""

    def test_concurrent_services_share_nothing(self, local: Local, beside: Local) -> None:
        async_id = beside.run([invitation(1, 1)])
        assert beside.called_back(async_id)["verified"]
        with pytest.raises(Refused) as refused:
            local.client.progress(async_id)
        assert refused.value.specific_code == 24105
        assert async_id not in str(local.get("receiver", "/received"))

    def test_a_killed_worker_is_replaced(self, beside: Local) -> None:
        before = beside.where["workerPids"]
        os.kill(before[0], signal.SIGKILL)
        until(
            lambda: len({*beside.process.where()["workerPids"]} - {before[0]}) == 2,
            "replaced",
            PATIENCE_SECONDS,
        )
        after = beside.process.where()["workerPids"]
        assert after[1] == before[1]
        assert all(map(is_alive, after))
        assert not is_alive(before[0])

    def test_batches_complete_and_call_back_although_all_workers_are_killed_mid_job(
        self, processes: list[ServiceProcess]
    ) -> None:
        """The short form of `make soak`, which reports more."""
        tally = Soak(SHORT, processes[1]).run()
        assert tally.faults == [], processes[1].said()
        assert tally.kills == 2

    def test_large_batches_end_with_large_results(self, processes: list[ServiceProcess]) -> None:
        """The short form of `make large`, whose batches have ten thousand jobs."""
        large = Large(processes[1], jobs=250, callback_bytes=1_000_000)
        told = [*large.stories()]
        assert [story.faults for story in told] == [[], [], []], processes[1].said()
        assert [story.name for story in told] == ["many", "heavy", "cancelled"]


class TestStopping:
    """Each test stops a service of its own."""

    @pytest.mark.parametrize("options", [(), ("--worker-processes", "2")])
    def test_stopped_mid_job_it_ends_immediately_and_leaves_no_process_behind(
        self, tmp_path: Path, options: tuple[str, ...]
    ) -> None:
        with ServiceProcess(tmp_path, *options) as process, Local(process) as doomed:
            doomed.tell("platform", {"namespace": "event", "sleepMs": 600_000})
            async_id = doomed.run([invitation(1, n) for n in range(40)])
            until(lambda: doomed.is_calling(async_id), "calling", PATIENCE_SECONDS)
            children = psutil.Process(process.pid).children(recursive=True)
            pids = {process.pid, *(child.pid for child in children)}
            assert pids >= {*process.where()["workerPids"]}
            assert all(map(is_alive, pids))
            assert process.stop() == 0
            assert not any(map(is_alive, pids))


class TestOperating:
    """The operators' commands, with `--stage local`."""

    def types(self, local: Local, *argv: str) -> tuple[int, Any, str]:
        """Run a command, and return its exit status, stdout and stderr."""
        stdout, stderr = io.StringIO(), io.StringIO()
        environ = {"AWS_ENDPOINT_URL": local.where["awsEndpoint"]}
        shell = Shell(environ=environ, stdout=stdout, stderr=stderr)
        status = main([*argv, "--stage", "local"], shell=shell)
        return status, json.loads(stdout.getvalue()), stderr.getvalue()

    def test_the_doctor_finds_nothing_wrong(self, local: Local) -> None:
        where = local.where
        caller = ("--address", where["address"], "--key", where["key"])
        status, findings, told = self.types(
            local,
            "doctor",
            *caller,
            *("--secret", where["secret"], "--callback-url", local.callback_url),
        )
        assert [finding["check"] for finding in findings] == [
            "table batches",
            "table keys",
            "queue jobs",
            "queue batches",
            "queue callbacks",
            "dead letters",
            "pause",
            "outages",
            "platform",
            "api",
            "ping",
            "batch",
        ]
        wrong = [finding["found"] for finding in findings if not finding["ok"]]
        assert wrong == [], local.process.said()
        assert status == 0
        assert "0 wrong, 0 skipped" in told
        assert found_in(told) == []

    def test_a_batch_is_listed_and_shown(self, local: Local) -> None:
        async_id = local.run([invitation(1, 1)])
        local.called_back(async_id)
        _, listed, _ = self.types(local, "ops", "list", "--account", "demo")
        assert async_id in {row["batchId"] for row in listed}
        _, shown, _ = self.types(local, "ops", "show", async_id)
        assert (shown["status"], shown["callback"]["state"]) == ("completed", "delivered")
        status, redriven, _ = self.types(local, "ops", "redrive")
        assert (status, redriven["found"]) == (0, 0)
