"""What the console shows about a stage as a whole, and what it refuses."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from batchback_console.views import stage as view
from batchback_ops.doctor.diagnosis import Finding
from batchback_ops.stage import Stage
from chalicelib.domain.holds import Outage, Pause
from tests.console.asking import Answer, Page, console_of
from tests.console.aws_of_a_stage import Aws
from tests.console.local_service import local_tools
from tests.fakes.clock import START
from tests.operations.world import World

PROD = Stage(name="prod", variables={}, environ={"HOME": "/home/operator"})


@pytest.fixture
def page(world: World, monkeypatch: pytest.MonkeyPatch) -> Page:
    aws = Aws()
    monkeypatch.setattr(Stage, "client", lambda *_: aws)
    return Page(console_of(world, stage=PROD))


class TestShow:
    def test_nothing_holds_up_jobs(self, page: Page) -> None:
        shown = page.gets("/stage")
        assert (shown["pause"], shown["outages"], len(shown["queues"])) == (None, [], 6)
        assert shown["ageNote"] == "Ages come from CloudWatch, which is a few minutes late."

    def test_a_pause_is_shown_until_it_ends(self, world: World, page: Page) -> None:
        world.store.paused = Pause(until=START + timedelta(hours=1), reason="ticket 7")
        assert page.gets("/stage")["pause"] == {
            "until": "2026-11-23T15:49:07.000Z",
            "reason": "ticket 7",
        }
        world.clock.advance(hours=1)
        assert page.gets("/stage")["pause"] is None

    def test_accounts_with_open_batches_whose_platform_is_down_are_shown(
        self, world: World, page: Page
    ) -> None:
        world.submitted()
        for account in ("acme", "without-batches"):
            world.store.begin_outage(account, Outage.beginning(START))
        assert page.gets("/stage")["outages"] == [
            {
                "account": "acme",
                "since": "2026-11-23T14:49:07.000Z",
                "nextTryAt": "2026-11-23T14:49:22.000Z",
            }
        ]

    def test_a_damaged_batch_hides_no_outage(
        self, world: World, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.submitted()
        world.submitted(batch_id="d" * 32)
        world.submitted(batch_id="e" * 32, account=None)
        world.store.begin_outage("acme", Outage.beginning(START))
        find, broken = world.store.find, "d" * 32

        def damaged(*ids: str) -> Any:
            if broken in ids:
                raise ValueError(broken)
            return {id: find(id) for id in ids}

        monkeypatch.setattr(world.store, "find", lambda id: damaged(id)[id])
        monkeypatch.setattr(world.store, "find_all", lambda ids: damaged(*ids))
        assert [each["account"] for each in page.gets("/stage")["outages"]] == ["acme"]

    def test_an_unknown_queue_of_dead_letters_does_not_exist(self, page: Page) -> None:
        for path in ("/stage/dead-letters/jobs", "/stage/dead-letters/x"):
            assert page.asks("GET", path).status == 404


class TestPause:
    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({}, "Give a reason: what others should know, such as a ticket."),
            ([], "Give a reason: what others should know, such as a ticket."),
            ({"until": "1h", "reason": " "}, "Give a reason: what others should know"),
            ({"reason": "x"}, "Say until when: a time, or a span from now, such as 30m"),
            ({"until": 60, "reason": "x"}, "Say until when: a time, or a span from now"),
            ({"until": "soon", "reason": "x"}, "soon is not a time: give one with its zone"),
            ({"until": "15d", "reason": "x"}, "15d is more than 14 days away: give an"),
        ],
    )
    def test_it_needs_an_end_and_a_reason(
        self, world: World, page: Page, body: object, error: str
    ) -> None:
        answer = page.posts("/stage/pause", body)
        assert answer.status == 400
        assert answer.body["error"].startswith(error)
        assert world.store.paused is None


class TestReadOnly:
    @pytest.mark.parametrize(
        "path",
        [
            "/stage/pause",
            "/stage/resume",
            "/stage/dead-letters/jobs-dead/redrive",
            "/stage/dead-letters/jobs-dead/discard",
        ],
    )
    def test_it_changes_nothing(self, world: World, path: str) -> None:
        page = Page(console_of(world, stage=PROD, may_act=False))
        answer = page.posts(path, {"until": "1h", "reason": "x"})
        assert answer.status == 403
        assert "--allow-actions" in answer.body["error"]


class TestDoctor:
    def test_it_signs_with_the_machines_time_however_far_ahead_the_services_is(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []

        def examine(*given: Any) -> list[Finding]:
            asked.extend(given)
            return []

        monkeypatch.setattr(view, "examine", examine)
        page = Page(console_of(world, local=local_tools(ahead=timedelta(hours=5))))
        page.posts("/stage/doctor")
        trial, _, shell = asked
        assert (trial.signing_time(), shell.now()) == (START - timedelta(hours=5), START)

    def test_it_says_what_the_command_says_and_runs_no_batch(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []

        def examine(*given: Any) -> Iterator[Finding]:
            asked.extend(given)
            yield Finding(check="queue jobs", ok=True, found="2 waiting")
            yield Finding(check="batch", ok=None, found="--no-batch")
            yield Finding(check="alarms", ok=None, found="this stage has no alarms")
            yield Finding(check="api", ok=False, found="no answer", remedy="chalice deploy")

        monkeypatch.setattr(view, "examine", examine)
        page = Page(console_of(world, stage=PROD, may_act=False))
        assert page.posts("/stage/doctor") == Answer(
            status=200,
            body={
                "findings": [
                    {
                        "about": "queue jobs",
                        "state": "fine",
                        "says": "2 waiting",
                        "remedy": None,
                    },
                    {
                        "about": "alarms",
                        "state": "skipped",
                        "says": "this stage has no alarms",
                        "remedy": None,
                    },
                    {
                        "about": "api",
                        "state": "problem",
                        "says": "no answer",
                        "remedy": "chalice deploy",
                    },
                ]
            },
        )
        trial, stage, shell = asked
        assert (trial.no_batch, stage, shell.now()) == (True, PROD, START)
