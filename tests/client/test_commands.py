"""The commands for callers, against a real HTTP server."""

import errno
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from batchback import Client

from tests.client.samples import COMPLETED, RESULTS
from tests.client.scripted_service import (
    BATCH,
    JOB,
    KEY,
    SECRET,
    ScriptedService,
    nobodys_address,
    refused,
)
from tests.client.user import Unwritable, User

ROOT = Path(__file__).parents[2]
AGAIN = "check the address, or retry"
CURSOR = "AAABnTpXyOgAAAAKAA7jXgbuWS0XpC3J5iUqBYYX0123456789ab"


class TestAsking:
    @pytest.mark.parametrize(
        ("command", "target", "body", "answer"),
        [
            ("ping", "test?action=ping", {}, {"ack": "2026-11-23 14:49:07 UTC"}),
            (f"progress {BATCH}", "batch?action=progress", {"async": BATCH}, COMPLETED),
            (f"restart {BATCH}", "batch?action=restart", {"async": BATCH}, {"restarted": True}),
            (f"repost {BATCH}", "batch?action=repost", {"async": BATCH}, {"reposted": True}),
            (f"cancel {BATCH}", "batch?action=cancel", {"async": BATCH}, {"cancelled": True}),
            (f"results {BATCH}", "batch?action=results", {"async": BATCH}, RESULTS),
            (
                f"results {BATCH} --start 0 --per-page 10 --partial",
                "batch?action=results",
                {"async": BATCH, "start": 0, "perPage": 10, "partial": True},
                RESULTS,
            ),
            ("list", "batch?action=list", {}, {"results": []}),
            (
                "list --start 5 --per-page 1",
                "batch?action=list",
                {"start": 5, "perPage": 1},
                {"results": [], "meta": {"next": CURSOR}},
            ),
            (
                f"list --start {CURSOR}",
                "batch?action=list",
                {"start": CURSOR},
                {"results": [], "meta": {"next": CURSOR}},
            ),
        ],
    )
    def test_the_answer_is_the_output(
        self,
        service: ScriptedService,
        user: User,
        command: str,
        target: str,
        body: dict[str, object],
        answer: dict[str, object],
    ) -> None:
        """A command makes one call, prints only the service's JSON, and exits with 0."""
        service.answers(answer)
        assert user.types(*command.split()) == 0
        assert user.reads == answer
        assert user.is_told == ""
        assert [(asked.target, asked.json) for asked in service.asked] == [
            (f"/api/1.0/{target}", body)
        ]

    def test_list_follows_next_to_the_end(self, service: ScriptedService, user: User) -> None:
        """All pages are printed as one."""
        one, two, three = ({"asyncId": letter * 32} for letter in "abc")
        service.answers(
            _list_page([one], start=0, following=CURSOR),
            _list_page([two], start=1, following=CURSOR[::-1]),
            _list_page([three], start=2, following=None),
        )
        assert user.types("list") == 0
        assert user.reads == _list_page([one, two, three], start=0, following=None)
        assert [asked.json for asked in service.asked] == [
            {},
            {"start": CURSOR, "perPage": 1_000},
            {"start": CURSOR[::-1], "perPage": 1_000},
        ]

    def test_list_asks_for_a_label_on_each_page(self, service: ScriptedService, user: User) -> None:
        """A page may be empty and still have a next one."""
        one = {"asyncId": "a" * 32}
        service.answers({"ack": "now", "version": "0.1.0"})
        service.answers(
            _list_page([], start=0, following=CURSOR),
            _list_page([one], start=100, following=None),
        )
        assert user.types("list", "--label", "nightly") == 0
        assert user.reads["results"] == [one]
        assert [asked.json for asked in service.asked[1:]] == [
            {"label": "nightly"},
            {"start": CURSOR, "perPage": 1_000, "label": "nightly"},
        ]

    def test_output_is_ascii(self, service: ScriptedService, user: User) -> None:
        """No terminal or pipe fails on an answer, not even on half a character."""
        service.answers({"ack": "é\ud83d"})
        assert user.types("ping") == 0
        assert user.stdout.getvalue().isascii()
        assert user.reads == {"ack": "é\ud83d"}


def _list_page(
    batches: list[dict[str, str]], *, start: int, following: str | None
) -> dict[str, object]:
    counted = {"totalResults": 3, "start": start, "perPage": 100, "count": len(batches)}
    return {"results": batches, "meta": {**counted, "next": following}}


class TestCredentials:
    def test_options_go_before_the_command(self, service: ScriptedService) -> None:
        """--address, --key and --secret work before the command."""
        service.answers({"ack": "now"})
        user = User({})
        given = ("--address", service.address, "--key", KEY, "--secret", SECRET)
        assert user.types(*given, "ping") == 0

    def test_options_go_after_the_command(self, service: ScriptedService) -> None:
        """--address, --key and --secret work after the command, or on both sides."""
        service.answers({"ack": "now"})
        user = User({})
        after = ("--key", KEY, "--secret", SECRET)
        assert user.types("--address", service.address, "ping", *after) == 0

    def test_options_win_over_the_environment(self, user: User) -> None:
        """The value on the command line counts."""
        assert user.types("ping", "--secret", "wrong") == 1
        assert user.is_told.startswith("batchback: refused (401/0): Unauthorized: the key or its ")

    def test_the_address_may_end_with_the_api_path(
        self, service: ScriptedService, user: User
    ) -> None:
        """BATCHBACK_ADDRESS works with /api/1.0 too."""
        service.answers({"ack": "now"})
        user.environ = {**user.environ, "BATCHBACK_ADDRESS": f"{service.address}/api/1.0"}
        assert user.types("ping") == 0

    def test_everything_that_is_missing_is_named(self) -> None:
        """One sentence says which options or variables to set."""
        user = User({"BATCHBACK_ADDRESS": ""})
        assert user.types("ping") == 2
        assert user.is_told == (
            "batchback: missing address, key and secret: pass --address, --key and --secret, or "
            "set BATCHBACK_ADDRESS, BATCHBACK_KEY and BATCHBACK_SECRET\n"
        )

    def test_only_what_is_missing_is_named(self, user: User) -> None:
        """If only the secret is missing, the message is only about the secret."""
        user.environ = {**user.environ, "BATCHBACK_SECRET": ""}
        assert user.types("ping") == 2
        assert user.is_told == (
            "batchback: missing secret: pass --secret, or set BATCHBACK_SECRET\n"
        )

    @pytest.mark.parametrize("secret", ["s3cret\r", "s3crét"])
    def test_an_invalid_secret_is_reported(self, user: User, secret: str) -> None:
        """A shell script with Windows line endings leaves a CR at the end of every variable."""
        user.environ = {**user.environ, "BATCHBACK_SECRET": secret}
        assert user.types("ping") == 2
        assert user.is_told.startswith("batchback: the secret is empty, or contains a line break")
        assert "3cr" not in user.is_told

    def test_too_many_requests_say_when_to_retry(
        self, service: ScriptedService, user: User
    ) -> None:
        body = b'{"errorCode": 429, "message": "Too many requests", "specificCode": 0}'
        service.answers_bytes(body, status=429, **{"Retry-After": "17"})
        assert user.types("restart", BATCH) == 1
        assert user.is_told == ("batchback: refused (429/0): Too many requests: retry in 17 s\n")

    @pytest.mark.parametrize("path", ["/api/1.0", "/api/1.0/", "/api/1.0/batch", "/api/1.0/test/"])
    def test_the_path_of_a_call_is_not_part_of_the_address(
        self, service: ScriptedService, user: User, path: str
    ) -> None:
        """People often paste it together with the address."""
        service.answers({"ack": "now"})
        assert user.types("ping", "--address", f"{service.address}{path}") == 0
        assert service.asked[0].path == "/api/1.0/test?action=ping"

    @pytest.mark.parametrize(
        "address",
        [
            "http://[::1",
            "http://localhost:port",
            "http://localhost/api/1.0/batch?action=run",
            "http://demo:hunter2@localhost",
            "demo:hunter2@localhost",
        ],
    )
    def test_an_invalid_address_is_wrong_usage(self, user: User, address: str) -> None:
        """A password in it is not shown."""
        assert user.types("ping", "--address", address) == 2
        assert user.is_told.startswith("batchback: the address ")
        assert "hunter2" not in user.is_told

    def test_a_secret_may_begin_with_a_dash(self, service: ScriptedService, user: User) -> None:
        for argv in (["--secret", "-s3cret", "ping"], ["ping", "--secret", "-s3cret"]):
            assert user.types(*argv) == 1
        assert [asked.is_signed for asked in service.asked] == [False, False]

    def test_an_address_without_scheme_is_wrong_usage(self, user: User) -> None:
        """It exits with status 2 after one line."""
        assert user.types("ping", "--address", "batch.example.com") == 2
        assert user.is_told == (
            "batchback: the address 'batch.example.com' must begin with http:// or https://\n"
        )


class TestRun:
    def test_an_array_of_jobs_with_callback_url(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """--callback-url completes a file that contains only jobs."""
        service.answers({"asyncId": BATCH})
        assert user.types("run", jobs_file, "--callback-url", "http://example.com/") == 0
        assert user.reads == {"asyncId": BATCH}
        assert user.is_told == ""
        assert service.asked[0].json == {"jobs": [JOB], "callbackUrl": "http://example.com/"}

    def test_a_whole_request_from_standard_input(
        self, service: ScriptedService, user: User
    ) -> None:
        """`-` reads standard input. The object is sent unchanged, unknown keys included."""
        service.answers({"asyncId": BATCH})
        request = {"jobs": [JOB], "callbackUrl": "http://example.com/", "note": "\ud83d é"}
        user.stdin = io.BytesIO(json.dumps(request).encode())
        assert user.types("run", "-") == 0
        assert service.asked[0].json == request

    def test_the_option_overrides_the_file(self, service: ScriptedService, user: User) -> None:
        """--callback-url replaces the callbackUrl of a whole request."""
        service.answers({"asyncId": BATCH})
        user.stdin = io.BytesIO(b'{"jobs": [], "callbackUrl": "http://old.example.com/"}')
        assert user.types("run", "--callback-url", "http://example.com/", "-") == 0
        assert service.asked[0].json == {"jobs": [], "callbackUrl": "http://example.com/"}

    def test_a_long_number_works_under_any_limit_of_python(
        self, service: ScriptedService, user: User
    ) -> None:
        """PYTHONINTMAXSTRDIGITS changes nothing, neither for the file nor for the answer."""
        number = int("1" + "0" * 1_000)
        before = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(640)
        try:
            service.answers_bytes(b'{"asyncId": "a", "n": 1' + b"0" * 1_000 + b"}")
            user.stdin = io.BytesIO(b'{"jobs": [], "n": 1' + b"0" * 1_000 + b"}")
            assert user.types("run", "-") == 0
            assert service.asked[0].json["n"] == number
        finally:
            sys.set_int_max_str_digits(before)

    def test_numbers_are_printed_as_they_arrived(
        self, service: ScriptedService, user: User
    ) -> None:
        service.answers_bytes(b'{"asyncId": "a", "results": [], "n": [1.10, 1E2, 1e-400]}')
        assert user.types("results", BATCH) == 0
        printed = "".join(user.stdout.getvalue().split())
        assert printed == '{"asyncId":"a","results":[],"n":[1.10,1E2,1e-400]}'

    def test_a_byte_order_mark_is_ignored(self, service: ScriptedService, user: User) -> None:
        """Windows editors write one before the JSON."""
        service.answers({"asyncId": BATCH})
        user.stdin = io.BytesIO(b"\xef\xbb\xbf[]")
        assert user.types("run", "-") == 0
        assert service.asked[0].json == {"jobs": []}

    def test_the_idempotency_key_is_sent(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """--idempotency-key sets the header."""
        service.answers({"asyncId": BATCH})
        assert user.types("run", jobs_file, "--idempotency-key", "order-66") == 0
        assert service.asked[0].headers["idempotency-key"] == "order-66"

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b'[\n  {"a": 1},\n  {b}\n]', ", line 3, column 4: Expecting property name"),
            (b"", " is empty: write the jobs as a JSON array"),
            (b"\n \n", " is empty: write the jobs as a JSON array"),
            (b"namespace,action\nevent,x\n", " is not JSON: write the jobs as a JSON array"),
            (b"1,2\n3,4\n", " is not JSON: write the jobs as a JSON array"),
            (b"[]\n[]", " contains more than one JSON value: write one job per line, or combine"),
            (b"{} {}", " contains more than one JSON value: write one job per line, or combine"),
            (b'{\n"a": 1\n}\n{\n', " contains more than one JSON value: write one job per line"),
            (b'{"a": 1}\n{"a": }\n', ", line 2, column 7: Expecting value: fix it"),
            (b'{"a": 1}\n\n\n{"a": NaN}\n', ", line 4 holds NaN, which is not JSON"),
            (b'{"a": 1, "a": 2}\n{}\n', ", line 1 has the key 'a' twice in one object"),
            (b'{"a": 1}\n[]\n', ", line 2 is not a job: write an object, {"),
            (b'{"a": 1}\nnext\n', ", line 2 is not JSON: write the jobs as a JSON array"),
            (b'{"a": 1}\n{} {}\n', ", line 2 contains more than one JSON value: write one job"),
            (b'{"a": 1}\n{"a": "\xff"}\n', ", line 2 is not UTF-8 (at byte 7)"),
            (b'{"a": 1,\n{"a": 1}\n', ", line 2, column 1: Expecting property name"),
            (b"[NaN]", " holds NaN, which is not JSON"),
            (b'[{"a": 1, "a": 2}]', " has the key 'a' twice in one object"),
            (b"[1e999]", " holds the number 1e999, which is too large"),
            (b"\xff\xfe[]", " is not UTF-8 (at byte 0)"),
            (b"[" * 100_000, " is nested more than 64 deep"),
            (b'"jobs"', " contains neither a request object nor jobs: write"),
            (b'[{"action": "b", "request": {}}]', " contains results, not jobs: rename `request`"),
            (b'{"action": "b", "request": {}}\n' * 2, " contains results, not jobs: rename"),
            (b'{"asyncId": "1", "results": [{"request": {}}]}', " contains results, not jobs"),
        ],
    )
    def test_an_invalid_file_is_never_sent(
        self, service: ScriptedService, user: User, tmp_path: Path, content: bytes, said: str
    ) -> None:
        """The message names the file and, if known, the place. The status is 2."""
        file = tmp_path / "jobs.json"
        file.write_bytes(content)
        assert user.types("run", str(file)) == 2
        assert user.is_told.startswith(f"batchback: {file}{said}")
        assert user.is_told.count("\n") == 1
        assert service.asked == []

    def test_standard_input_is_named_too(self, user: User) -> None:
        """A fault in piped input is reported for standard input."""
        user.stdin = io.BytesIO(b"{")
        assert user.types("run", "-") == 2
        assert user.is_told.startswith("batchback: standard input, line 1, column 2: Expecting")

    @pytest.mark.parametrize(("name", "said"), [("no\0name", "null"), ("none.json", "No such")])
    def test_a_missing_file(self, user: User, tmp_path: Path, name: str, said: str) -> None:
        """The message has its name and the reason. The status is 2."""
        assert user.types("run", str(tmp_path / name)) == 2
        assert said in user.is_told

    @pytest.mark.parametrize(
        "options",
        [
            ["--idempotency-key", "with space"],
            ["--fail-on-error"],
            ["--timeout", "5"],
            ["--wait", "--timeout", "0"],
            ["--wait", "--timeout", "nan"],
            ["--wait", "--timeout", "soon"],
        ],
    )
    def test_invalid_options_are_never_sent(
        self, service: ScriptedService, user: User, jobs_file: str, options: list[str]
    ) -> None:
        """The status is 2, and the service receives nothing."""
        assert user.types("run", jobs_file, *options) == 2
        assert user.is_told
        assert service.asked == []


class TestFailures:
    def test_refused(self, service: ScriptedService, user: User) -> None:
        """The status is 1. One line has the codes, the message and every reason."""
        service.refuses(400, 24092, "Incorrect job format", "jobs[3].action: missing", "jobs[4]: ?")
        user.stdin = io.BytesIO(b"[]")
        assert user.types("run", "-") == 1
        assert user.stdout.getvalue() == ""
        assert user.is_told == (
            "batchback: refused (400/24092): Incorrect job format: "
            "jobs[3].action: missing; jobs[4]: ?\n"
        )

    @pytest.mark.parametrize(
        ("refusal", "command", "said"),
        [
            (
                (400, 23017, "'jobs' is required", "jobs: is required"),
                "run -",
                (
                    "'jobs' is required: put the array of jobs in FILE, or an object that has it "
                    'as "jobs"'
                ),
            ),
            (
                (400, 23017, "'callbackUrl' is required", "callbackUrl: is required"),
                "run -",
                (
                    "'callbackUrl' is required: add --callback-url, the address to POST the "
                    "results to"
                ),
            ),
            (
                (400, 23016, "'callbackUrl' does not validate", "callbackUrl: 10.0.0.1 is private"),
                "run -",
                "'callbackUrl' does not validate: 10.0.0.1 is private",
            ),
            (
                (404, 24105, "Could not find batch"),
                "progress e35e06",
                (
                    "Could not find batch: your account has no batch e35e06, or it has "
                    "expired: run `batchback list` to see yours"
                ),
            ),
            (
                (404, 24115, "Could not find batch"),
                "results {id}",
                (
                    "Could not find batch: your account has no batch {id}, or it has "
                    "expired: run `batchback list` to see yours"
                ),
            ),
            (
                (400, 24448, "The maximum number of jobs can be put on a single request is 200"),
                "run -",
                (
                    "The maximum number of jobs can be put on a single request is 200: submit "
                    "several batches"
                ),
            ),
            (
                (463, 0, "Key revoked"),
                "ping",
                "Key revoked: ask the operator of the service for a new key",
            ),
        ],
    )
    def test_a_refusal_says_what_to_do(
        self,
        service: ScriptedService,
        user: User,
        refusal: tuple[int, int, str],
        command: str,
        said: str,
    ) -> None:
        """It names nothing twice."""
        service.answers(refused(*refusal), status=400)
        user.stdin = io.BytesIO(b"{}")
        assert user.types(*command.split()) == 1
        codes = f"({refusal[0]}/{refusal[1]})"
        assert user.is_told == f"batchback: refused {codes}: {said}\n"

    def test_not_completed(self, service: ScriptedService, user: User) -> None:
        """Asking for the results of a running batch exits with status 4."""
        service.refuses(400, 24114, "Batch job not completed")
        assert user.types("results", BATCH) == 4
        assert user.is_told == (
            "batchback: refused (400/24114): Batch job not completed: "
            f"run `batchback wait {BATCH}`, or `batchback results {BATCH} --partial` for those so "
            "far\n"
        )

    @pytest.mark.parametrize("command", ["progress", "results", "rerun-failed", "wait", "cancel"])
    def test_an_empty_id_is_wrong_usage(
        self, service: ScriptedService, user: User, command: str
    ) -> None:
        """A shell passes it for a variable that is not set. Nothing is sent."""
        assert user.types(command, "") == 2
        assert "'ID': it is empty. Pass the id that `batchback run` printed." in user.is_told
        assert service.asked == []

    def test_results_too_large(self, service: ScriptedService, user: User) -> None:
        """The status is 1, and the line ends with a command that works."""
        service.refuses(413, 0, "8,000,000 bytes of results do not fit")
        assert user.types("results", BATCH) == 1
        assert user.is_told == (
            "batchback: refused (413/0): 8,000,000 bytes of results do not fit: "
            f"write all pages to a file: `batchback results {BATCH} --output results.json`\n"
        )

    def test_nobody_listens(self, user: User) -> None:
        """The status is 3, and one line has the address."""
        address = nobodys_address()
        assert user.types("ping", "--address", address) == 3
        assert user.is_told == f"batchback: unreachable: {address}: Connection refused; {AGAIN}\n"

    def test_a_gateway_answers_for_the_service(self, service: ScriptedService, user: User) -> None:
        """A 502 in HTML is status 3: the service did not answer, and a retry may help."""
        service.answers_bytes(b"<html>\n<h1>502 Bad Gateway</h1>\n</html>", status=502)
        assert user.types("ping") == 3
        assert user.is_told == (
            f"batchback: unreachable: {service.address}: "
            f"answered 502 Bad Gateway: not an answer from the service; {AGAIN}\n"
        )

    def test_a_server_cannot_send_control_characters_to_the_terminal(
        self, service: ScriptedService, user: User
    ) -> None:
        """Line ends and control characters in a message are replaced."""
        service.refuses(400, 0, "one\r\ntwo \x1b[31mred\x07")
        assert user.types("ping") == 1
        assert user.is_told == "batchback: refused (400/0): one two ?[31mred?\n"

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("http://a..localhost", "label empty or too long"),
            (
                "https://{plain}",
                "it does not speak TLS: if the service has no TLS, use http:// in the address",
            ),
        ],
    )
    def test_errors_that_requests_does_not_wrap(
        self, service: ScriptedService, user: User, address: str, said: str
    ) -> None:
        """The status is 3, without a traceback."""
        address = address.format(plain=service.address.removeprefix("http://"))
        assert user.types("ping", "--address", address) == 3
        assert user.is_told.startswith(f"batchback: unreachable: {address}: ")
        assert user.is_told.endswith(f"{said}; {AGAIN}\n")

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_a_missing_file_of_certificates(
        self, user: User, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        """This is found before anything is sent."""
        monkeypatch.setenv(variable, "/no/such/bundle.pem")
        assert user.types("ping", "--address", "https://192.0.2.1") == 3
        assert "/no/such/bundle.pem" in user.is_told

    def test_ctrl_c_while_submitting(
        self, user: User, jobs_file: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is then unknown whether the service has the batch."""
        monkeypatch.setattr(Client, "submit", ctrl_c)
        assert user.types("run", jobs_file, "--idempotency-key", "order-66") == 130
        assert user.is_told == (
            "batchback: interrupted; the batch may be submitted: retry with "
            "`--idempotency-key order-66` so that it runs only once\n"
        )

    def test_ctrl_c_while_reading(self, user: User) -> None:
        """The status is 130."""

        class Keyboard(io.BytesIO):
            def read(self, _: int | None = -1) -> bytes:
                raise KeyboardInterrupt

        user.stdin = Keyboard()
        assert user.types("run", "-") == 130
        assert user.is_told == "batchback: interrupted\n"

    def test_a_reader_that_leaves_early(self, service: ScriptedService, user: User) -> None:
        """`batchback results ID | head` ends without a traceback."""
        service.answers(RESULTS)
        user.stdout = Unwritable(errno.EPIPE)
        assert user.types("results", BATCH) == 141
        assert user.is_told == ""


def ctrl_c(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


RUN_ENDS_WITH = (
    f"but the command succeeded: batch {BATCH} is submitted: run `batchback progress {BATCH}` "
    "to follow it"
)
CHANGES = [
    ("run -", {"asyncId": BATCH}, RUN_ENDS_WITH),
    (f"restart {BATCH}", {"restarted": True}, 'but the command succeeded: {"restarted": true}'),
    (f"repost {BATCH}", {"reposted": True}, 'but the command succeeded: {"reposted": true}'),
    (f"cancel {BATCH}", {"cancelled": True}, 'but the command succeeded: {"cancelled": true}'),
]
READS = [
    ("ping", {"ack": "now"}),
    ("list", {"results": []}),
    (f"progress {BATCH}", COMPLETED),
    (f"results {BATCH}", RESULTS),
]


class TestOutputThatCannotBeWritten:
    @pytest.mark.parametrize(
        ("fault", "status", "why"),
        [(errno.ENOSPC, 5, "No space left on device"), (errno.EPIPE, 141, "Broken pipe")],
    )
    @pytest.mark.parametrize(("command", "answer", "ending"), CHANGES)
    def test_stderr_says_what_was_changed(
        self,
        service: ScriptedService,
        user: User,
        command: str,
        answer: object,
        ending: str,
        fault: int,
        status: int,
        why: str,
    ) -> None:
        """Above all, it has the id of a batch: without it, nobody can follow or cancel the
        batch."""
        service.answers(answer)
        user.stdin = io.BytesIO(b"[]")
        user.stdout = Unwritable(fault)
        assert user.types(*command.split()) == status
        assert user.is_told == f"batchback: the output cannot be written ({why}), {ending}\n"

    def test_stderr_has_the_id_after_a_wait_too(self, service: ScriptedService, user: User) -> None:
        service.answers({"asyncId": BATCH}, COMPLETED, RESULTS)
        user.stdin = io.BytesIO(b"[]")
        user.stdout = Unwritable()
        assert user.types("run", "-", "--wait") == 5
        assert user.is_told.endswith(f"{RUN_ENDS_WITH}\n")

    @pytest.mark.parametrize(("command", "answer"), READS)
    def test_a_read_can_be_repeated(
        self, service: ScriptedService, user: User, command: str, answer: object
    ) -> None:
        service.answers(answer)
        user.stdout = Unwritable()
        assert user.types(*command.split()) == 5
        assert user.is_told == (
            "batchback: the output cannot be written (No space left on device): "
            "write it somewhere else\n"
        )

    @pytest.mark.parametrize("argv", [["--help"], ["--version"], ["run", "--help"]])
    def test_help_that_cannot_be_written(self, user: User, argv: list[str]) -> None:
        user.stdout = Unwritable()
        assert user.types(*argv) == 5
        assert "cannot be written" in user.is_told

    def test_a_broken_stderr_stops_no_command(self, service: ScriptedService, user: User) -> None:
        """Programs need nothing from it."""
        service.answers({"asyncId": BATCH}, COMPLETED, RESULTS)
        user.stdin = io.BytesIO(b"[]")
        user.stderr = Unwritable()
        assert user.types("run", "-", "--wait") == 0
        assert user.reads == RESULTS

    @pytest.mark.parametrize(
        ("redirection", "status"),
        [
            (">/dev/full", 5),
            (">&-", 5),
            (">/dev/full 2>&1", 5),
            (">&- 2>&-", 5),
            ("2>/dev/full", 0),
            ("2>&-", 0),
        ],
    )
    def test_a_real_process(
        self, service: ScriptedService, user: User, redirection: str, status: int
    ) -> None:
        """Python flushes again at exit, and would change the exit status if that failed."""
        service.answers({"asyncId": BATCH})
        done = subprocess.run(  # noqa: S603 -- our own
            ["/bin/sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, RUN],
            input=b"[]",
            capture_output=True,
            check=False,
            cwd=ROOT,
            env=user.environ,
        )
        assert done.returncode == status
        assert b"Traceback" not in done.stderr
        assert not done.stderr or BATCH.encode() in done.stderr
        assert len(service.asked) == 1


#: `batchback run -` with the clock of the scripted service.
RUN = """
import sys
from batchback.cli import main
from batchback.shell import Shell
from tests.fakes.clock import FakeClock
sys.exit(main(["run", "-"], shell=Shell(now=FakeClock().now)))
"""
