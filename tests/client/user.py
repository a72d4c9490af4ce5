"""A user at a shell."""

import errno
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from batchback.cli import main
from batchback.shell import Shell

from tests.fakes.clock import FakeClock


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Unwritable(io.StringIO):
    """A stream that cannot be written: its disk is full, or its reader has gone."""

    def __init__(self, fault: int = errno.ENOSPC) -> None:
        super().__init__()
        self._fault = fault

    def write(self, _: str) -> int:
        raise OSError(self._fault, os.strerror(self._fault))


@dataclass(slots=True)
class Time:
    """Time that passes only during sleep."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass(slots=True)
class User:
    """A user at a shell whose environment names the service."""

    environ: Mapping[str, str]
    stdin: io.BytesIO = field(default_factory=io.BytesIO)
    stdout: Any = field(default_factory=io.StringIO)
    stderr: Any = field(default_factory=io.StringIO)
    time: Time = field(default_factory=Time)
    sleep: Callable[[float], None] | None = None

    def types(self, *argv: str) -> int:
        """Run a command and return its exit status."""
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
        """Everything on stderr."""
        said: str = self.stderr.getvalue()
        return said
