"""ministack: an AWS on 127.0.0.1 that runs Lambda functions from their zips, each with its role.

It is young software, installed in an environment of its own with pinned versions. It gives a second
opinion beside moto's, not proof. on_emulator.py says where it differs from AWS."""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
from batchback.shell import Status

from batchback_local.http_server import HOST
from batchback_local.live.waiting import DidNotHappen, until
from batchback_ops import project

#: Made by `make e2e`.
PYTHON = project.root() / "build" / "e2e" / "bin" / "python"
REGION = "us-east-1"
#: The owner, who may do anything: key and secret.
_OWNER = "test"
_LOG = logging.getLogger(__name__)
_START_SECONDS = 60
_STOP_SECONDS = 10
_LAST_LINES = 60


class Emulator:
    """The emulator inside a `with` block; neither a process nor a file is left behind."""

    def __enter__(self) -> "Emulator":
        self._folder = tempfile.TemporaryDirectory(prefix="batchback-e2e-")
        self._log = Path(self._folder.name, "emulator.log")
        self._port = _free_port()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - pinned, in its own environment
                [PYTHON, "-m", "ministack"],
                cwd=self._folder.name,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that its functions can be ended with it
            )
        try:
            self._wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._has_ended:
            _LOG.error("the emulator had ended with %s:\n%s", self._process.returncode, self.said())
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._folder.cleanup()

    def _wait_until_up(self) -> None:
        until(lambda: self._has_ended or self._answers(), "up", _START_SECONDS)
        if self._has_ended:
            raise DidNotHappen(f"the emulator ended immediately:\n{self.said()}")

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self._port}"

    def batchback(
        self, *argv: str, stdin: str = "", status: int = Status.OK
    ) -> "subprocess.CompletedProcess[str]":
        """Run `batchback` as an operator whose AWS is this one, and expect this exit status."""
        return self.run(sys.executable, "-m", "batchback", *argv, stdin=stdin, status=status)

    def run(
        self, *argv: str, stdin: str = "", status: int = 0
    ) -> "subprocess.CompletedProcess[str]":
        """Run any command for the owner, with the AWS command line on the path."""
        ran = subprocess.run(  # noqa: S603 - our own
            argv,
            cwd=project.root(),
            env={
                "PATH": f"{PYTHON.parent}{os.pathsep}{os.defpath}",
                "HOME": self._folder.name,
                **self._owner,
            },
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == status, f"{ran.stdout}{ran.stderr}"
        return ran

    def client(self, service: str) -> Any:
        """A client for the owner, who may do anything."""
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.address,
            region_name=REGION,
            aws_access_key_id=_OWNER,
            aws_secret_access_key=_OWNER,
        )

    def kill(self, function: str) -> None:
        """Kill all processes of a Lambda function, as if its memory had run out."""
        for pid in self._processes_of(function):
            os.kill(pid, signal.SIGKILL)

    def said(self) -> str:
        """The end of the emulator's output."""
        return "\n".join(self._log.read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:])

    @property
    def _owner(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": _OWNER,
            "AWS_SECRET_ACCESS_KEY": _OWNER,
        }

    def _environment(self) -> dict[str, str]:
        """The emulator's environment. Its functions inherit it, so it has nothing that they would
        not have on AWS."""
        return {
            "PATH": os.defpath,
            "HOME": self._folder.name,
            "TMPDIR": self._folder.name,
            "STATE_DIR": self._folder.name,
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self._port),
            "AUTH": "true",  # roles' policies are enforced
        }

    @property
    def _has_ended(self) -> bool:
        return self._process.poll() is not None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self._port), timeout=1):
            return True
        return False

    def _processes_of(self, function: str) -> Iterator[int]:
        """The emulator's child processes, each of which runs one function."""
        wanted = f"AWS_LAMBDA_FUNCTION_NAME={function}".encode()
        for process in Path("/proc").iterdir():
            with suppress(OSError, ValueError):  # it has just ended, or is not a process
                parent = int((process / "stat").read_text("utf-8").rpartition(")")[2].split()[1])
                environment = (process / "environ").read_bytes().split(b"\0")
                if parent == self._process.pid and wanted in environment:
                    yield int(process.name)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
