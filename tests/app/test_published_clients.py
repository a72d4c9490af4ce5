"""The published clients of the batch API, ivvy-sdk-net and ivvy-sdk-js, work unchanged: their
requests, recorded as they went over the wire, get the answers that they read."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Answer, Front
from tests.app.events import http_event

Request = dict[str, Any]

#: What each client sent to a service whose first batch has the id ASYNC_ID.
RECORDED: dict[str, dict[str, Request]] = {
    each["client"]: {request["name"]: request for request in each["requests"]}
    for each in json.loads(
        (Path(__file__).parent.parent / "vectors" / "published-clients.json").read_text("utf-8")
    )
}
ASYNC_ID = f"{1:032x}"


@pytest.fixture(params=RECORDED)
def requests(request: pytest.FixtureRequest) -> dict[str, Request]:
    return RECORDED[request.param]


def sent(front: Front, request: Request) -> Answer:
    """Return the answer to a recorded request, after all the work that it made."""
    path, _, action = request["target"].partition("?action=")
    answer = front.take(
        http_event(
            "POST",
            path.removeprefix("/api/1.0/"),
            query={"action": [action]},
            headers=request["headers"],
            body=request["body"].encode(),
        )
    )
    front.work_off()
    return answer


def refused(answer: Answer) -> tuple[int, int, int]:
    return answer.status, answer.json["errorCode"], answer.json["specificCode"]


def test_ping_gets_the_time(front: Front, requests: dict[str, Request]) -> None:
    assert sent(front, requests["ping"]).json["ack"] == "2026-11-23 14:49:07 UTC"


def test_a_batch_goes_from_run_to_repost(front: Front, requests: dict[str, Request]) -> None:
    assert sent(front, requests["run"]).json == {"asyncId": ASYNC_ID}
    assert sent(front, requests["progress"]).json["progress"] == 100
    results = sent(front, requests["results"])
    assert sent(front, requests["restart"]).json == {"restarted": True}
    assert sent(front, requests["repost"]).json == {"reposted": True}
    assert [post.body for post in front.receiver.posts] == [results.body] * 3


def test_results_and_callback_have_the_documented_keys_only(
    front: Front, requests: dict[str, Request]
) -> None:
    sent(front, requests["run"])
    assert sent(front, requests["results"]).json == {
        "asyncId": ASYNC_ID,
        "results": [
            {
                "namespace": job["namespace"],
                "action": job["action"],
                "request": job.get("params", {}),
                "response": {"echo": job.get("params", {})},
            }
            for job in json.loads(requests["run"]["body"])["jobs"]
        ],
    }


def test_results_of_a_running_batch_are_not_there_yet(
    front: Front, requests: dict[str, Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "work_off", lambda: None)
    sent(front, requests["run"])
    assert refused(sent(front, requests["results"])) == (400, 400, 24114)


def test_an_unknown_batch_and_a_wrong_secret_are_refused(
    front: Front, requests: dict[str, Request]
) -> None:
    unknown = sent(front, requests["progress of an unknown batch"])
    stranger = sent(front, requests["ping with a wrong secret"])
    assert refused(unknown) == (404, 404, 24105)
    assert refused(stranger) == (401, 401, 0)


def test_the_net_client_works_on_a_finnish_machine(front: Front) -> None:
    """It formats IVVY-Date as its machine does, here as 14.49.08."""
    assert sent(front, RECORDED["ivvy-sdk-net"]["ping on a Finnish machine"]).status == 200


def test_a_progress_that_the_js_client_sends_to_run_is_told_what_run_requires(
    front: Front,
) -> None:
    """Its `batch.progress` calls the action `run`."""
    answer = sent(front, RECORDED["ivvy-sdk-js"]["progress as batch.progress sends it"])
    assert refused(answer) == (400, 400, 23017)
    assert not front.store.heads
