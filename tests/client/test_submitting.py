"""The options of `batchback run`, `--check`, `rerun-failed` and `wait`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.client.samples import COMPLETED, RESULTS, running
from tests.client.scripted_service import BATCH, JOB, ScriptedService
from tests.client.user import Unwritable, User

PONG = {"ack": "now", "version": "0.1.0"}
OLD_PONG = {"ack": "now"}
SUBMITTED = {"asyncId": BATCH}
NEW_BATCH = "0d2392e56bee4f60ad960780f17f1ebb"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
URL = "http://example.com/"
FAILED = "3 of 200 jobs failed: run `batchback rerun-failed {id}` to submit them again"


class TestJsonLines:
    @pytest.mark.parametrize(
        "text",
        [
            '{"namespace": "a", "action": "b"}\n{"namespace": "c", "action": "d"}\n',
            '\ufeff{"namespace": "a", "action": "b"}\r\n\r\n{"namespace": "c", "action": "d"}',
        ],
    )
    def test_a_job_on_each_line(self, service: ScriptedService, user: User, text: str) -> None:
        """Known by its content, whatever the name is; empty lines are none."""
        service.answers(SUBMITTED)
        user.stdin = io.BytesIO(text.encode())
        assert user.types("run", "-", "--callback-url", URL) == 0
        jobs = [{"namespace": "a", "action": "b"}, {"namespace": "c", "action": "d"}]
        assert service.asked[0].json == {"jobs": jobs, "callbackUrl": URL}

    def test_a_single_line_is_a_single_job(self, service: ScriptedService, user: User) -> None:
        """So that a program that writes lines need not count them."""
        service.answers(SUBMITTED)
        user.stdin = io.BytesIO(b'{"namespace": "a", "action": "b"}\n')
        assert user.types("run", "-") == 0
        assert service.asked[0].json == {"jobs": [{"namespace": "a", "action": "b"}]}


OPTIONS = {
    "--callback-url": "callbackUrl",
    "--callback-results": "callbackResults",
    "--label": "label",
    "--deadline-minutes": "deadlineMinutes",
    "--max-failed": "maxFailed",
}


class TestOptions:
    def test_each_is_a_parameter(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        service.answers(PONG, SUBMITTED)
        values = [URL, "failed", "nightly", "90", "0"]
        given = [word for pair in zip(OPTIONS, values, strict=True) for word in pair]
        more = ["--metadata", "a=1", "--metadata", "b=x=y", "--callback-header", "X-A:  b c "]
        assert user.types("run", jobs_file, *given, *more, "--traceparent", TRACE) == 0
        ping, run = service.asked
        assert ping.target == "/api/1.0/test?action=ping"
        assert run.headers["traceparent"] == TRACE
        assert run.json == {
            "jobs": [JOB],
            "callbackUrl": URL,
            "callbackResults": "failed",
            "label": "nightly",
            "deadlineMinutes": 90,
            "maxFailed": 0,
            "metadata": {"a": "1", "b": "x=y"},
            "callbackHeaders": {"X-A": "b c"},
        }

    def test_they_win_over_the_file(self, service: ScriptedService, user: User) -> None:
        """Key by key, and a key as a whole."""
        service.answers(PONG, SUBMITTED)
        request = {"jobs": [], "label": "old", "metadata": {"old": "1"}, "maxFailed": 7}
        user.stdin = io.BytesIO(json.dumps(request).encode())
        assert user.types("run", "-", "--label", "new", "--metadata", "new=2") == 0
        assert service.asked[1].json == {**request, "label": "new", "metadata": {"new": "2"}}

    def test_headers_can_stand_in_a_file(
        self, service: ScriptedService, user: User, jobs_file: str, tmp_path: Path
    ) -> None:
        """Other users of the machine may see options."""
        file = tmp_path / "headers.txt"
        file.write_text("Authorization: Bearer s3cret\n\nX-A: é\r\n", "utf-8")
        service.answers(PONG, SUBMITTED)
        options = ["--callback-header", f"@{file}", "--callback-header", "X-B: c"]
        assert user.types("run", jobs_file, *options) == 0
        assert service.asked[1].json["callbackHeaders"] == {
            "Authorization": "Bearer s3cret",
            "X-A": "é",
            "X-B": "c",
        }

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--callback-header", "s3cret"], "each header must have the form 'NAME: VALUE'."),
            (["--callback-header", "X A: s3cret"], "each header must have the form 'NAME: VALUE'."),
            (
                ["--callback-header", "X-A: s3cret\nb"],
                "each header must have the form 'NAME: VALUE'.",
            ),
            (["--callback-header", "@/no/file"], "/no/file cannot be read (No such file or dir"),
            (
                ["--callback-header", "X-A: s3cret", "--callback-header", "x-a: b"],
                "'x-a' is given twice.",
            ),
            (["--metadata", "a"], "'a' must have the form NAME=VALUE."),
            (["--metadata", "=a"], "'=a' must have the form NAME=VALUE."),
            (["--metadata", "a=1", "--metadata", "a=2"], "'a' is given twice."),
            (["--callback-results", "some"], "'some' is not one of"),
            (["--max-failed", "-1"], "-1 is not in the range x>=0."),
            (["--deadline-minutes", "0"], "0 is not in the range x>=1."),
            (["--max-failed", "1.5"], "'1.5' is not a valid integer"),
            (["--traceparent", "00-0-0-0"], "the traceparent must follow W3C Trace Context"),
            (["--traceparent", TRACE.replace("0af", "0AF")], "the traceparent must follow W3C"),
            (["--output", "r.json"], "--output works only with --wait: add --wait"),
            (
                ["--check", "--wait"],
                "--check sends nothing, so there is nothing to wait for: remove --wait",
            ),
        ],
    )
    def test_what_makes_no_sense_is_never_sent(
        self,
        service: ScriptedService,
        user: User,
        jobs_file: str,
        options: list[str],
        said: str,
    ) -> None:
        """And no value of a header is shown."""
        assert user.types("run", jobs_file, *options) == 2
        assert said in user.is_told
        assert "s3cret" not in user.is_told
        assert service.asked == []


NEWER: list[tuple[list[str], str]] = [
    (["--max-failed", "3"], "maxFailed"),
    (["--label", "a", "--deadline-minutes", "3"], "label and deadlineMinutes"),
    (["--metadata", "a=b"], "metadata"),
    (["--callback-results", "none"], "callbackResults"),
    (["--callback-header", "X-A: s3cret"], "callbackHeaders"),
    (["--traceparent", TRACE], "traceparent"),
]


class TestAnOldService:
    @pytest.mark.parametrize(("options", "named"), NEWER)
    def test_what_it_would_ignore_is_not_sent(
        self,
        service: ScriptedService,
        user: User,
        jobs_file: str,
        options: list[str],
        named: str,
    ) -> None:
        """One question, and a sentence."""
        service.answers(OLD_PONG)
        assert user.types("run", jobs_file, *options) == 2
        assert user.is_told == (
            f"batchback: the service is too old for {named}, and would ignore it: do without it, "
            "or ask the operator to update the service\n"
        )
        assert len(service.asked) == 1

    @pytest.mark.parametrize(
        ("content", "named"),
        [
            (b'{"jobs": [], "maxFailed": 0}', "maxFailed"),
            (b'[1, {"namespace": "a", "action": "b", "id": "c"}]', "the id of jobs"),
        ],
    )
    def test_what_file_says_counts_too(
        self, service: ScriptedService, user: User, content: bytes, named: str
    ) -> None:
        service.answers(OLD_PONG)
        user.stdin = io.BytesIO(content)
        assert user.types("run", "-") == 2
        assert f"too old for {named}, and" in user.is_told
        assert len(service.asked) == 1

    @pytest.mark.parametrize(
        "command",
        [
            f"results {BATCH} --only failed",
            f"results {BATCH} --detail",
            f"rerun-failed {BATCH}",
            "list --label nightly",
        ],
    )
    def test_questions_that_it_does_not_understand(
        self, service: ScriptedService, user: User, command: str
    ) -> None:
        """Above all it would have all jobs run again, and not only those that failed."""
        service.answers(OLD_PONG)
        assert user.types(*command.split()) == 2
        assert "the service is too old for" in user.is_told
        assert len(service.asked) == 1


class TestNoAnswer:
    def test_the_key_is_told_for_the_next_try(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """A new one each time, unless it is given."""
        service.answers_bytes(b"<html>", status=504)
        assert user.types("run", jobs_file) == 3
        key = service.asked[0].headers["idempotency-key"]
        assert user.is_told.endswith(
            f"; check the address, or retry with `--idempotency-key {key}` so that the batch "
            "runs only once\n"
        )
        service.answers(SUBMITTED, SUBMITTED)
        assert user.types("run", jobs_file) == user.types("run", jobs_file) == 0
        assert len({asked.headers["idempotency-key"] for asked in service.asked}) == 3

    def test_an_error_of_the_service_leaves_it_open_too(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        service.refuses(500, 0, "Internal server error")
        assert user.types("run", jobs_file, "--idempotency-key", "order-66") == 1
        assert user.is_told == (
            "batchback: refused (500/0): Internal server error: retry with "
            "`--idempotency-key order-66` so that the batch runs only once\n"
        )

    def test_what_was_not_saved_is_just_run_again(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        service.refuses(500, 24091, "The information was not saved")
        assert user.types("run", jobs_file) == 1
        assert user.is_told.endswith("was not saved: retry\n")


class TestCheck:
    def test_it_needs_no_service(self, tmp_path: Path) -> None:
        file = tmp_path / "jobs.json"
        file.write_text(json.dumps({"jobs": [JOB], "callbackUrl": URL}))
        user = User({})
        assert user.types("run", str(file), "--check") == 0
        assert user.stdout.getvalue() == ""
        assert user.is_told == (
            f"batchback: {file} has 1 job and no errors that --check can find; nothing was sent\n"
        )

    def test_all_faults_are_named(self, tmp_path: Path) -> None:
        """With the line, if each job has one; options count as they would."""
        file = tmp_path / "jobs.jsonl"
        lines = ['{"namespace": "a", "action": "b", "id": "x"}', "", '{"namespace": "batch"}']
        lines += ['{"namespace": "a", "action": "b", "id": "x", "parms": {}}']
        file.write_text("\n".join(lines))
        user = User({})
        assert user.types("run", str(file), "--check", "--label", "") == 2
        assert user.is_told.splitlines() == [
            "batchback: line 3: jobs[1].action: is required",
            "batchback: line 3: jobs[1].namespace: 'batch' may not be called from a batch",
            "batchback: line 4: jobs[2].id: is the id of jobs[0] too",
            "batchback: label: must be 1 to 64 printable characters",
            "batchback: callbackUrl: is missing, and most deployments require it",
            "batchback: jobs[].parms: is not a field of a job, and is ignored",
            f"batchback: {file} has 4 errors; nothing was sent",
        ]


def failed(index: int, **more: object) -> dict[str, Any]:
    return {**JOB, "request": {"event": index}, "response": {}, "index": index, **more}


def page(results: list[dict[str, Any]], following: int | None) -> dict[str, Any]:
    counted = {"totalResults": 9, "start": 0, "perPage": 1_000, "count": len(results)}
    return {"asyncId": BATCH, "results": results, "meta": {**counted, "next": following}}


class TestRerunFailed:
    def test_what_failed_is_a_new_batch(self, service: ScriptedService, user: User) -> None:
        """From all pages, with ids if there are some; the new id is printed."""
        service.answers(PONG, page([failed(1, id="one")], 4), page([failed(7)], None))
        service.answers({"asyncId": NEW_BATCH})
        assert user.types("rerun-failed", BATCH, "--callback-url", URL, "--label", "again") == 0
        assert user.reads == {"asyncId": NEW_BATCH}
        _, first, second, run = service.asked
        assert first.json == {"async": BATCH, "start": 0, "only": "failed"}
        assert second.json == {"async": BATCH, "start": 4, "only": "failed"}
        job = {"namespace": "event", "action": "inviteContacts"}
        assert run.json == {
            "jobs": [{**job, "params": {"event": 1}, "id": "one"}, {**job, "params": {"event": 7}}],
            "callbackUrl": URL,
            "label": "again",
        }

    def test_if_all_succeeded_nothing_is_sent(self, service: ScriptedService, user: User) -> None:
        service.answers(PONG, page([], None))
        assert user.types("rerun-failed", BATCH, "--wait", "--fail-on-error") == 0
        assert user.stdout.getvalue() == ""
        assert user.is_told == (
            f"batchback: all jobs of batch {BATCH} succeeded, so nothing was sent\n"
        )

    def test_a_batch_that_runs_is_not_completed(self, service: ScriptedService, user: User) -> None:
        service.answers(PONG)
        service.refuses(400, 24114, "Batch job not completed")
        assert user.types("rerun-failed", BATCH) == 4

    def test_the_callback_url_is_asked_for(self, service: ScriptedService, user: User) -> None:
        """If the service requires one."""
        service.answers(PONG, page([failed(1)], None))
        service.refuses(400, 23017, "'callbackUrl' is required", "callbackUrl: is required")
        assert user.types("rerun-failed", BATCH) == 1
        assert user.is_told.endswith("add --callback-url, the address to POST the results to\n")

    def test_it_waits_like_run(self, service: ScriptedService, user: User, tmp_path: Path) -> None:
        file = tmp_path / "r.jsonl"
        service.answers(PONG, page([failed(1)], None), {"asyncId": NEW_BATCH}, COMPLETED)
        service.answers(page([failed(1)], None))
        options = ["--wait", "--fail-on-error", "--output", str(file)]
        assert user.types("rerun-failed", BATCH, *options) == 6
        assert json.loads(file.read_text()) == failed(1)
        assert user.is_told.splitlines()[-2:] == [
            f"batchback: wrote 1 result to {file}",
            f"batchback: {FAILED.format(id=NEW_BATCH)}",
        ]


class TestWait:
    def test_until_it_is_over(self, service: ScriptedService, user: User) -> None:
        """The progress is the output."""
        service.answers(running(50), COMPLETED)
        assert user.types("wait", BATCH) == 0
        assert user.reads == COMPLETED
        assert user.is_told.splitlines() == [
            "batchback: 50% 100 of 200 jobs answered",
            "batchback: 100% 200 of 200 jobs answered, 3 failed",
            f"batchback: {FAILED.format(id=BATCH)}",
        ]

    def test_failures_can_be_the_exit_status(self, service: ScriptedService, user: User) -> None:
        service.answers(COMPLETED)
        assert user.types("wait", BATCH, "--fail-on-error") == 6

    def test_time_is_up(self, service: ScriptedService, user: User) -> None:
        service.answers(*[running(10)] * 20)
        assert user.types("wait", BATCH, "--timeout", "3") == 4
        assert user.stdout.getvalue() == ""
        assert user.is_told.endswith(f"run `batchback wait {BATCH}` to wait longer\n")
        assert user.time.seconds == pytest.approx(3)

    def test_a_batch_that_stopped_says_so(self, service: ScriptedService, user: User) -> None:
        service.answers(running(100, status="stopped", failed=2))
        assert user.types("wait", BATCH) == 0
        assert "the batch was stopped: more jobs failed than its maxFailed allows" in user.is_told

    def test_the_report_comes_though_the_output_is_lost(
        self, service: ScriptedService, user: User
    ) -> None:
        service.answers(COMPLETED)
        user.stdout = Unwritable()
        assert user.types("wait", BATCH) == 5
        assert "3 of 200 jobs failed" in user.is_told


class TestRunToAFile:
    def test_the_results_of_a_batch_that_was_waited_for(
        self, service: ScriptedService, user: User, jobs_file: str, tmp_path: Path
    ) -> None:
        service.answers(SUBMITTED, COMPLETED, RESULTS)
        file = tmp_path / "r.json"
        assert user.types("run", jobs_file, "--wait", "--output", str(file)) == 0
        assert json.loads(file.read_bytes()) == RESULTS

    def test_a_folder_that_is_not_there_is_found_before(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        assert user.types("run", jobs_file, "--wait", "--output", "/no/such/folder/r.json") == 2
        assert service.asked == []
