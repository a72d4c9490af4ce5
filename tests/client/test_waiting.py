"""`batchback run --wait`, in time that passes only while it sleeps."""

import fcntl
import os
import struct
import termios

import pytest

from tests.client.samples import COMPLETED, RESULTS, running
from tests.client.scripted_service import (
    BATCH,
    ScriptedService,
)
from tests.client.user import Terminal, User


class TestWait:
    def test_plain_lines_and_then_the_results(
        self, service: ScriptedService, user: User, jobs_file: str
    ) -> None:
        """If nobody watches, stderr gets a line per change; stdout gets the results alone."""
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
        """If somebody watches, one line is drawn over and over, and ended at the end."""
        service.answers({"asyncId": BATCH}, running(50), COMPLETED, RESULTS)
        user.stderr = Terminal()
        assert user.types("run", jobs_file, "--wait") == 0
        assert user.reads == RESULTS
        first, half, full = user.is_told.split("\r")
        assert first == f"batchback: batch {BATCH} is submitted\n"
        assert half.startswith(f"[{'#' * 15}{'.' * 15}]  50%  100 of 200 jobs answered")
        assert full.startswith(f"[{'#' * 30}] 100%  200 of 200 jobs answered, 3 failed")
        assert full.endswith("\n")

    def test_the_bar_fits_the_terminal_that_shows_it(
        self,
        service: ScriptedService,
        user: User,
        jobs_file: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """stdout may be a file: how wide that is says nothing."""
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


def _ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt
