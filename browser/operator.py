"""`batchback console` in a process of its own, as an operator starts it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Self

from batchback_local.live.waiting import DidNotHappen, until
from batchback_ops import project
from browser.service import PATIENCE_SECONDS, Service

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/#token=\S+")


class OperatorConsole:
    """A console of the service's stage, for the duration of a `with` block."""

    def __init__(self, service: Service, folder: Path, *options: str) -> None:
        self._log = folder / "console.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "batchback", "console", "--stage", "local", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=project.root(),
                env={
                    **os.environ,
                    "AWS_ENDPOINT_URL": service.where["awsEndpoint"],
                    "AWS_DEFAULT_REGION": service.where["region"],
                    "AWS_ACCESS_KEY_ID": "test",
                    "AWS_SECRET_ACCESS_KEY": "test",
                },
            )

    def __enter__(self) -> Self:
        try:
            self._wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_until_up(self) -> None:
        until(lambda: self._has_ended or _ADDRESS.search(self._said), "up", PATIENCE_SECONDS)
        if self._has_ended:
            raise DidNotHappen(f"the console ended immediately:\n{self._said}")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def address(self) -> str:
        found = _ADDRESS.search(self._said)
        assert found, self._said
        return found[0]

    @property
    def _said(self) -> str:
        return self._log.read_text("utf-8", errors="replace")

    @property
    def _has_ended(self) -> bool:
        return self._process.poll() is not None
