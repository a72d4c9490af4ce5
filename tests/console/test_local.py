"""What only the service on one machine can do, as the page requests it."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from batchback_console.local_tools import Fault, NextDue, NotPossible
from chalicelib.domain.holds import Pause
from chalicelib.operations.ports import BatchStore
from tests.console.asking import Page, console_of
from tests.fakes.clock import START
from tests.operations.world import World

BUSY = Fault(name="busy", title="Busy")


@dataclass
class Switch:
    faults: Sequence[Fault] = (BUSY,)
    fault: Fault | None = None

    def fail(self, name: str | None) -> None:
        if name not in {None, BUSY.name}:
            raise NotPossible("There is no such fault.")
        self.fault = BUSY if name else None


@dataclass
class Tools:
    world: World
    service_address: str = "http://127.0.0.1:8000"
    key: str = "demo"
    secret: str = "secret"
    platform_address: str = "http://127.0.0.1:4567"
    platform: Switch | None = field(default_factory=Switch)
    receiver_address: str = "http://127.0.0.1:4568"
    receiver: Switch = field(default_factory=Switch)
    example: str = '{"jobs": []}'
    ahead: timedelta = timedelta()
    why_fixed: str | None = None
    due: NextDue | None = None
    sent: list[str] = field(default_factory=list)

    def received(self) -> Sequence[Mapping[str, Any]]:
        return []

    def send(self, text: str) -> str:
        if text == "{":
            raise NotPossible("'body' does not validate: it is not JSON")
        self.sent.append(text)
        return "ab" * 16

    def next_due(self, _: BatchStore) -> NextDue | None:
        return self.due

    def move_clock(self, span: timedelta) -> None:
        self.ahead += span
        self.world.clock.advance(seconds=span.total_seconds())


@pytest.fixture
def tools(world: World) -> Tools:
    return Tools(world)


@pytest.fixture
def page(world: World, tools: Tools) -> Page:
    return Page(console_of(world, local=tools))


def test_everything_is_shown(page: Page, tools: Tools, world: World) -> None:
    tools.due = NextDue(at=START + timedelta(minutes=5), what="Jobs are retried.")
    tools.receiver.fail("busy")
    world.store.pause(Pause(until=START + timedelta(minutes=1), reason="a test"))
    busy = {"name": "busy", "title": "Busy"}
    assert page.gets("/local") == {
        "platform": {"address": "http://127.0.0.1:4567", "isDemonstration": True, "fault": None},
        "receiver": {"address": "http://127.0.0.1:4568", "fault": busy},
        "faults": {"platform": [busy], "receiver": [busy]},
        "clock": {
            "now": "2026-11-23T14:49:07.000Z",
            "aheadSeconds": 0.0,
            "nextDue": {"at": "2026-11-23T14:54:07.000Z", "what": "Jobs are retried."},
            "whyFixed": None,
        },
        "isPaused": True,
        "example": '{"jobs": []}',
        "serviceAddress": "http://127.0.0.1:8000",
    }
    world.clock.advance(minutes=1)
    assert page.gets("/local")["isPaused"] is False


def test_a_stage_in_aws_has_none_of_it(world: World) -> None:
    page = Page(console_of(world))
    assert page.asks("GET", "/local").status == 404
    for path in ("batches", "faults", "clock"):
        assert page.posts(f"/local/{path}").status == 404


class TestSending:
    def test_the_text_is_sent_unchanged(self, page: Page, tools: Tools) -> None:
        answer = page.posts("/local/batches", {"text": " {x} "})
        assert (answer.status, answer.body) == (200, {"batchId": "ab" * 16})
        assert tools.sent == [" {x} "]

    def test_a_refusal_is_passed_on_from_the_api(self, page: Page) -> None:
        answer = page.posts("/local/batches", {"text": "{"})
        assert (answer.status, answer.body["error"]) == (
            422,
            "'body' does not validate: it is not JSON",
        )

    @pytest.mark.parametrize("body", [{}, {"text": {"jobs": []}}, [], "text"])
    def test_without_a_text_nothing_is_sent(self, page: Page, tools: Tools, body: object) -> None:
        assert page.posts("/local/batches", body).status == 400
        assert tools.sent == []


class TestFaults:
    def test_a_switch_is_set_and_cleared(self, page: Page) -> None:
        for server in ("platform", "receiver"):
            answer = page.posts("/local/faults", {"of": server, "name": "busy"})
            assert answer.body[server]["fault"] == {"name": "busy", "title": "Busy"}
            answer = page.posts("/local/faults", {"of": server, "name": None})
            assert answer.body[server]["fault"] is None

    @pytest.mark.parametrize(
        ("body", "status", "error"),
        [
            ({"of": "platform", "name": "x"}, 409, "There is no such fault."),
            ({"of": "platform", "name": 1}, 400, "`name` must be the name of a fault, or null."),
            ({"of": "moon", "name": None}, 400, "`of` must be platform or receiver."),
            ({}, 400, "`of` must be platform or receiver."),
        ],
    )
    def test_an_unknown_switch_is_refused(
        self, page: Page, body: object, status: int, error: str
    ) -> None:
        answer = page.posts("/local/faults", body)
        assert (answer.status, answer.body) == (status, {"error": error})

    def test_the_users_own_platform_has_no_switches(self, page: Page, tools: Tools) -> None:
        tools.platform = None
        state = page.gets("/local")
        assert state["platform"]["isDemonstration"] is False
        assert state["faults"]["platform"] == []
        answer = page.posts("/local/faults", {"of": "platform", "name": "busy"})
        assert answer.status == 409
        assert "is your own" in answer.body["error"]


class TestClock:
    def test_it_moves_to_what_is_next_due(self, page: Page, tools: Tools) -> None:
        tools.due = NextDue(at=START + timedelta(hours=5), what="Jobs are retried.")
        answer = page.posts("/local/clock", {"to": "next"})
        assert answer.body["clock"]["now"] == "2026-11-23T19:49:07.000Z"
        assert answer.body["clock"]["aheadSeconds"] == 18_000

    def test_it_moves_by_seconds(self, page: Page, tools: Tools) -> None:
        page.posts("/local/clock", {"seconds": 3600})
        assert tools.ahead == timedelta(hours=1)

    def test_two_moves_to_what_is_next_take_turns(
        self, page: Page, tools: Tools, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise, two tabs would both move the clock by the same time."""
        tools.due = NextDue(at=START + timedelta(hours=5), what="Jobs are retried.")
        asked = threading.Barrier(2)

        def next_due(_: BatchStore) -> NextDue | None:
            with suppress(threading.BrokenBarrierError):
                asked.wait(0.05)
            return tools.due

        monkeypatch.setattr(tools, "next_due", next_due)
        with ThreadPoolExecutor(2) as tabs:
            [*tabs.map(lambda _: page.posts("/local/clock", {"to": "next"}), range(2))]
        assert tools.ahead == timedelta(hours=5)

    def test_if_nothing_is_due_it_stays(self, page: Page, tools: Tools) -> None:
        answer = page.posts("/local/clock", {"to": "next"})
        assert answer.status == 409
        assert answer.body["error"] == "Nothing is due: no open batch waits for anything."
        assert tools.ahead == timedelta()

    @pytest.mark.parametrize(
        "body", [{}, {"seconds": 0}, {"seconds": -1}, {"seconds": 1.5}, {"seconds": True}]
    )
    def test_it_does_not_move_back_or_by_zero(self, page: Page, tools: Tools, body: object) -> None:
        answer = page.posts("/local/clock", body)
        assert answer.status == 400
        assert "a whole number from 1 to 2592000" in answer.body["error"]
        assert tools.ahead == timedelta()

    def test_without_the_http_api_in_this_process_it_stays_and_the_answer_says_why(
        self, page: Page, tools: Tools
    ) -> None:
        tools.why_fixed = "The HTTP API has its own clock."
        tools.due = NextDue(at=START + timedelta(hours=5), what="Jobs are retried.")
        assert page.gets("/local")["clock"]["nextDue"] is None
        answer = page.posts("/local/clock", {"to": "next"})
        assert (answer.status, answer.body["error"]) == (409, "The HTTP API has its own clock.")
        assert tools.ahead == timedelta()
