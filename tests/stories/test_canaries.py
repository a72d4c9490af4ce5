"""Whole stories of batches with a canary in every secret place, over real HTTP and with the real
log, while the root logger takes everything. Afterwards, no canary, secret or signature may be in
what was written, nor in what callers learn about their callback."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from batchback_local.http_server import Answer, HttpServer, Request
from chalicelib.adapters.http import HttpPlatform, HttpReceiver
from chalicelib.adapters.journal import JsonJournal
from chalicelib.domain.account import PlatformAuth
from chalicelib.domain.address import AddressPolicy
from tests.leaks import found_in, misfits_in
from tests.stories.on_moto import OnMoto

SIGNATURES = ("webhook-signature", "x-api-authorization", "x-platform-token")
HEADERS = {
    "User_Agent": "canary-user-agent",
    "X_Any": "canary-header",
    "X_Forwarded_For": "canary-address",
    "Idempotency_Key": "canary-idempotency-key",
}
#: What the platform answers to each action; "down" never recovers.
SAYS = {
    "well": Answer(body=b'{"note":"canary-response"}', headers={"X-Any": "canary-header"}),
    "refused": Answer(status=400, body=b'{"errorCode":400,"message":"canary-response"}'),
    "html": Answer(body=b"<html>canary-response</html>", content_type="text/html"),
    "down": Answer(status=500, body=b"canary-response", headers={"Retry-After": "canary"}),
    "moved": Answer(status=302, headers={"Location": "http://127.0.0.1/?token=canary-redirect"}),
}
JOBS = [
    {"namespace": "story", "action": action, "params": {"note": "canary-params", "n": 1}}
    for action in SAYS
]


@dataclass
class Outside:
    """Platform and receiver on this machine. They record the secrets that they are sent."""

    signatures: list[str] = field(default_factory=list)
    #: The receiver's answers, in order; 200 when they are used up.
    answers: list[Answer] = field(default_factory=list)
    address: str = ""

    def answer(self, request: Request) -> Answer:
        self.signatures += [request.headers[name] for name in SIGNATURES if name in request.headers]
        if request.path.startswith("/api/"):
            return SAYS[request.query["action"]]
        return self.answers.pop(0) if self.answers else Answer(body=b"canary-thanks")

    @property
    def callback_url(self) -> str:
        return f"{self.address}/canary-path?token=canary-query"


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    outside = Outside()
    with HttpServer(outside.answer, name="outside") as server:
        outside.address = server.address
        yield outside


@pytest.fixture
def auth() -> PlatformAuth:
    return PlatformAuth.IWS


@pytest.fixture(autouse=True)
def furnished(life: OnMoto, outside: Outside, auth: PlatformAuth) -> None:
    furnish(life, outside, auth)


def furnish(
    life: OnMoto, outside: Outside, auth: PlatformAuth, networks: str = "127.0.0.0/8"
) -> None:
    """Give the service the real log, and real HTTP to the outside."""
    life.configure(ALLOWED_CALLBACK_NETWORKS=networks)
    policy = AddressPolicy(allowed_networks=(ip_network(networks),))
    life.replace(
        journal=JsonJournal(life.clock, "prod"),
        receiver=HttpReceiver(policy=policy),
        platform=HttpPlatform(
            address=outside.address,
            auth=auth,
            header=lambda: ("X-Platform-Token", "canary-platform-token"),
            timeout_seconds=5,
            clock=life.clock,
            connections=5,
        ),
    )
    outside.signatures.clear()


def submit(life: OnMoto, outside: Outside) -> str:
    order = {
        "jobs": [{**job, "id": f"canary-id-{place}"} for place, job in enumerate(JOBS)],
        "callbackUrl": outside.callback_url,
        "callbackHeaders": {"X-Any": "canary-header"},
    }
    async_id: str = life.ask("run", order, **HEADERS)["asyncId"]
    return async_id


def events_of(written: str, heard: list[str], outside: Outside) -> Counter[str]:
    """Count the lines of each event, after checking that nothing secret is in any of them."""
    assert heard == ["before"]
    assert found_in(written) == []
    assert [signature for signature in outside.signatures if signature in written] == []
    lines = written.splitlines()
    assert [fault for line in lines for fault in misfits_in(line)] == []
    return Counter(json.loads(line)["event"] for line in lines)


def test_a_story_in_which_everything_outside_goes_wrong(
    life: OnMoto,
    outside: Outside,
    heard: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    outside.answers = [
        Answer(status=500, body=b"canary-answer"),
        Answer(status=302, headers={"Location": f"{outside.callback_url}-elsewhere"}),
        Answer(status=429, headers={"Retry-After": "canary"}),
    ]
    async_id = submit(life, outside)
    life.work_off()
    progress, listed = life.progress(async_id), life.ask("list", {})
    life.ask("repost", {"async": async_id})
    life.work_off()
    life.ask("restart", {"async": async_id})
    life.ask("cancel", {"async": async_id})
    life.work_off()

    assert found_in(life.results(async_id).decode())  # where it belongs
    assert progress["callback"]["attempts"] == 3  # the sweep makes the fourth
    assert progress["callback"]["lastError"] == "HTTP 429"
    assert found_in(json.dumps([progress, listed])) == []
    assert len(outside.signatures) > 10
    written, errors = capfd.readouterr()
    events = events_of(written, heard, outside)
    assert errors == ""
    assert events["callback attempted"] >= 5
    assert {"request", "batch accepted", "call failed", "jobs run", "batch completed"} <= {*events}


@pytest.mark.parametrize("auth", [PlatformAuth.HEADER])
def test_a_caller_learns_why_a_callback_failed_but_neither_its_address_nor_the_answer(
    life: OnMoto,
    outside: Outside,
    heard: list[str],
    auth: PlatformAuth,
    capfd: pytest.CaptureFixture[str],
) -> None:
    outside.answers = [Answer(status=410, body=b"canary-gone")]
    async_id = submit(life, outside)
    life.work_off()
    gone = life.progress(async_id)["callback"]
    assert "canary-platform-token" in outside.signatures
    furnish(life, outside, auth, networks="10.0.0.0/8")
    life.ask("repost", {"async": async_id})
    life.work_off()
    refused = life.progress(async_id)["callback"]
    assert (gone["lastStatus"], gone["lastError"]) == (410, "HTTP 410")
    assert refused["lastError"] == "the callback's address 127.0.0.1 is a loopback address"
    events = events_of(capfd.readouterr().out, heard, outside)
    assert events["callback attempted"] == 2


class Raw:
    """A DynamoDB error response, which repeats what it rejects, as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        yield b'{"__type": "x#ValidationException", "message": "Value \'canary-item\' failed"}'


def refuse(life: OnMoto, operation: str) -> None:
    """Make the database reject one of its operations from now on."""

    def refusing(**_: object) -> Any:
        headers: Any = {"x-amzn-requestid": "REQUEST7"}
        return AWSResponse("https://dynamodb", 400, headers, Raw())

    life.dynamodb.meta.events.register_first(f"before-send.dynamodb.{operation}", refusing)


def test_a_database_that_rejects_requests(
    life: OnMoto, outside: Outside, heard: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    async_id = submit(life, outside)
    refuse(life, "Query")
    for message in life.receive():
        life.deliver(message)
    refuse(life, "BatchWriteItem")
    order = {
        "jobs": [{**job, "id": f"canary-id-{place}"} for place, job in enumerate(JOBS)],
        "callbackUrl": outside.callback_url,
        "callbackHeaders": {"X-Any": "canary-header"},
    }
    assert life.call("run", order)[0] == 500
    refuse(life, "GetItem")
    assert life.call("progress", {"async": async_id})[0] == 500

    written = capfd.readouterr().out
    for operation in ("Query", "BatchWriteItem", "GetItem"):
        assert f"DynamoDB answered {operation}: ValidationException, HTTP 400" in written
    events = events_of(written, heard, outside)
    assert events["function failed"] == events["message handed on"] == len(JOBS)
    assert events["request failed"] == 2
