"""The tutorial, typed into terminals from its first command to its last: they show what it says."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

from batchback_local.live.process import ServiceProcess
from batchback_local.live.waiting import until
from tests.examples.runtimes import needed
from tests.markdown import page

PATIENCE_SECONDS = 120
#: Where the page says that everything is. The test puts it on free ports.
SERVICE, PLATFORM, RECEIVER = (f"http://127.0.0.1:{port}" for port in (8000, 4567, 4569))
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
}


def typed(terminal: str) -> str:
    """All commands of the page for one of its terminals; the one that has no name is the third."""
    return "echo\n".join(_parts("typed", terminal))


def shown(terminal: str) -> str:
    """All that the page says it shows."""
    return "".join(_parts("shown", terminal))


def _parts(kind: str, terminal: str) -> list[str]:
    found = re.finditer(_PART, page("docs/tutorial.md"))
    return [part[kind] for part in found if part[kind] and (part["terminal"] or "") == terminal]


def lines_of(text: str) -> list[str]:
    """Without what is new at each run, empty lines, and what the terminal has drawn over."""
    for pattern, name in _NEW_AT_EACH_RUN.items():
        text = re.sub(pattern, name, text)
    drawn = (line.rpartition("\r")[2].replace("\x1b[K", "") for line in text.split("\n"))
    return [line.strip() for line in drawn if line.strip()]


def as_written(lines: list[str], wanted: list[str]) -> list[str]:
    """The lines, with `...` for those that the page leaves out."""
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
            except OSError:  # so Linux says that the other end is closed
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
    """A folder with the command of the page's checkout."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text(f'PATH="{programs}:$PATH"\n')
    command = programs / "batchback"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batchback "$@"\n')
    command.chmod(0o755)
    return folder


def test_the_terminals_show_what_the_tutorial_says(tmp_path: Path) -> None:
    needed("curl")
    folder = checkout(tmp_path)
    receive = typed("receiver").replace("batchback listen", "batchback listen --port 0")
    with ServiceProcess(tmp_path) as service, Terminal(receive, folder) as receiver:
        until(lambda: "callbackUrl" in receiver.shown, "listening", PATIENCE_SECONDS)
        [address] = re.findall(r"(http://[0-9.:]+)/callback", receiver.shown)
        where = {
            SERVICE: service.where()["address"],
            PLATFORM: service.where()["platform"],
            RECEIVER: address,
        }
        commands = re.sub(r"http://127\.0\.0\.1:\d+", lambda match: where[match[0]], typed(""))
        with Terminal(commands, folder) as caller:
            caller.wait()
        wanted = lines_of(shown(""))
        assert as_written(lines_of(caller.shown), wanted) == wanted
        files = len([*folder.glob("build/callbacks/*.http")])
        until(lambda: receiver.shown.count(".http\n") == files, "shown", PATIENCE_SECONDS)
        wanted = lines_of(shown("receiver"))
        assert as_written(lines_of(receiver.shown), wanted) == wanted
        [wanted_line] = lines_of(shown("service"))
        assert wanted_line in lines_of(service.said())
