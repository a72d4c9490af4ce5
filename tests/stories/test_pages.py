"""Examples that need a running service print what their pages show."""

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import HTTPServer
from itertools import pairwise
from pathlib import Path
from textwrap import indent
from types import SimpleNamespace
from typing import Any

import mypy.api
import pytest
import requests
from batchback import Client, Job

from batchback_local.live.process import ServiceProcess
from batchback_local.live.service import LiveService
from batchback_local.live.waiting import until
from batchback_ops import project
from tests.examples.runtimes import needed
from tests.markdown import blocks, page

PATIENCE_SECONDS = 120
TUTORIAL, PYTHON = "docs/tutorial.md", "docs/python.md"
COMMAND_LINE = "docs/command-line.md"
#: How wide the terminals of the page are.
COLUMNS = "100"
_PART = re.compile(
    r"(?:^<!-- terminal: (?P<terminal>\w+) -->\n\n?)?"
    r"(?:^```sh\n(?P<typed>.*?)^```\n|(?P<shown>(?:^    [^\n]*\n)+))",
    re.MULTILINE | re.DOTALL,
)
_NEW_AT_EACH_RUN = {
    r"[0-9a-f]{32}": "ID",
    r"ID-[0-9a-f]{8}-1": "WEBHOOK-ID",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC": "TIME",
    r"http://127\.0\.0\.1:\d+": "ADDRESS",
    r"\b\d{4}(?=     event )": "TOOK",
}


def typed(terminal: str = "", name: str = TUTORIAL) -> str:
    """All commands that a page has for one of its terminals. The tutorial's third has no name."""
    return "echo\n".join(_parts("typed", terminal, name))


def shown(terminal: str = "", name: str = TUTORIAL) -> list[str]:
    """All output that a page shows for one of its terminals."""
    return lines_of("".join(_parts("shown", terminal, name)))


def _parts(kind: str, terminal: str, name: str) -> list[str]:
    found = re.finditer(_PART, page(name))
    return [part[kind] for part in found if part[kind] and (part["terminal"] or "") == terminal]


def lines_of(text: str) -> list[str]:
    """The lines of an output, with names for what differs between runs, and without empty lines and
    those that the terminal has overwritten."""
    for pattern, name in _NEW_AT_EACH_RUN.items():
        text = re.sub(pattern, name, text)
    drawn = (line.rpartition("\r")[2].replace("\x1b[K", "") for line in text.split("\n"))
    return [line.strip() for line in drawn if line.strip()]


def as_written(lines: list[str], wanted: list[str]) -> list[str]:
    """The lines, with `...` for those that the page omits."""
    found: list[str] = []
    left = list(lines)
    for line, following in pairwise([*wanted, ""]):
        if line == "...":
            del left[: left.index(following) if following in left else len(left)]
            found.append(line)
        else:
            found += left[:1]
            del left[:1]
    return found + left


class Terminal:
    """A shell that runs commands on a terminal."""

    def __init__(self, commands: str, checkout: Path) -> None:
        mine, its = pty.openpty()
        self._shown = b""
        self._process = subprocess.Popen(  # noqa: S603 - the page's own commands
            ["/bin/sh", "-c", commands],
            stdin=its,
            stdout=its,
            stderr=its,
            cwd=checkout,
            env={**os.environ, "COLUMNS": COLUMNS},
            start_new_session=True,
        )
        os.close(its)
        self._reader = threading.Thread(target=self._read, args=[mine])
        self._reader.start()

    def _read(self, mine: int) -> None:
        with os.fdopen(mine, "rb", buffering=0) as output:
            try:
                while piece := output.read(65_536):
                    self._shown += piece
            except OSError:  # how Linux reports that the other end is closed
                pass

    @property
    def shown(self) -> str:
        return self._shown.decode().replace("\r\n", "\n")

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> None:
        self._process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)


def checkout(folder: Path) -> Path:
    """Put the commands of the tutorial's checkout into a folder, and return it."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text(f'PATH="{programs}:$PATH"\n')
    command = programs / "batchback"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batchback "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path_factory.mktemp("service")) as service:
        yield service


def placed(text: str, where: Mapping[str, str]) -> str:
    """The text with this service's addresses instead of the default ports that the pages use."""
    places = {"8000": "address", "4567": "platform", "4568": "receiver", "4569": "listener"}
    return re.sub(r"http://127\.0\.0\.1:(\d+)", lambda match: where[places[match[1]]], text)


def test_the_terminals_show_what_the_tutorial_says(service: ServiceProcess, tmp_path: Path) -> None:
    needed("curl")
    folder = checkout(tmp_path)
    receive = typed("receiver").replace("batchback listen", "batchback listen --port 0")
    with Terminal(receive, folder) as receiver:
        until(lambda: "callbackUrl" in receiver.shown, "listening", PATIENCE_SECONDS)
        [listener] = re.findall(r"(http://[0-9.:]+)/callback", receiver.shown)
        commands = placed(typed(), {**service.where(), "listener": listener})
        with Terminal(commands, folder) as caller:
            caller.wait()
        assert as_written(lines_of(caller.shown), shown()) == shown()
        saved = [*folder.glob("build/callbacks/*.http")]
        until(lambda: receiver.shown.count(".http\n") == len(saved), "shown", PATIENCE_SECONDS)
        assert as_written(lines_of(receiver.shown), shown("receiver")) == shown("receiver")
    assert {*shown("service")} <= {*lines_of(service.said())}


def test_the_command_line_shows_what_the_opening_of_its_page_says(
    service: ServiceProcess, tmp_path: Path
) -> None:
    commands = placed(typed("opening", COMMAND_LINE), service.where())
    with Terminal(f". .venv/bin/activate\n{commands}", checkout(tmp_path)) as caller:
        caller.wait()
    assert lines_of(caller.shown) == shown("opening", COMMAND_LINE)


class TestPython:
    BLOCKS = staticmethod(
        lambda: [each for each in blocks(PYTHON) if each.language == "python" and each.text]
    )

    def test_every_block_type_checks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MYPYPATH", str(project.root() / "client" / "src"))
        files = [tmp_path / f"line_{each.line}.py" for each in self.BLOCKS()]
        for file, each in zip(files, self.BLOCKS(), strict=True):
            file.write_text(each.text)
        said, _, _ = mypy.api.run(
            ["--strict", "--config-file=", f"--cache-dir={tmp_path}", *map(str, files)]
        )
        assert said == f"Success: no issues found in {len(files)} source files\n"

    def test_the_program_prints_what_is_shown(
        self, service: ServiceProcess, tmp_path: Path
    ) -> None:
        [program] = [each for each in self.BLOCKS() if each.comment == "program"]
        file = tmp_path / "program.py"
        file.write_text(placed(program.text, service.where()))
        done = subprocess.run(  # noqa: S603 - the page's own program
            [sys.executable, file], capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        assert done.stderr == ""
        assert f"{program.text}```\n\n{indent(done.stdout, '    ')}\n" in page(PYTHON)

    @pytest.fixture
    def defined(self) -> dict[str, Any]:
        """The names that the other blocks define."""
        found: dict[str, Any] = {}
        for each in self.BLOCKS():
            if each.comment != "program":
                exec(compile(each.text, f"line {each.line}", "exec"), found)  # noqa: S102 - our docs
        return found

    @pytest.fixture
    def live(self, service: ServiceProcess) -> Iterator[LiveService]:
        with LiveService(service.where(), PATIENCE_SECONDS) as live:
            yield live
            live.tell("platform", {})

    def test_failed_jobs_are_shown_and_run_again(
        self, service: ServiceProcess, live: LiveService, defined: dict[str, Any]
    ) -> None:
        callback_url = f"{service.where()['receiver']}/callback"
        jobs: list[Job] = [{"id": "ada", "namespace": "test", "action": "ping"}]
        live.tell("platform", {"status": 400})
        failed = live.client.run(jobs, callback_url)["asyncId"]
        assert defined["wait_an_hour"](live.client, failed)["jobs"]["failed"] == 1
        assert [*defined["failures"](live.client, failed)] == ["ada: HTTP 400 after 1 calls"]
        live.tell("platform", {})
        again = defined["run_failed_again"](live.client, failed, callback_url)
        assert defined["wait_an_hour"](live.client, again)["jobs"]["succeeded"] == 1
        assert defined["run_failed_again"](live.client, again, callback_url) is None

    def test_a_batch_whose_answers_get_lost_runs_once(
        self, service: ServiceProcess, live: LiveService, defined: dict[str, Any]
    ) -> None:
        where = service.where()
        paused: list[float] = []
        defined["time"] = SimpleNamespace(sleep=paused.append)
        before = live.client.list()["meta"]["totalResults"]
        with AnswersGetLost(3) as session:
            client = Client(where["address"], where["key"], where["secret"], session=session)
            job: Job = {"namespace": "test", "action": "ping"}
            batch_id = defined["run_once"](client, [job], f"{where['receiver']}/callback")
        assert live.client.wait(batch_id)["progress"] == 100
        assert live.client.list()["meta"]["totalResults"] == before + 1
        assert paused == [1]  # the client itself sends each call twice

    def test_asyncio_submits_and_the_receiver_verifies(
        self,
        service: ServiceProcess,
        live: LiveService,
        defined: dict[str, Any],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        where = service.where()
        monkeypatch.setenv("BATCHBACK_CALLBACK_SECRET", where["callbackSecret"])
        monkeypatch.chdir(tmp_path)
        with HTTPServer(("127.0.0.1", 0), defined["Receiver"]) as server:
            threading.Thread(target=server.serve_forever).start()
            url = f"http://127.0.0.1:{server.server_port}/callback"
            job: Job = {"namespace": "test", "action": "ping"}
            batch_id = asyncio.run(
                defined["submit"](where["address"], where["key"], where["secret"], [job], url)
            )
            until(lambda: [*tmp_path.glob(f"{batch_id}-*.json")], "received", PATIENCE_SECONDS)
            forged = requests.post(url, json={}, timeout=PATIENCE_SECONDS)
            server.shutdown()
        assert forged.status_code == 401
        [file] = tmp_path.glob("*.json")
        until(lambda: file.read_bytes() == live.results(batch_id).content, "whole", 5)


class AnswersGetLost(requests.Session):
    """A session that sends each call and loses the first answers."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self._lost = lost

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        answer = super().post(*args, **kwargs)
        self._lost -= 1
        if self._lost >= 0:
            raise requests.ConnectionError
        return answer
