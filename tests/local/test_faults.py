"""The faults of the demonstration servers, set by switches and by POST /behave."""

import json
from typing import Any

import pytest

from batchback_console.local_tools import NotPossible
from batchback_local.demonstration.faults import OTHER
from batchback_local.demonstration.platform import DemonstrationPlatform
from batchback_local.demonstration.receiver import DemonstrationReceiver
from batchback_local.http_server import NoAnswer, Request

Server = DemonstrationPlatform | DemonstrationReceiver


def platform() -> DemonstrationPlatform:
    return DemonstrationPlatform(key="demo", secret="s", checks_signatures=False)


def receiver() -> DemonstrationReceiver:
    return DemonstrationReceiver(callback_secret="whsec_" + "c2VjcmV0" * 6)


@pytest.fixture(params=[platform, receiver])
def server(request: pytest.FixtureRequest) -> Server:
    made: Server = request.param()
    return made


def ask(server: Server, method: str, target: str, body: object = None) -> Any:
    sent = b"" if body is None else json.dumps(body).encode()
    answer = server.answer(Request(method=method, target=target, headers={}, body=sent))
    return json.loads(answer.body)


def status(server: Server) -> tuple[int, str | None]:
    request = Request(method="POST", target="/api/1.0/test?action=ping", headers={}, body=b"{}")
    answer = server.answer(request)
    return answer.status, answer.headers.get("Retry-After")


def test_nothing_fails_until_it_is_told_to(server: Server) -> None:
    assert server.switches.fault is None
    assert ask(server, "GET", "/behave") == []
    assert status(server) == (200, None)


def test_each_switch_is_shown_and_can_be_read(server: Server) -> None:
    for fault in server.switches.faults:
        server.switches.fail(fault.name)
        assert server.switches.fault == fault
        assert len(ask(server, "GET", "/behave")) == 1
    server.switches.fail(None)
    assert server.switches.fault is None


def test_a_busy_server_says_when_to_retry(server: Server) -> None:
    server.switches.fail("busy")
    assert status(server) == (429, "30")


def test_a_server_that_is_away_does_not_answer(server: Server) -> None:
    server.switches.fail("away")
    with pytest.raises(NoAnswer):
        status(server)


@pytest.mark.parametrize(
    ("server", "name", "expected"),
    [(platform(), "unavailable", 503), (receiver(), "failing", 500), (receiver(), "gone", 410)],
    ids=["unavailable", "failing", "gone"],
)
def test_a_switch_sets_the_status_of_answers(server: Server, name: str, expected: int) -> None:
    server.switches.fail(name)
    assert status(server)[0] == expected


def test_a_fault_set_with_curl_is_shown_as_another_fault(server: Server) -> None:
    ask(server, "POST", "/behave", {"status": 418})
    assert server.switches.fault == OTHER
    assert ask(server, "GET", "/behave") == [{"status": 418}]
    ask(server, "POST", "/behave", {"sleepMs": 2000})
    assert server.switches.fault == server.switches.faults[0]
    ask(server, "POST", "/behave", {})
    assert server.switches.fault is None


def test_a_switch_replaces_a_fault_set_with_curl(server: Server) -> None:
    ask(
        server,
        "POST",
        "/behave",
        {"path": "/x", "status": 418}
        if _is_receiver(server)
        else {"action": "ping", "status": 418},
    )
    server.switches.fail("busy")
    assert [each["status"] for each in ask(server, "GET", "/behave")] == [429]


def test_a_fault_shows_how_many_times_are_left_and_then_ends(server: Server) -> None:
    ask(server, "POST", "/behave", {"status": 500, "times": 2})
    status(server)
    assert ask(server, "GET", "/behave") == [{"status": 500, "times": 1}]
    status(server)
    assert ask(server, "GET", "/behave") == []
    assert server.switches.fault is None


def test_an_unknown_name_changes_nothing(server: Server) -> None:
    server.switches.fail("busy")
    with pytest.raises(NotPossible, match=r"^There is no fault 'x': use one of slow, "):
        server.switches.fail("x")
    assert status(server)[0] == 429


def _is_receiver(server: Server) -> bool:
    return isinstance(server, DemonstrationReceiver)
