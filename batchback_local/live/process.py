"""The whole local service as a separate process, for tests and trials that drive it from
outside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batchback_local.live.waiting import DidNotHappen, until
from batchback_ops import project

#: How long the service may take to start, and to stop.
_START_SECONDS = 300
_STOP_SECONDS = 60
#: Variables that would make the service use something other than its demonstration.
_NOT_INHERITED = ("STAGE", "PLATFORM_ADDRESS", "PLATFORM_AUTH", "PLATFORM_HEADER")
#: How many lines of the service's log are shown if it does not start.
_LAST_LINES = 100


class ServiceProcess:
    """`batchback local` for the duration of a `with` block. It leaves nothing behind."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Start the process. Its log is service.log in the folder."""
        self._ready_file = folder / "ready.json"
        self._log = folder / "service.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "batchback", "local", *self._ready_options(options)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=project.root(),
                env={**_environment(os.environ), **(variables or {})},
            )

    def __enter__(self) -> "ServiceProcess":
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._has_ended:
            self._process.kill()
        self._process.wait()

    def where(self) -> dict[str, Any]:
        """The current content of the ready file: every address, table, queue and worker."""
        found: dict[str, Any] = json.loads(self._ready_file.read_text("utf-8"))
        return found

    @property
    def pid(self) -> int:
        return self._process.pid

    def _wait_until_ready(self) -> None:
        until(lambda: self._has_ended or self._ready_file.exists(), "ready", _START_SECONDS)
        if self._has_ended:
            raise DidNotHappen(f"the service ended before it was ready:\n{self.said()}")

    @property
    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGABRT)  # prints the traceback of each thread
            self._process.wait()
            raise DidNotHappen(f"SIGTERM did not stop the service:\n{self.said()}") from None

    def said(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:])

    def _ready_options(self, options: Sequence[str]) -> list[str]:
        return [*options, "--ready-file", os.fspath(self._ready_file)]


def is_alive(pid: int) -> bool:
    """Whether the process is running. A zombie is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in environ.items()
        if name not in _NOT_INHERITED and not name.startswith("AWS_")
    }
    return {**inherited, "PYTHONFAULTHANDLER": "1"}
