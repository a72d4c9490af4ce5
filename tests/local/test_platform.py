"""The demonstration platform answers its two actions, checks signatures, and fails if asked to."""

import http.client
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from batchback_local.demonstration.platform import DemonstrationPlatform
from batchback_local.http_server import Answer, Request
from chalicelib.domain import signing

KEY, SECRET = "demo", "demo-secret"
INVITE = "/api/1.0/event?action=inviteContacts"


@pytest.fixture
def platform() -> DemonstrationPlatform:
    return DemonstrationPlatform(key=KEY, secret=SECRET)


def signed(
    target: str,
    params: object,
    *,
    key: str = KEY,
    secret: str = SECRET,
    age: timedelta = timedelta(),
) -> Request:
    body = json.dumps(params).encode()
    headers = signing.iws_headers(
        key=key,
        secret=secret,
        target=target,
        body=body,
        now=datetime.now(UTC) - age,
        content_type="application/json",
    )
    lowered = {name.lower(): value for name, value in headers.items()}
    return Request(
        method="POST",
        target=target,
        headers={**lowered, "idempotency-key": "abc-0"},
        body=body,
    )


def told(platform: DemonstrationPlatform, wish: object) -> Answer:
    body = json.dumps(wish).encode()
    return platform.answer(Request(method="POST", target="/behave", headers={}, body=body))


def calls(platform: DemonstrationPlatform) -> list[dict[str, Any]]:
    answer = platform.answer(Request(method="GET", target="/calls", headers={}, body=b""))
    found: list[dict[str, Any]] = json.loads(answer.body)
    return found


def test_each_contact_is_invited(platform: DemonstrationPlatform) -> None:
    answer = platform.answer(signed(INVITE, {"event": 1, "contacts": [1, 2]}))
    first, second = json.loads(answer.body)["results"]
    assert answer.status == 200
    assert (first["contact"], second["contact"]) == (1, 2)
    assert set(first) == {"contact", "status", "inviteLinkYes", "inviteLinkNo"}
    assert first["inviteLinkYes"] != second["inviteLinkYes"]


def test_a_repeated_invitation_is_the_same(platform: DemonstrationPlatform) -> None:
    request = signed(INVITE, {"event": 1, "contacts": [1]})
    assert platform.answer(request) == platform.answer(request)


def test_ping_is_acknowledged(platform: DemonstrationPlatform) -> None:
    answer = platform.answer(signed("/api/1.0/test?action=ping", {}))
    assert json.loads(answer.body)["ack"].endswith(" UTC")


def test_an_unknown_action_is_not_found(platform: DemonstrationPlatform) -> None:
    answer = platform.answer(signed("/api/1.0/event?action=explode", {}))
    assert answer.status == 404
    fault = json.loads(answer.body)
    assert (fault["errorCode"], fault["specificCode"]) == (404, 0)


@pytest.mark.parametrize(
    ("request_", "specific_code"),
    [  # signed when they are sent, not when they are collected
        (lambda: signed(INVITE, {}, secret="wrong"), 0),
        (lambda: signed(INVITE, {}, key="nobody"), 0),
        (lambda: signed(INVITE, {}, age=timedelta(minutes=6)), 23005),
        (lambda: Request(method="POST", target=INVITE, headers={}, body=b"{}"), 0),
    ],
    ids=["wrong secret", "unknown key", "stale", "unsigned"],
)
def test_a_caller_without_the_key_is_refused(
    platform: DemonstrationPlatform, request_: Callable[[], Request], specific_code: int
) -> None:
    answer = platform.answer(request_())
    assert answer.status == 401
    assert json.loads(answer.body)["errorCode"] == 401
    assert json.loads(answer.body)["specificCode"] == specific_code


def test_calls_are_remembered_in_order(platform: DemonstrationPlatform) -> None:
    platform.answer(signed(INVITE, {"event": 1, "contacts": []}))
    platform.answer(signed("/api/1.0/test?action=ping", {}))
    first, second = calls(platform)
    assert (first["namespace"], first["action"]) == ("event", "inviteContacts")
    assert first["params"] == {"event": 1, "contacts": []}
    assert (first["key"], first["idempotencyKey"], first["status"]) == ("demo", "abc-0", 200)
    assert (second["namespace"], second["action"]) == ("test", "ping")


@pytest.mark.parametrize("trace", [{}, {"traceparent": "00-4bf9-00f0-01"}])
def test_a_call_shows_its_trace(platform: DemonstrationPlatform, trace: dict[str, str]) -> None:
    request = signed(INVITE, {"event": 1, "contacts": []})
    platform.answer(replace(request, headers={**request.headers, **trace}))
    assert [call["traceparent"] for call in calls(platform)] == [trace.get("traceparent")]


def test_a_behavior_lasts_for_the_given_number_of_calls(platform: DemonstrationPlatform) -> None:
    told(platform, {"namespace": "event", "action": "inviteContacts", "status": 500, "times": 2})
    request = signed(INVITE, {"event": 1, "contacts": []})
    assert [platform.answer(request).status for _ in range(3)] == [500, 500, 200]


def test_a_behavior_applies_only_to_its_action(platform: DemonstrationPlatform) -> None:
    told(platform, {"namespace": "event", "action": "inviteContacts", "status": 500})
    assert platform.answer(signed("/api/1.0/test?action=ping", {})).status == 200


def test_an_empty_wish_clears_all_behaviors(platform: DemonstrationPlatform) -> None:
    told(platform, {"status": 503})
    told(platform, {})
    assert platform.answer(signed("/api/1.0/test?action=ping", {})).status == 200


def test_an_answer_can_be_any_text(platform: DemonstrationPlatform) -> None:
    told(platform, {"body": "<html>", "contentType": "text/html", "status": 502, "retryAfter": 7})
    answer = platform.answer(signed("/api/1.0/test?action=ping", {}))
    assert (answer.status, answer.body, answer.content_type) == (502, b"<html>", "text/html")
    assert answer.headers == {"Retry-After": "7"}


@pytest.mark.parametrize("size", [2, 5, 11, 12, 3_000_000])
def test_an_answer_can_be_of_any_size(platform: DemonstrationPlatform, size: int) -> None:
    told(platform, {"bytes": size})
    answer = platform.answer(signed("/api/1.0/test?action=ping", {}))
    assert len(answer.body) == size
    assert isinstance(json.loads(answer.body), dict)


def test_it_can_be_away_and_come_back(platform: DemonstrationPlatform) -> None:
    told(platform, {"away": True})
    with platform.serve() as server:
        for _ in range(2):
            connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=5)
            connection.request("POST", "/api/1.0/test?action=ping")
            with pytest.raises(http.client.RemoteDisconnected):
                connection.getresponse()
            connection.close()
    assert [call["status"] for call in calls(platform)] == [None, None]
    told(platform, {})
    assert platform.answer(signed("/api/1.0/test?action=ping", {})).status == 200


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"sleepMs": "long"}, "'sleepMs' cannot be 'long': give a number from 0 to 600000"),
        ({"away": 1}, "'away' cannot be 1: give true or false"),
        ({"body": []}, "'body' cannot be []: give a text"),
        (
            {"retryAfter": -1},
            "'retryAfter' cannot be -1: give a number from 0 to 1000000000000 or a text",
        ),
    ],
)
def test_a_refused_wish_says_what_is_possible(
    platform: DemonstrationPlatform, wish: object, why: str
) -> None:
    assert json.loads(told(platform, wish).body)["message"] == why


@pytest.mark.parametrize(
    "wish",
    [
        *({"stauts": 500}, {"status": "500"}, {"times": 0}, {"sleepMs": True}, [1]),
        *({"away": 1}, {"away": "true"}, {"status": True}),
    ],
)
def test_an_invalid_wish_is_refused(platform: DemonstrationPlatform, wish: object) -> None:
    assert told(platform, wish).status == 400
    assert platform.answer(signed("/api/1.0/test?action=ping", {})).status == 200
