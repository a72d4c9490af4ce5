"""The tables that a terminal shows instead of JSON."""

import io
import re
from typing import Any

import pytest

from tests.client.samples import COMPLETED, RESULTS
from tests.client.scripted_service import (
    BATCH,
    JOB,
    ScriptedService,
)
from tests.client.user import Terminal, User


class TestOnATerminal:
    @pytest.fixture(autouse=True)
    def terminal(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        user.stdout = Terminal()

    def test_each_field_has_a_line(self, service: ScriptedService, user: User) -> None:
        """It has the API's own name, and a dash for null."""
        service.answers(
            {"progress": 50, "jobs": {"total": 2, "failed": 1}, "completedAt": None, "note": "é"}
        )
        assert user.types("progress", BATCH) == 0
        assert user.stdout.getvalue() == (
            "progress     50\njobs.total   2\njobs.failed  1\ncompletedAt  -\nnote         é\n"
        )

    def test_objects_in_a_list_are_numbered(self, service: ScriptedService, user: User) -> None:
        history = [{"at": "10:00", "status": 500}, {"at": "10:01", "status": 200}]
        service.answers({"progress": 50, "callback": {"history": history}})
        assert user.types("progress", BATCH) == 0
        assert user.stdout.getvalue().splitlines()[1:] == [
            "callback.history.1.at      10:00",
            "callback.history.1.status  500",
            "callback.history.2.at      10:01",
            "callback.history.2.status  200",
        ]

    def test_batches_are_rows(
        self, service: ScriptedService, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unknown values are a dash, and lines are cut to the width of the terminal."""
        monkeypatch.setenv("COLUMNS", "88")
        batch = {"asyncId": BATCH, "status": "running", "progress": 5, "createdAt": "2026-11-23"}
        known = {"jobs": {"failed": 3}, "callback": {"status": "waiting"}, "label": "nightly"}
        service.answers({"results": [batch, {**batch, **known}], "meta": {}})
        assert user.types("list") == 0
        assert [line.split("  ") for line in _columns(user)] == [
            ["ASYNC ID", "STATUS", "PROGRESS", "FAILED", "CALLBACK", "LABEL", "CREATED"],
            [BATCH, "running", "5%", "-", "-", "-", "2026-..."],
            [BATCH, "running", "5%", "3", "waiting", "nightly", "2026-..."],
        ]

    @pytest.mark.parametrize(
        ("page", "places"),
        [
            ({"results": [JOB, JOB]}, ["0", "1"]),
            ({"results": [JOB, JOB], "meta": {"start": 7}}, ["7", "8"]),
            ({"results": [{**JOB, "index": 3}, {**JOB, "index": 9}]}, ["3", "9"]),
        ],
    )
    def test_results_are_rows_with_the_position_of_the_job(
        self, service: ScriptedService, user: User, page: dict[str, Any], places: list[str]
    ) -> None:
        """Each is one line, however long the response is, without control characters."""
        answered = [
            {**each, "response": {"a": "\x9b31m", "b": "x" * 50}} for each in page["results"]
        ]
        service.answers({"asyncId": BATCH, **page, "results": answered})
        assert user.types("results", BATCH) == 0
        head, *lines = user.stdout.getvalue().splitlines()
        assert head == "JOB  NAMESPACE  ACTION          RESPONSE"
        assert [line.split()[0] for line in lines] == places
        for line in lines:
            assert line[5:] == 'event      inviteContacts  {"a": "?31m", "b": "xxxxx...'
            assert len(line) == 60

    def test_details_have_their_own_columns(self, service: ScriptedService, user: User) -> None:
        detail = {"id": "a", "index": 0, "outcome": "failed", "httpStatus": None, "attempts": 4}
        result = {**JOB, **detail, "tookMs": 38, "response": 1}
        service.answers({"ack": "now", "version": "0.1.0"})
        service.answers({"asyncId": BATCH, "results": [result]})
        assert user.types("results", BATCH, "--detail") == 0
        assert user.stdout.getvalue().splitlines() == [
            "JOB  ID  OUTCOME  HTTP  ATTEMPTS  TOOK MS  NAMESPACE  ACT...",
            "0    a   failed   -     4         38       event      inv...",
        ]

    def test_without_results_there_is_only_a_heading(
        self, service: ScriptedService, user: User
    ) -> None:
        service.answers({"asyncId": BATCH, "results": []})
        assert user.types("results", BATCH) == 0
        assert user.stdout.getvalue() == "JOB  NAMESPACE  ACTION  RESPONSE\n"

    def test_a_wait_ends_with_rows(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        service.answers({"asyncId": BATCH}, COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.stdout.getvalue().startswith("JOB  NAMESPACE")

    def test_a_submitted_batch_is_a_field(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        service.answers({"asyncId": BATCH})
        assert user.types("run", jobs_file) == 0
        assert user.stdout.getvalue() == f"asyncId  {BATCH}\n"

    def test_json_is_printed_if_asked_for(self, service: ScriptedService, user: User) -> None:
        service.answers(RESULTS)
        assert user.types("results", BATCH, "--json") == 0
        assert user.reads == RESULTS

    def test_a_character_that_the_terminal_lacks_becomes_a_question_mark(
        self, service: ScriptedService, user: User
    ) -> None:
        written = io.BytesIO()

        class Old(io.TextIOWrapper):
            def isatty(self) -> bool:
                return True

        service.answers({"ack": "caf\u00e9 \U0001f600"})
        user.stdout = Old(written, encoding="latin-1", write_through=True)
        assert user.types("ping") == 0
        assert written.getvalue() == b"ack  caf\xe9 ?\n"


def _columns(user: User) -> list[str]:
    """The lines on stdout, with two spaces between columns."""
    return [re.sub(" {2,}", "  ", line) for line in user.stdout.getvalue().splitlines()]
