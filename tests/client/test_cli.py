"""The command line against a real HTTP server, with streams, environment and time of its own."""

import io
import json
import re
import subprocess
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from batchback import command_line
from batchback.cli import main
from batchback.command_line import OF_A_CHECKOUT
from batchback.shell import Shell

from tests.client.test_client import (
    BATCH,
    JOB,
    KEY,
    SECRET,
    ScriptedService,
    nobodys_address,
    scripted_service,
)
from tests.fakes.clock import FakeClock

ROOT = Path(__file__).parents[2]
RESULTS = {"asyncId": BATCH, "results": [{**JOB, "response": {"é": 1.0}}]}


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


@dataclass(slots=True)
class Time:
    """Time that passes only while somebody sleeps."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass(slots=True)
class User:
    """Somebody at a shell whose environment names the service."""

    environ: Mapping[str, str]
    stdin: io.BytesIO = field(default_factory=io.BytesIO)
    stdout: io.StringIO = field(default_factory=io.StringIO)
    stderr: io.StringIO = field(default_factory=io.StringIO)
    time: Time = field(default_factory=Time)
    sleep: Callable[[float], None] | None = None

    def types(self, *argv: str) -> int:
        """The exit status."""
        shell = Shell(
            environ=self.environ,
            stdin=self.stdin,
            stdout=self.stdout,
            stderr=self.stderr,
            sleep=self.sleep or self.time.sleep,
            monotonic=self.time.monotonic,
            now=FakeClock().now,
        )
        return main(argv, shell=shell)

    @property
    def reads(self) -> Any:
        """The JSON on stdout."""
        return json.loads(self.stdout.getvalue())

    @property
    def is_told(self) -> str:
        """All that stands on stderr."""
        return self.stderr.getvalue()


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service() as scripted:
        yield scripted


@pytest.fixture
def user(service: ScriptedService) -> User:
    return User(
        {
            "BATCHBACK_ADDRESS": service.address,
            "BATCHBACK_KEY": KEY,
            "BATCHBACK_SECRET": SECRET,
        }
    )


@pytest.fixture
def jobs_file(tmp_path: Path) -> str:
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps([JOB]))
    return str(file)


def running(percentage: int, *, status: str = "running", failed: int = 0) -> dict[str, object]:
    """What the service says of a batch of 200 jobs."""
    answered = percentage * 2
    jobs = {
        "total": 200,
        "succeeded": answered - failed,
        "failed": failed,
        "waiting": 200 - answered,
    }
    return {"progress": percentage, "status": status, "jobs": jobs}


COMPLETED = running(100, status="completed", failed=3)


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
                {"results": []},
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
        """A command makes one call, prints the service's JSON and nothing else, and ends with 0."""
        service.answers(answer)
        assert user.types(*command.split()) == 0
        assert user.reads == answer
        assert user.is_told == ""
        assert [(asked.target, asked.json) for asked in service.asked] == [
            (f"/api/1.0/{target}", body)
        ]

    def test_output_is_ascii(self, service: ScriptedService, user: User) -> None:
        """No terminal and no pipe chokes on what a job answered, not even on half a character."""
        service.answers({"ack": "é\ud83d"})
        assert user.types("ping") == 0
        assert user.stdout.getvalue().isascii()
        assert user.reads == {"ack": "é\ud83d"}


class TestCredentials:
    def test_options_go_before_the_command(self, service: ScriptedService) -> None:
        """--address, --key and --secret are understood before the command."""
        service.answers({"ack": "now"})
        user = User({})
        given = ("--address", service.address, "--key", KEY, "--secret", SECRET)
        assert user.types(*given, "ping") == 0

    def test_options_go_after_the_command(self, service: ScriptedService) -> None:
        """--address, --key and --secret are understood after the command, or on both sides."""
        service.answers({"ack": "now"})
        user = User({})
        after = ("--key", KEY, "--secret", SECRET)
        assert user.types("--address", service.address, "ping", *after) == 0

    def test_options_win_over_the_environment(self, user: User) -> None:
        """What is typed counts."""
        assert user.types("ping", "--secret", "wrong") == 1
        assert user.is_told == "batchback: refused (401/0): Unauthorized\n"

    def test_the_address_may_end_with_the_api_path(
        self, service: ScriptedService, user: User
    ) -> None:
        """BATCHBACK_ADDRESS works with /api/1.0 too."""
        service.answers({"ack": "now"})
        user.environ = {**user.environ, "BATCHBACK_ADDRESS": f"{service.address}/api/1.0"}
        assert user.types("ping") == 0

    def test_all_that_is_missing_is_named(self) -> None:
        """One sentence says which options or variables to set."""
        user = User({"BATCHBACK_ADDRESS": ""})
        assert user.types("ping") == 2
        assert user.is_told == (
            "batchback: no address, key and secret: give --address, --key and --secret, or set "
            "BATCHBACK_ADDRESS, BATCHBACK_KEY and BATCHBACK_SECRET\n"
        )

    def test_only_what_is_missing_is_named(self, user: User) -> None:
        """Whoever forgot the secret reads of the secret."""
        user.environ = {**user.environ, "BATCHBACK_SECRET": ""}
        assert user.types("ping") == 2
        assert user.is_told == ("batchback: no secret: give --secret, or set BATCHBACK_SECRET\n")

    def test_an_address_without_scheme_is_wrong_usage(self, user: User) -> None:
        """It is said in one line, with status 2."""
        assert user.types("ping", "--address", "batch.example.com") == 2
        assert user.is_told == (
            "batchback: the address 'batch.example.com' does not begin with http:// or https://\n"
        )


class TestRun:
    def test_an_array_of_jobs_with_callback_url(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """A file with only the jobs is completed by --callback-url."""
        service.answers({"asyncId": BATCH})
        assert user.types("run", jobs_file, "--callback-url", "http://example.com/") == 0
        assert user.reads == {"asyncId": BATCH}
        assert user.is_told == ""
        assert service.asked[0].json == {"jobs": [JOB], "callbackUrl": "http://example.com/"}

    def test_a_whole_request_from_standard_input(
        self, service: ScriptedService, user: User
    ) -> None:
        """`-` reads standard input; the object is sent as it is, unknown keys included."""
        service.answers({"asyncId": BATCH})
        order = {"jobs": [JOB], "callbackUrl": "http://example.com/", "note": "\ud83d é"}
        user.stdin = io.BytesIO(json.dumps(order).encode())
        assert user.types("run", "-") == 0
        assert service.asked[0].json == order

    def test_the_option_wins_over_the_file(self, service: ScriptedService, user: User) -> None:
        """--callback-url replaces the callbackUrl of a whole request."""
        service.answers({"asyncId": BATCH})
        user.stdin = io.BytesIO(b'{"jobs": [], "callbackUrl": "http://old.example.com/"}')
        assert user.types("run", "--callback-url", "http://example.com/", "-") == 0
        assert service.asked[0].json == {"jobs": [], "callbackUrl": "http://example.com/"}

    def test_a_byte_order_mark_is_no_fault(self, service: ScriptedService, user: User) -> None:
        """What a Windows editor puts before the JSON is left out."""
        service.answers({"asyncId": BATCH})
        user.stdin = io.BytesIO(b"\xef\xbb\xbf[]")
        assert user.types("run", "-") == 0
        assert service.asked[0].json == {"jobs": []}

    def test_the_idempotency_key_is_sent(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """--idempotency-key goes into the header."""
        service.answers({"asyncId": BATCH})
        assert user.types("run", jobs_file, "--idempotency-key", "order-66") == 0
        assert service.asked[0].headers["idempotency-key"] == "order-66"

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b'[\n  {"a": 1},\n  {b}\n]', ", line 3, column 4: Expecting property name"),
            (b"", ", line 1, column 1: Expecting value"),
            (b"[NaN]", " holds NaN, which is not JSON"),
            (b'[{"a": 1, "a": 2}]', " has the key 'a' twice in one object"),
            (b"[1e999]", " holds the number 1e999, which is too large"),
            (b"\xff\xfe[]", " is not UTF-8 (at byte 0)"),
            (b"[" * 100_000, " is nested more than 64 deep"),
            (b'"jobs"', " holds neither a request object nor an array of jobs"),
        ],
    )
    def test_what_is_no_order_is_never_sent(
        self, service: ScriptedService, user: User, tmp_path: Path, content: bytes, said: str
    ) -> None:
        """The file and, where it can be told, the place are named; status 2."""
        file = tmp_path / "jobs.json"
        file.write_bytes(content)
        assert user.types("run", str(file)) == 2
        assert user.is_told.startswith(f"batchback: {file}{said}")
        assert user.is_told.count("\n") == 1
        assert service.asked == []

    def test_standard_input_is_named_too(self, user: User) -> None:
        """A fault in what was piped in is one of standard input."""
        user.stdin = io.BytesIO(b"{")
        assert user.types("run", "-") == 2
        assert user.is_told.startswith("batchback: standard input, line 1, column 2: Expecting")

    @pytest.mark.parametrize(("name", "said"), [("no\0name", "null"), ("none.json", "No such")])
    def test_a_file_that_is_not_there(
        self, user: User, tmp_path: Path, name: str, said: str
    ) -> None:
        """Its name and the reason; status 2."""
        assert user.types("run", str(tmp_path / name)) == 2
        assert said in user.is_told

    @pytest.mark.parametrize(
        "options",
        [
            ["--idempotency-key", "with space"],
            ["--timeout", "5"],
            ["--wait", "--timeout", "0"],
            ["--wait", "--timeout", "nan"],
            ["--wait", "--timeout", "soon"],
        ],
    )
    def test_what_makes_no_sense_is_never_sent(
        self, service: ScriptedService, user: User, jobs_file: str, options: list[str]
    ) -> None:
        """Status 2, and the service hears nothing."""
        assert user.types("run", jobs_file, *options) == 2
        assert user.is_told
        assert service.asked == []


class TestWait:
    def test_plain_lines_and_then_the_results(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """Where nobody looks, stderr gets a line per change; stdout gets the results alone."""
        service.answers({"asyncId": BATCH}, running(0), running(0), running(50), COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.reads == RESULTS
        assert user.is_told.splitlines() == [
            f"batchback: batch {BATCH} is submitted",
            "batchback: 0% 0 of 200 jobs answered",
            "batchback: 50% 100 of 200 jobs answered",
            "batchback: 100% 200 of 200 jobs answered, 3 failed",
        ]

    def test_a_bar_on_a_terminal(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """Where somebody looks, one line is drawn over and over, and ended at the end."""
        service.answers({"asyncId": BATCH}, running(50), COMPLETED, RESULTS)
        user.stderr = Terminal()
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.reads == RESULTS
        first, half, full = user.is_told.split("\r")
        assert first == f"batchback: batch {BATCH} is submitted\n"
        assert half.startswith(f"[{'#' * 15}{'.' * 15}]  50%  100 of 200 jobs answered")
        assert full.startswith(f"[{'#' * 30}] 100%  200 of 200 jobs answered, 3 failed")
        assert full.endswith("\n")

    def test_pauses_grow(self, service: ScriptedService, user: User, jobs_file: str) -> None:
        """From 0.2 s to 5 s and no further."""
        service.answers({"asyncId": BATCH}, *[running(1)] * 12, COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.time.slept[:3] == pytest.approx([0.2, 0.3, 0.45])
        assert user.time.slept == sorted(user.time.slept)
        assert user.time.slept[-1] == 5.0

    def test_time_is_up(self, service: ScriptedService, user: User, jobs_file: str) -> None:
        """Status 4, no output, and a line that says how to go on; never a moment too long."""
        service.answers({"asyncId": BATCH}, *[running(10)] * 20)
        assert user.types("run", jobs_file, "--wait", "--timeout", "7.5") == 4
        assert user.stdout.getvalue() == ""
        assert user.is_told.splitlines()[-1] == (
            f"batchback: not completed after 7.5 s, and still running: batchback results {BATCH}"
        )
        assert user.time.seconds == pytest.approx(7.5)

    def test_a_cancelled_batch_is_over(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """It has results, of which some say so."""
        service.answers({"asyncId": BATCH}, running(100, status="cancelled"), RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0

    def test_all_jobs_done_is_not_yet_over(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """The status counts: at 100 % the results may need another moment."""
        service.answers({"asyncId": BATCH}, running(100), COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.time.slept == [0.2]

    def test_a_service_that_gives_the_percentage_only(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """The documented answer to progress is enough to wait by."""
        service.answers({"asyncId": BATCH}, {"progress": 33}, {"progress": 100}, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert "batchback: 33%\n" in user.is_told

    def test_a_gateway_may_have_its_moment(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """Four polls in a row may fail: the batch runs on meanwhile."""
        service.answers({"asyncId": BATCH})
        for _ in range(4):
            service.answers_bytes(b"<html>", status=502)
        service.answers(COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0

    def test_a_gateway_that_stays_away_ends_the_wait(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """The fifth failure in a row is status 3; the id of the batch has been said."""
        service.answers({"asyncId": BATCH})
        for _ in range(5):
            service.answers_bytes(b"<html>", status=502)
        assert user.types("run", jobs_file, "--wait") == 3
        assert BATCH in user.is_told

    def test_ctrl_c(self, service: ScriptedService, user: User, jobs_file: str) -> None:
        """Status 130, the bar's line ended, no traceback."""
        service.answers({"asyncId": BATCH}, running(50))
        user.stderr = Terminal()
        user.sleep = _ctrl_c
        assert user.types("run", jobs_file, "--wait") == 130
        assert user.is_told.endswith("answered\x1b[K\nbatchback: interrupted\n")
        assert user.stdout.getvalue() == ""


class TestFailures:
    def test_refused(self, service: ScriptedService, user: User) -> None:
        """Status 1 and one line with the codes, the message and every reason."""
        service.refuses(400, 24092, "Incorrect job format", "jobs[3].action: missing", "jobs[4]: ?")
        user.stdin = io.BytesIO(b"[]")
        assert user.types("run", "-") == 1
        assert user.stdout.getvalue() == ""
        assert user.is_told == (
            "batchback: refused (400/24092): Incorrect job format: "
            "jobs[3].action: missing; jobs[4]: ?\n"
        )

    def test_not_completed(self, service: ScriptedService, user: User) -> None:
        """The results of a running batch are status 4."""
        service.refuses(400, 24114, "Batch job not completed")
        assert user.types("results", BATCH) == 4
        assert user.is_told == "batchback: refused (400/24114): Batch job not completed\n"

    def test_results_too_large(self, service: ScriptedService, user: User) -> None:
        """Status 1, and the line ends with a command that works."""
        service.refuses(413, 0, "8,000,000 bytes of results do not fit")
        assert user.types("results", BATCH) == 1
        assert user.is_told == (
            "batchback: refused (413/0): 8,000,000 bytes of results do not fit: "
            f"batchback results {BATCH} --start 0 --per-page 100\n"
        )

    def test_nobody_listens(self, user: User) -> None:
        """Status 3 and one line with the address."""
        address = nobodys_address()
        assert user.types("ping", "--address", address) == 3
        assert user.is_told == f"batchback: unreachable: {address}: Connection refused\n"

    def test_a_gateway_answers_for_the_service(self, service: ScriptedService, user: User) -> None:
        """A 502 in HTML is status 3: the service said nothing, and trying again may help."""
        service.answers_bytes(b"<html>\n<h1>502 Bad Gateway</h1>\n</html>", status=502)
        assert user.types("ping") == 3
        assert user.is_told == (
            f"batchback: unreachable: {service.address}: "
            "answered 502 Bad Gateway: not an answer of the service\n"
        )

    def test_a_server_cannot_paint_the_terminal(self, service: ScriptedService, user: User) -> None:
        """Line ends and control characters in a message become harmless."""
        service.refuses(400, 0, "one\r\ntwo \x1b[31mred\x07")
        assert user.types("ping") == 1
        assert user.is_told == "batchback: refused (400/0): one two ?[31mred?\n"

    def test_ctrl_c_while_reading(self, user: User) -> None:
        """Status 130 wherever it comes."""

        class Keyboard(io.BytesIO):
            def read(self, _: int | None = -1) -> bytes:
                raise KeyboardInterrupt

        user.stdin = Keyboard()
        assert user.types("run", "-") == 130
        assert user.is_told == "batchback: interrupted\n"

    def test_a_reader_that_leaves_early(self, service: ScriptedService, user: User) -> None:
        """`batchback results ID | head` ends without a traceback."""

        class Closed(io.StringIO):
            def write(self, _: str) -> int:
                raise BrokenPipeError

        service.answers(RESULTS)
        user.stdout = Closed()
        assert user.types("results", BATCH) == 141
        assert user.is_told == ""


class TestUsage:
    @pytest.mark.parametrize(
        "argv",
        [
            [],
            ["fly"],
            ["progress"],
            ["ping", "--bogus"],
            ["ping", "extra"],
            ["results", BATCH, "--per", "5"],
            ["results", BATCH, "--start", "first"],
        ],
    )
    def test_wrong_usage_is_status_2(
        self, service: ScriptedService, user: User, argv: list[str]
    ) -> None:
        """The usage is on stderr, nothing on stdout, nothing sent."""
        assert user.types(*argv) == 2
        assert user.is_told.startswith("Usage: batchback")
        assert user.stdout.getvalue() == ""
        assert service.asked == []

    def test_help_names_every_command(self, user: User) -> None:
        """`batchback --help` is status 0, on stdout."""
        assert user.types("--help") == 0
        listed = [line[2:].split(" ")[0] for line in user.stdout.getvalue().splitlines()]
        assert {"run", "progress", "results", "restart", "repost", "cancel"} <= {*listed}
        assert {"list", "ping", *OF_A_CHECKOUT} <= {*listed}

    def test_version(self, user: User) -> None:
        """It is the package's."""
        assert user.types("--version") == 0
        assert user.stdout.getvalue().startswith("batchback 0.")

    def test_nothing_slow_is_imported_for_help(self) -> None:
        """requests, pydantic and all of AWS stay unread until a command needs them; and
        `python -m batchback` is the command line."""
        program = (
            "import runpy, sys; sys.argv = ['batchback', '--help']\n"
            "try: runpy.run_module('batchback', run_name='__main__')\n"
            "finally: print(sorted({'boto3', 'chalice', 'moto', 'pydantic', 'requests'}"
            " & set(sys.modules)))"
        )
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 -- our own
        assert done.stdout.startswith(b"Usage: batchback")
        assert done.stdout.endswith(b"[]\n")


PLUGIN = """
import click

@click.command(help="Greet. And say more.")
@click.option("--count", type=int)
@click.pass_obj
def hello(shell, count):
    shell.say(f"hello {count}")
    return count
"""


class TestCommandsFromElsewhere:
    @pytest.fixture(autouse=True)
    def installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A package that registers a command that works, and one that cannot be imported."""
        (tmp_path / "greeting.py").write_text(PLUGIN)
        metadata = tmp_path / "greeting-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Name: greeting\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(
            "[batchback.commands]\nhello = greeting:hello\nbroken = no_such_package:command\n"
        )
        monkeypatch.syspath_prepend(tmp_path)

    @pytest.mark.parametrize("count", ["0", "7"])
    def test_what_it_returns_is_the_exit_status(self, user: User, count: str) -> None:
        """An entry point's command gets the Shell, and needs no address, key or secret."""
        assert user.types("hello", "--count", count) == int(count)
        assert user.is_told == f"batchback: hello {count}\n"

    def test_nothing_returned_is_ok(self, user: User) -> None:
        assert user.types("hello") == 0

    def test_it_stands_in_the_help(self, user: User) -> None:
        """With its first sentence; one that cannot be loaded says so and does no harm."""
        assert user.types("--help") == 0
        assert re.search(r"^  hello +Greet\.$", user.stdout.getvalue(), re.MULTILINE)
        assert re.search(r"^  broken +cannot be loaded", user.stdout.getvalue(), re.MULTILINE)

    def test_it_is_suggested(self, user: User) -> None:
        assert user.types("helo") == 2
        assert "Did you mean 'hello'?" in user.is_told

    @pytest.mark.parametrize("argv", [[], ["--help"], ["--any", "thing"]])
    def test_what_cannot_be_loaded_says_why(self, user: User, argv: list[str]) -> None:
        """One sentence and status 2, whatever the arguments are."""
        assert user.types("broken", *argv) == 2
        assert user.is_told == (
            "batchback: `batchback broken` cannot be loaded: No module named 'no_such_package'\n"
        )


class TestWithoutACheckout:
    @pytest.fixture(autouse=True)
    def nothing_registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command_line, "entry_points", lambda **_: [])

    @pytest.mark.parametrize("name", sorted(OF_A_CHECKOUT))
    @pytest.mark.parametrize("argv", [[], ["--help"], ["list", "--stage", "prod"]])
    def test_a_command_of_the_checkout_says_what_it_needs(
        self, user: User, name: str, argv: list[str]
    ) -> None:
        """One sentence and status 2."""
        assert user.types(name, *argv) == 2
        assert user.is_told == (
            f"batchback: `batchback {name}` needs a checkout of the service: run `make run` in "
            "one, then use its `.venv/bin/batchback`\n"
        )

    def test_the_help_lists_what_there_is(self, user: User) -> None:
        assert user.types("--help") == 0
        assert not [name for name in OF_A_CHECKOUT if f"\n  {name} " in user.stdout.getvalue()]


def test_the_checkout_registers_its_commands() -> None:
    """What the client calls the checkout's is what the checkout registers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {*project["entry-points"]["batchback.commands"]} == OF_A_CHECKOUT


class TestLocal:
    def test_it_reads_its_own_options(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """Everything after `local` is for batchback_local, also what looks like ours."""
        seen = _pretend_local(monkeypatch)
        argv = ["local", "--port", "8001", "--key", "other", "--no-http"]
        assert user.types(*argv) == 7
        assert seen == [Namespace(port=8001, key="other", no_http=True)]

    def test_it_has_its_own_help(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """`batchback local --help` lists the options of local."""
        seen = _pretend_local(monkeypatch)
        assert user.types("local", "--help") == 0
        assert user.stdout.getvalue().startswith("usage: batchback local")
        assert "--no-http" in user.stdout.getvalue()
        assert seen == []

    def test_it_refuses_what_it_does_not_know(
        self, user: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Status 2, and nothing starts."""
        seen = _pretend_local(monkeypatch)
        assert user.types("local", "--bogus") == 2
        assert "unrecognized arguments: --bogus" in user.is_told
        assert seen == []

    def test_it_says_what_to_install(self, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the embedded AWS, one line says what is missing; status 2."""
        monkeypatch.setitem(sys.modules, "batchback_local", None)
        assert user.types("local") == 2
        assert user.is_told == ("batchback: `batchback local` needs the package batchback_local\n")


def _ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def _pretend_local(monkeypatch: pytest.MonkeyPatch) -> list[Namespace]:
    """A batchback_local that only remembers with what it was run."""
    seen: list[Namespace] = []

    def add_arguments(parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int)
        parser.add_argument("--key", default="demo")
        parser.add_argument("--no-http", action="store_true")

    def run(options: Namespace) -> int:
        seen.append(options)
        return 7

    module = ModuleType("batchback_local")
    vars(module).update(add_arguments=add_arguments, run=run)
    monkeypatch.setitem(sys.modules, "batchback_local", module)
    return seen
