"""`batchback run --wait`, in time that passes only during sleep."""

import fcntl
import os
import struct
import termios
from typing import Any

import pytest

from tests.client.samples import COMPLETED, RESULTS, running
from tests.client.scripted_service import (
    BATCH,
    ScriptedService,
)
from tests.client.user import Terminal, User

FAILED = f"3 of 200 jobs failed: run `batchback rerun-failed {BATCH}` to submit them again"


class TestWait:
    def test_it_prints_lines_and_then_the_results(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """Without a terminal, stderr gets a line per change. Stdout gets only the results."""
        service.answers({"asyncId": BATCH}, running(0), running(0), running(50), COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.reads == RESULTS
        assert user.is_told.splitlines() == [
            f"batchback: batch {BATCH} is submitted",
            "batchback: 0% 0 of 200 jobs answered",
            "batchback: 50% 100 of 200 jobs answered",
            "batchback: 100% 200 of 200 jobs answered, 3 failed",
            f"batchback: {FAILED}",
        ]

    def test_it_says_why_jobs_wait(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        until = "2026-11-23 15:00:00 UTC"
        away, paused = (
            {**running(0), "waiting": {"for": reason, "until": until}}
            for reason in ("platform", "pause")
        )
        service.answers({"asyncId": BATCH}, away, paused, running(50), COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        so_far = "batchback: 0% 0 of 200 jobs answered"
        assert user.is_told.splitlines()[1:4] == [
            f"{so_far}, the platform is unavailable: next attempt at {until}",
            f"{so_far}, paused until {until}",
            "batchback: 50% 100 of 200 jobs answered",
        ]

    def test_a_bar_on_a_terminal(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """On a terminal, one line is redrawn and ended at the end."""
        service.answers({"asyncId": BATCH}, running(50), COMPLETED, RESULTS)
        user.stderr = Terminal()
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.reads == RESULTS
        first, half, full = user.is_told.split("\r")
        assert first == f"batchback: batch {BATCH} is submitted\n"
        assert half.startswith(f"[{'#' * 15}{'.' * 15}]  50%  100 of 200 jobs answered")
        assert full.startswith(f"[{'#' * 30}] 100%  200 of 200 jobs answered, 3 failed")
        assert full.endswith(
            "failed\x1b[K\nbatchback: 3 of 200 jobs failed: "
            f"run `batchback rerun-failed {BATCH}` to submit them again\n"
        )

    def test_the_bar_fits_the_terminal_that_shows_it(
        self,
        service: ScriptedService,
        user: User,
        jobs_file: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Stdout may be a file, which has no width."""
        service.answers({"asyncId": BATCH}, running(50), COMPLETED, RESULTS)
        near, far = os.openpty()
        size = struct.pack("HHHH", 24, 40, 0, 0)
        fcntl.ioctl(far, termios.TIOCSWINSZ, size)
        user.stderr = Terminal()
        monkeypatch.setattr(user.stderr, "fileno", lambda: far)
        assert user.types("run", jobs_file, "--wait") == 0
        os.close(near)
        os.close(far)
        _, *drawn = user.is_told.split("\r")
        assert [line.partition("\x1b")[0] for line in drawn] == [
            "[###############...............]  50%  ",
            "[##############################] 100%  ",
        ]

    def test_pauses_grow(self, service: ScriptedService, user: User, jobs_file: str) -> None:
        """They grow from 0.2 s to 5 s."""
        service.answers({"asyncId": BATCH}, *[running(1)] * 12, COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.time.slept[:3] == pytest.approx([0.2, 0.3, 0.45])
        assert user.time.slept == sorted(user.time.slept)
        assert user.time.slept[-1] == 5.0

    def test_it_stops_at_the_timeout(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """The status is 4, without output. A line says how to wait longer."""
        service.answers({"asyncId": BATCH}, *[running(10)] * 20)
        assert user.types("run", jobs_file, "--wait", "--timeout", "7.5") == 4
        assert user.stdout.getvalue() == ""
        assert user.is_told.splitlines()[-1] == (
            "batchback: the batch is still running after 7.5 s: "
            f"run `batchback wait {BATCH}` to wait longer"
        )
        assert user.time.seconds == pytest.approx(7.5)

    def test_a_cancelled_batch_is_over(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """It has results, and some of them say that the job was cancelled."""
        service.answers({"asyncId": BATCH}, running(100, status="cancelled"), RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0

    def test_a_batch_at_100_percent_may_still_be_running(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """The status counts: the results may be ready a little later."""
        service.answers({"asyncId": BATCH}, running(100), COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.time.slept == [0.2]

    def test_a_service_that_returns_only_the_percentage(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """The documented answer to progress is enough."""
        service.answers({"asyncId": BATCH}, {"progress": 33}, {"progress": 100}, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert "batchback: 33%\n" in user.is_told

    def test_polls_that_fail_are_retried(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """Up to four polls in a row may fail, because the batch keeps running."""
        service.answers({"asyncId": BATCH})
        for _ in range(4):
            service.answers_bytes(b"<html>", status=502)
        service.answers(COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0

    def test_after_too_many_requests_it_waits_as_long_as_the_service_says(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """API Gateway limits the rate of all callers together."""
        service.answers({"asyncId": BATCH})
        body = b'{"errorCode": 429, "message": "Too many requests", "specificCode": 0}'
        service.answers_bytes(body, status=429, **{"Retry-After": "17"})
        service.refuses(500, 0, "Internal server error")
        service.answers(COMPLETED, RESULTS)
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.time.slept == [17, pytest.approx(0.3)]

    def test_a_permanent_refusal_ends_the_wait(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        service.answers({"asyncId": BATCH})
        service.refuses(463, 0, "Key revoked")
        assert user.types("run", jobs_file, "--wait") == 1

    def test_the_fifth_failure_in_a_row_ends_the_wait(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """The status is 3, and the id of the batch is on stderr."""
        service.answers({"asyncId": BATCH})
        for _ in range(5):
            service.answers_bytes(b"<html>", status=502)
        assert user.types("run", jobs_file, "--wait") == 3
        assert BATCH in user.is_told

    def test_ctrl_c(self, service: ScriptedService, user: User, jobs_file: str) -> None:
        """The status is 130, without a traceback, and the line of the bar is ended."""
        service.answers({"asyncId": BATCH}, running(50))
        user.stderr = Terminal()
        user.sleep = _ctrl_c
        assert user.types("run", jobs_file, "--wait") == 130
        assert user.is_told.endswith(
            f"answered\x1b[K\nbatchback: interrupted; batch {BATCH} is still running: follow it "
            f"with `batchback wait {BATCH}`, or `batchback cancel {BATCH}`\n"
        )
        assert user.stdout.getvalue() == ""


def callback(status: str, attempts: int = 1, **more: object) -> dict[str, object]:
    """The state of a callback as the service reports it."""
    nothing = {"lastStatus": None, "lastError": None, "nextAttemptAt": None}
    return {"status": status, "attempts": attempts, **nothing, **more}


WELL = running(100, status="completed")
REFUSED: dict[str, Any] = {"lastError": "Connection refused"}
PROGRESS = f"run `batchback progress {BATCH}` to follow it"
UNANSWERED = (
    f"2 of them never got an answer: run `batchback restart {BATCH}` to rerun those in the same "
    "batch"
)
JOBS = {"total": 200, "succeeded": 197, "waiting": 0}
ENDINGS = [
    (WELL, 0, []),
    ({**WELL, "callback": callback("none", 0)}, 0, []),
    ({**WELL, "callback": callback("delivered")}, 0, ["the callback was delivered"]),
    (COMPLETED, 6, [FAILED]),
    (
        {**COMPLETED, "jobs": {**JOBS, "failed": 3, "unanswered": 2}},
        6,
        [FAILED, UNANSWERED],
    ),
    (
        {**WELL, "callback": callback("waiting", **REFUSED)},
        6,
        [
            (
                "the callback has not been delivered yet (Connection refused), and will be "
                f"retried: {PROGRESS}"
            ),
        ],
    ),
    (
        {**COMPLETED, "callback": callback("failed", 8, lastStatus=500)},
        6,
        [
            FAILED,
            (
                "the callback was not delivered (HTTP 500), and no attempts are left: "
                f"run `batchback repost {BATCH}` to send it again"
            ),
        ],
    ),
]


class TestHowItEnded:
    @pytest.mark.parametrize(("ending", "status", "lines"), ENDINGS)
    @pytest.mark.parametrize("option", [[], ["--fail-on-error"]])
    def test_failures_are_reported_last(
        self,
        service: ScriptedService,
        user: User,
        jobs_file: str,
        ending: dict[str, object],
        status: int,
        lines: list[str],
        option: list[str],
    ) -> None:
        """With --fail-on-error they set the exit status."""
        service.answers({"asyncId": BATCH}, ending, RESULTS)
        assert user.types("run", jobs_file, "--wait", *option) == (status if option else 0)
        assert user.reads == RESULTS
        said = user.is_told.splitlines()[2:]
        assert said == [f"batchback: {line}" for line in lines]

    def test_it_waits_for_the_first_attempt_at_the_callback(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """An attempt is counted when it begins, and has an outcome when it ends."""
        ahead, begun = callback("waiting", 0), callback("waiting", 1)
        states = [ahead, ahead, begun, callback("delivered")]
        service.answers({"asyncId": BATCH}, *[{**WELL, "callback": state} for state in states])
        service.answers(RESULTS)
        assert user.types("run", jobs_file, "--wait", "--fail-on-error") == 0
        assert user.is_told.endswith("the callback was delivered\n")

    @pytest.mark.parametrize(
        ("timeout", "seconds", "polls"), [([], 40, 17), (["--timeout", "3"], 3, 8)]
    )
    def test_the_wait_for_the_callback_has_a_limit(
        self,
        service: ScriptedService,
        user: User,
        jobs_file: str,
        timeout: list[str],
        seconds: int,
        polls: int,
    ) -> None:
        """The results are printed anyway."""
        ahead = {**WELL, "callback": callback("waiting", 0)}
        service.answers({"asyncId": BATCH}, *[ahead] * polls, RESULTS)
        assert user.types("run", jobs_file, "--wait", "--fail-on-error", *timeout) == 6
        assert user.reads == RESULTS
        assert user.is_told.endswith(f"the callback has not been sent yet: {PROGRESS}\n")
        assert user.time.seconds == pytest.approx(seconds)

    def test_failures_are_reported_even_if_the_results_are_too_large(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        service.answers({"asyncId": BATCH}, COMPLETED)
        service.refuses(413, 0, "too large")
        assert user.types("run", jobs_file, "--wait") == 1
        assert "3 of 200 jobs failed" in user.is_told
        assert f"`batchback results {BATCH} --output results.json`" in user.is_told


def _ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt
