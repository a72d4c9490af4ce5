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
        """The content decides, not the file's name. Empty lines are ignored."""
        service.answers(SUBMITTED)
        user.stdin = io.BytesIO(text.encode())
        assert user.types("run", "-", "--callback-url", URL) == 0
        jobs = [{"namespace": "a", "action": "b"}, {"namespace": "c", "action": "d"}]
        assert service.asked[0].json == {"jobs": jobs, "callbackUrl": URL}

    def test_a_single_line_is_a_single_job(self, service: ScriptedService, user: User) -> None:
        """A program that writes lines does not have to count them."""
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
    def test_each_option_is_a_parameter(
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

    def test_options_override_the_file(self, service: ScriptedService, user: User) -> None:
        """Each replaces the whole value of its key."""
        service.answers(PONG, SUBMITTED)
        request = {"jobs": [], "label": "old", "metadata": {"old": "1"}, "maxFailed": 7}
        user.stdin = io.BytesIO(json.dumps(request).encode())
        assert user.types("run", "-", "--label", "new", "--metadata", "new=2") == 0
        assert service.asked[1].json == {**request, "label": "new", "metadata": {"new": "2"}}

    def test_headers_can_be_in_a_file(
        self, service: ScriptedService, user: User, jobs_file: str, tmp_path: Path
    ) -> None:
        """Other users of the machine may see options, but not the file."""
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
    def test_invalid_options_are_never_sent(
        self,
        service: ScriptedService,
        user: User,
        jobs_file: str,
        options: list[str],
        said: str,
    ) -> None:
        """The values of headers are not shown."""
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
    def test_parameters_that_it_would_ignore_are_not_sent(
        self,
        service: ScriptedService,
        user: User,
        jobs_file: str,
        options: list[str],
        named: str,
    ) -> None:
        """The command only asks for the version, and prints a sentence."""
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
    def test_parameters_in_the_file_count_too(
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
    def test_filters_that_it_would_ignore(
        self, service: ScriptedService, user: User, command: str
    ) -> None:
        """`rerun-failed` above all would otherwise rerun all jobs."""
        service.answers(OLD_PONG)
        assert user.types(*command.split()) == 2
        assert "the service is too old for" in user.is_told
        assert len(service.asked) == 1


class TestNoAnswer:
    def test_the_message_has_the_key_for_a_retry(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """The key is new each time, unless it is given."""
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

    def test_an_error_of_the_service_leaves_the_outcome_unknown_too(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        service.refuses(500, 0, "Internal server error")
        assert user.types("run", jobs_file, "--idempotency-key", "order-66") == 1
        assert user.is_told == (
            "batchback: refused (500/0): Internal server error: retry with "
            "`--idempotency-key order-66` so that the batch runs only once\n"
        )

    def test_a_batch_that_was_not_saved_needs_no_key(
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
        """Messages have the line if each job has one. Options count too."""
        file = tmp_path / "jobs.jsonl"
        lines = ['{"namespace": "a", "action": "b", "id": "x"}', "", '{"namespace": "batch"}']
        lines += ['{"namespace": "a", "action": "b", "id": "x", "parms": {}}']
        file.write_text("\n".join(lines))
        user = User({})
        assert user.types("run", str(file), "--check", "--label", "") == 2
        assert user.is_told.splitlines() == [
            "batchback: line 3: jobs[1].action: is required",
            "batchback: line 3: jobs[1].namespace: 'batch' may not be called from a batch",
            "batchback: line 4: jobs[2].id: is also the id of jobs[0]",
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
    def test_failed_jobs_become_a_new_batch(self, service: ScriptedService, user: User) -> None:
        """They come from all pages, with their ids. The id of the new batch is printed."""
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

    def test_nothing_is_sent_if_all_succeeded(self, service: ScriptedService, user: User) -> None:
        service.answers(PONG, page([], None))
        assert user.types("rerun-failed", BATCH, "--wait", "--fail-on-error") == 0
        assert user.stdout.getvalue() == ""
        assert user.is_told == (
            f"batchback: all jobs of batch {BATCH} succeeded, so nothing was sent\n"
        )

    def test_a_running_batch_is_not_completed(self, service: ScriptedService, user: User) -> None:
        service.answers(PONG)
        service.refuses(400, 24114, "Batch job not completed")
        assert user.types("rerun-failed", BATCH) == 4

    def test_a_missing_callback_url_is_named(self, service: ScriptedService, user: User) -> None:
        """Only some services require one."""
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
    def test_it_waits_until_the_batch_is_over(self, service: ScriptedService, user: User) -> None:
        """The output is the progress."""
        service.answers(running(50), COMPLETED)
        assert user.types("wait", BATCH) == 0
        assert user.reads == COMPLETED
        assert user.is_told.splitlines() == [
            "batchback: 50% 100 of 200 jobs answered",
            "batchback: 100% 200 of 200 jobs answered, 3 failed",
            f"batchback: {FAILED.format(id=BATCH)}",
        ]

    def test_failures_can_set_the_exit_status(self, service: ScriptedService, user: User) -> None:
        service.answers(COMPLETED)
        assert user.types("wait", BATCH, "--fail-on-error") == 6

    def test_it_stops_at_the_timeout(self, service: ScriptedService, user: User) -> None:
        service.answers(*[running(10)] * 20)
        assert user.types("wait", BATCH, "--timeout", "3") == 4
        assert user.stdout.getvalue() == ""
        assert user.is_told.endswith(f"run `batchback wait {BATCH}` to wait longer\n")
        assert user.time.seconds == pytest.approx(3)

    def test_a_batch_that_stopped_says_so(self, service: ScriptedService, user: User) -> None:
        service.answers(running(100, status="stopped", failed=2))
        assert user.types("wait", BATCH) == 0
        assert "the batch was stopped: more jobs failed than its maxFailed allows" in user.is_told

    def test_failures_are_reported_even_if_the_output_is_lost(
        self, service: ScriptedService, user: User
    ) -> None:
        service.answers(COMPLETED)
        user.stdout = Unwritable()
        assert user.types("wait", BATCH) == 5
        assert "3 of 200 jobs failed" in user.is_told


class TestRunToAFile:
    def test_the_results_of_a_finished_batch(
        self, service: ScriptedService, user: User, jobs_file: str, tmp_path: Path
    ) -> None:
        service.answers(SUBMITTED, COMPLETED, RESULTS)
        file = tmp_path / "r.json"
        assert user.types("run", jobs_file, "--wait", "--output", str(file)) == 0
        assert json.loads(file.read_bytes()) == RESULTS

    def test_a_missing_folder_is_reported_before_anything_is_sent(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        assert user.types("run", jobs_file, "--wait", "--output", "/no/such/folder/r.json") == 2
        assert service.asked == []
