"""Hours of waiting are seen in seconds: the local service's clock is moved to what is next due.

The workers are in another process, which must see the same clock.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urldefrag

import pytest
import requests

from batchback_local.live.process import ServiceProcess
from batchback_local.live.service import LiveService
from batchback_local.live.waiting import tries

PATIENCE_SECONDS = 60
PING = {"namespace": "test", "action": "ping"}


class Local(LiveService):
    """A running service, with the console that moves its clock."""

    def __init__(self, process: ServiceProcess) -> None:
        self.where = process.where()
        super().__init__(self.where, PATIENCE_SECONDS)

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        address, token = urldefrag(self.where["console"])
        headers = {"Authorization": f"Bearer {token.removeprefix('token=')}"}
        return self._http.request(
            method, f"{address}api{path}", json=body, headers=headers, timeout=PATIENCE_SECONDS
        )

    def posts(self, path: str, body: object) -> Any:
        answer = self.ask("POST", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def clock(self) -> dict[str, Any]:
        clock: dict[str, Any] = self.ask("GET", "/local").json()["clock"]
        return clock

    @property
    def hours_ahead(self) -> float:
        hours: float = self.clock["aheadSeconds"] / 3600
        return hours

    def run(self, *jobs: dict[str, Any], **terms: Any) -> str:
        callback = f"{self.where['receiver']}/callback"
        return self.client.submit({"jobs": [*jobs], "callbackUrl": callback, **terms})["asyncId"]

    def move_until(self, holds: Callable[[], object]) -> list[str]:
        """Move the clock to what is next due, again and again, until something holds. Return what
        it was each time."""
        passed: list[str] = []
        for _ in tries("due", PATIENCE_SECONDS):
            if holds():
                return passed
            due = self.clock["nextDue"]
            if due and self.ask("POST", "/local/clock", {"to": "next"}).ok:
                passed.append(due["what"])
        raise AssertionError("unreachable")

    def progress(self, batch: str) -> dict[str, Any]:
        return dict(self.client.progress(batch))

    def is_over(self, batch: str) -> Callable[[], bool]:
        return lambda: self.progress(batch)["status"] != "running"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("service")
    with ServiceProcess(folder, "--worker-processes", "1") as process, Local(process) as local:
        yield local


@pytest.fixture
def local(service: Local) -> Iterator[Local]:
    """Nothing fails until a test says so."""
    yield service
    for server in ("platform", "receiver"):
        service.posts("/local/faults", {"of": server, "name": None})


def test_a_callback_reaches_its_eighth_attempt_and_every_signature_verifies(local: Local) -> None:
    """After more than a day, and at every receiver on this machine: signatures have its time."""
    local.posts("/local/faults", {"of": "receiver", "name": "failing"})
    before = local.hours_ahead
    batch = local.run(PING, callbackUrl=f"{local.where['receiver']}/eighth")
    passed = local.move_until(lambda: local.progress(batch)["callback"]["status"] == "failed")
    assert passed == [f"The callback of batch {batch[:8]} is retried."] * 7
    assert local.progress(batch)["callback"]["attempts"] == 8
    assert 31 < local.hours_ahead - before < 36
    received = [each for each in local.get("receiver", "/received") if each["path"] == "/eighth"]
    assert [each["verified"] for each in received] == [True] * 8
    times = [datetime.fromisoformat(each["at"]) for each in received]
    assert times[-1] - times[0] > timedelta(hours=31)


def test_jobs_wait_for_as_long_as_the_platform_asks(local: Local) -> None:
    """A job is called five times, with 15 minutes between."""
    local.tell("platform", {"action": "ping", "status": 429, "retryAfter": 900})
    before = local.hours_ahead
    batch = local.run(PING)
    passed = local.move_until(local.is_over(batch))
    assert passed == [f"Jobs of batch {batch[:8]} are retried."] * 4
    assert 0.99 < local.hours_ahead - before < 1.1
    [result] = local.client.results(batch)["results"]
    assert result["response"]["message"] == "Gave up after 5 attempts: HTTP 429"


def test_a_platform_that_was_down_is_called_again(local: Local) -> None:
    """And its calls are signed with the machine's time, so it lets them in."""
    local.posts("/local/faults", {"of": "platform", "name": "away"})
    local.posts("/local/clock", {"seconds": 120})  # after any answer nobody thinks it is down
    batch = local.run(PING)
    name = f"{batch[:8]}"
    called_again = f"The platform, which was down, is called again for batch {name}."
    local.move_until(lambda: (local.clock["nextDue"] or {}).get("what") == called_again)
    local.posts("/local/faults", {"of": "platform", "name": None})
    local.move_until(local.is_over(batch))
    assert local.progress(batch)["jobs"]["succeeded"] == 1


def test_a_batch_that_is_paused_ends_at_its_deadline(local: Local) -> None:
    """Twelve hours after it was submitted, and nothing was called."""
    local.posts("/stage/pause", {"until": "20h", "reason": "a test"})
    local.posts("/local/clock", {"seconds": 10})  # workers look for a pause every 5 seconds
    batch = local.run(PING)
    before = local.hours_ahead
    passed = local.move_until(local.is_over(batch))
    assert passed[-1] == f"The deadline of batch {batch[:8]} comes: jobs without an answer fail."
    assert 11.8 < local.hours_ahead - before < 12.1
    assert not [each for each in local.get("platform", "/calls") if batch in each["idempotencyKey"]]
    local.posts("/stage/resume", {})


def test_the_example_works_and_four_of_its_jobs_fail(local: Local) -> None:
    example = local.ask("GET", "/local").json()["example"]
    batch = local.posts("/local/batches", {"text": example})["batchId"]
    local.move_until(lambda: local.progress(batch)["callback"]["status"] == "delivered")
    results = local.client.results(batch)["results"]
    failed = {
        result["id"]: result["response"]["message"]
        for result in results
        if "errorCode" in result["response"]
    }
    assert len(results) == 12
    assert failed == {
        "no-such-contact": "There is no contact -1",
        "no-contacts": "'contacts' is required",
        "not-a-list": "'contacts' does not validate",
        "no-such-action": "There is no event.cancelEvent",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "'body' does not validate"),
        ('{"jobs": []}', "Empty job parameter found: jobs: must not be empty; callbackUrl: is"),
        ('"\ud800"', "'body' does not validate"),
    ],
)
def test_what_the_api_refuses_is_refused_in_its_own_words(
    local: Local, text: str, sentence: str
) -> None:
    answer = local.ask("POST", "/local/batches", {"text": text})
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]
