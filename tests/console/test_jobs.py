"""The jobs of a batch: the table, its filters and order, and one job with all its details."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.batch import (
    Answer,
    AnswersPart,
    Batch,
    Job,
    LastCall,
    SubmissionTerms,
    Verdict,
)
from chalicelib.domain.trace import TraceContext
from tests.console.asking import Page, console_of
from tests.console.local_service import local_tools
from tests.operations.world import World
from tests.samples import succeeded, unanswered

GONE = Answer(
    Verdict.FAILED,
    '{"errorCode":404,"message":"No such CONTACT"}',
    LastCall(http_status=404, attempts=1, took_ms=5),
)
JOBS = tuple(
    Job(index, "event", "inviteContacts", f'{{"n":{index}}}', f"row-{index}") for index in range(6)
)


@pytest.fixture
def batch(world: World) -> Batch:
    """Jobs 0 and 3 failed, 1 is unanswered, 2 and 5 succeeded, and 4 waits."""
    batch = world.submitted(6, jobs_per_message=1, jobs=JOBS)
    for index, answer in enumerate([GONE, unanswered(), succeeded(), GONE, None, succeeded()]):
        if answer:
            part = AnswersPart(round=1, number=0, answers={index: answer})
            world.store.record(batch, index, part)
    return batch


def table(page: Page, batch: Batch, query: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = page.gets(f"/batches/{batch.batch_id}/jobs?{query}")
    return answer


def indexes(answer: dict[str, Any]) -> list[int]:
    return [row["index"] for row in answer["rows"]]


class TestTable:
    @pytest.mark.parametrize(
        ("status", "found"), [("404", [0, 3]), ("none", [1, 2, 5]), ("40", [])]
    )
    def test_jobs_are_found_by_the_exact_status_of_their_last_call(
        self, local: Page, batch: Batch, status: str, found: list[int]
    ) -> None:
        """Job 4 waits, so it has no status yet. That differs from a call without a status."""
        assert indexes(table(local, batch, f"status={status}")) == found

    def test_failed_jobs_come_first_then_those_without_an_answer(
        self, local: Page, batch: Batch
    ) -> None:
        answer = table(local, batch)
        assert indexes(answer) == [0, 3, 1, 4, 2, 5]
        assert (answer["matched"], answer["total"], answer["next"]) == (6, 6, None)
        assert answer["rows"][0] == {
            "index": 0,
            "id": "row-0",
            "namespace": "event",
            "action": "inviteContacts",
            "outcome": "f",
            "httpStatus": 404,
            "error": "404 No such CONTACT",
            "attempts": 1,
            "tookMs": 5,
        }

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("outcome=f", [0, 3]),
            ("outcome=u", [1]),
            ("outcome=w", [4]),
            ("outcome=s", [2, 5]),
            ("text=no+such+contact", [0, 3]),
            ("text=INVITE", [0, 3, 1, 4, 2, 5]),
            ("text=event.inviteContacts", [0, 3, 1, 4, 2, 5]),
            ("text=row-3", [3]),
            ("text=%233", [3]),
            ("text=3", [3]),
            ("text=404", [0, 3]),
            ("text=%23404", []),
            ("text=contact&outcome=u", [1]),
            ("text=such&outcome=s", []),
            ("text=++", [0, 3, 1, 4, 2, 5]),
        ],
    )
    def test_text_and_outcome_filter_it(
        self, local: Page, batch: Batch, query: str, found: list[int]
    ) -> None:
        answer = table(local, batch, query)
        assert (indexes(answer), answer["matched"]) == (found, len(found))

    def test_every_job_is_on_one_page(self, local: Page, batch: Batch) -> None:
        first = table(local, batch, "limit=4")
        assert (indexes(first), first["next"], first["matched"]) == ([0, 3, 1, 4], 4, 6)
        second = table(local, batch, "limit=4&from=4")
        assert (indexes(second), second["next"]) == ([2, 5], None)
        assert indexes(table(local, batch, "from=999999999")) == []

    @pytest.mark.parametrize("query", ["from=-1", "limit=x", "limit=1.5", "from=9999999999"])
    def test_an_invalid_number_is_named(self, local: Page, batch: Batch, query: str) -> None:
        answer = local.asks("GET", f"/batches/{batch.batch_id}/jobs?{query}")
        assert answer.status == 400
        assert f"`{query.split('=')[0]}` must be a whole number" in answer.body["error"]

    def test_an_unknown_outcome_is_named(self, local: Page, batch: Batch) -> None:
        answer = local.asks("GET", f"/batches/{batch.batch_id}/jobs?outcome=x")
        assert (answer.status, answer.body) == (
            400,
            {"error": "`outcome` must be one of f, u, w, s."},
        )

    def test_a_page_has_at_most_a_thousand_rows(self, world: World, local: Page) -> None:
        batch = world.submitted(1_200)
        assert len(table(local, batch, "limit=5000")["rows"]) == 1_000


class TestOneJob:
    def test_request_and_response_are_the_stored_texts(self, local: Page, batch: Batch) -> None:
        shown = local.gets(f"/batches/{batch.batch_id}/jobs/3")
        del shown["curl"]
        assert shown == {
            "index": 3,
            "id": "row-3",
            "namespace": "event",
            "action": "inviteContacts",
            "outcome": "f",
            "httpStatus": 404,
            "error": "404 No such CONTACT",
            "attempts": 1,
            "tookMs": 5,
            "request": '{"n":3}',
            "response": GONE.response,
            "requestBytes": 7,
            "responseBytes": len(GONE.response),
            "idempotencyKey": "0123456789abcdef0123456789abcdef-fedcba98-3",
            "traceparent": None,
        }

    def test_a_job_that_waits_has_no_response(self, local: Page, batch: Batch) -> None:
        shown = local.gets(f"/batches/{batch.batch_id}/jobs/4")
        assert (shown["outcome"], shown["response"], shown["responseBytes"]) == ("w", None, None)

    def test_its_place_in_a_trace_is_shown(self, world: World, local: Page) -> None:
        batch = world.submitted(trace=TraceContext(trace_id="ab" * 16, flags="01"))
        shown = local.gets(f"/batches/{batch.batch_id}/jobs/0")
        assert shown["traceparent"] == batch.call_traceparent(0)
        assert shown["traceparent"]

    @pytest.mark.parametrize("index", ["6", "99999999999", "-1", "x"])
    def test_a_job_that_does_not_exist_is_not_found(
        self, local: Page, batch: Batch, index: str
    ) -> None:
        answer = local.asks("GET", f"/batches/{batch.batch_id}/jobs/{index}")
        assert (answer.status, set(answer.body)) == (404, {"error"})

    def test_a_job_that_cannot_be_read_is_shown_with_its_answer(
        self, world: World, local: Page, batch: Batch
    ) -> None:
        del world.store.jobs[batch.batch_id, batch.submission, 3]
        shown = local.gets(f"/batches/{batch.batch_id}/jobs/3")
        assert (shown["request"], shown["curl"], shown["namespace"]) == (None, None, "")
        assert shown["response"] == GONE.response


HOSTILE = """'; touch hacked; $(touch hacked) `touch hacked` \\ " \u202e\u2028\ud800 \0 é"""
#: Prints its arguments and its input instead of sending anything.
CURL = """#!/bin/sh
for each in "$@"; do printf '%s\\n' "$each"; done > "$FOLDER/arguments"
cat > "$FOLDER/input"
"""


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="no shell")
class TestCurl:
    """A shell runs the command, with a curl that only records what it gets."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        program = tmp_path / "curl"
        program.write_text(CURL)
        program.chmod(0o755)
        return tmp_path

    def run(self, command: str, folder: Path, **variables: str) -> tuple[list[str], Any]:
        assert command.isascii()
        (folder / "command").write_text(command)
        environ = {"PATH": f"{folder}:/usr/bin:/bin", "FOLDER": str(folder), **variables}
        ran = subprocess.run(
            ["/bin/sh", "command"],
            cwd=folder,
            env=environ,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        assert (ran.stdout, ran.stderr) == (b"", b"")
        assert sorted(path.name for path in folder.iterdir()) == [
            *("arguments", "command", "curl", "input")
        ]
        *given, body = (folder / "arguments").read_text().splitlines()
        sent = (folder / "input").read_text() if body == "@-" else body
        return given, json.loads(sent)

    def command(self, page: Page, world: World, params: str, **terms: Any) -> str:
        job = Job(0, "event", "inviteContacts", params, "row-0")
        made = SubmissionTerms(request_hash="", **terms)
        batch = world.submitted(1, jobs=(job,), terms=made)
        curl: str = page.gets(f"/batches/{batch.batch_id}/jobs/0")["curl"]
        return curl

    @pytest.mark.parametrize("large", [0, 199_000])
    def test_it_runs_the_job_again_whatever_it_holds(
        self, world: World, folder: Path, large: int
    ) -> None:
        tools = local_tools(secret="known", is_demonstration=True)
        page = Page(console_of(world, local=tools))
        params = {"text": HOSTILE, "more": "x" * large}
        url = "http://127.0.0.1:4568/callback?a='b"
        command = self.command(page, world, json.dumps(params), callback_url=url)
        given, body = self.run(command, folder)
        assert given == [
            *("-sS", "-u", "demo:known", "-H", "Content-Type: application/json"),
            *("http://127.0.0.1:8000/api/1.0/batch?action=run", "-d"),
        ]
        called = {"id": "row-0", "namespace": "event", "action": "inviteContacts"}
        assert body == {"callbackUrl": url, "jobs": [{**called, "params": params}]}

    def test_characters_that_a_terminal_shows_wrongly_are_escaped(
        self, world: World, local: Page, folder: Path
    ) -> None:
        """Even if they are stored as they are."""
        text = '{"text":"\u202e\x7f\ud800é"}'
        command = self.command(local, world, text, callback_url=None)
        _, body = self.run(command, folder, BATCHBACK_SECRET="s")
        assert body["jobs"][0]["params"] == json.loads(text)

    def test_a_stages_addresses_and_secrets_are_variables(
        self, world: World, stage: Page, folder: Path
    ) -> None:
        url = "https://example.com/canary"
        command = self.command(stage, world, '{"text":"é"}', callback_url=url)
        assert "canary" not in command
        given, body = self.run(
            command,
            folder,
            BATCHBACK_ADDRESS="https://stage.example",
            BATCHBACK_SECRET="my secret",
            BATCHBACK_CALLBACK_URL="https://me.example/hook",
        )
        assert given[2] == "demo:my secret"
        assert given[5] == "https://stage.example/api/1.0/batch?action=run"
        assert body["callbackUrl"] == "https://me.example/hook"

    def test_a_secret_that_the_user_chose_is_not_in_it(self, world: World, local: Page) -> None:
        """It may open the platform."""
        assert "canary" not in self.command(local, world, "{}", callback_url=None)
