"""What all commands share: the machine they run on, and what their exit status says."""

import errno
import io
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from batchback import json_text
from batchback.errors import CannotGoOn, NotWritten


class Status(IntEnum):
    """The exit status."""

    OK = 0
    #: The service said no.
    REFUSED = 1
    #: The command line, the environment or FILE is wrong; nothing was sent.
    USAGE = 2
    #: No answer, or one that is not the service's, such as a gateway's 502: try again.
    UNREACHABLE = 3
    #: The batch still runs: try again later.
    NOT_COMPLETED = 4
    #: It is done, but the output cannot be written; stderr says what was done.
    NOT_WRITTEN = 5
    #: With --fail-on-error: a job failed, or the callback is not delivered.
    FAILED = 6
    #: 128 and the number of the signal, as shells count: SIGINT, SIGPIPE.
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141


class _Closed(io.TextIOBase):
    """Stands in for an output that whoever started the program has closed (`>&-`)."""

    def write(self, _: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """All that a command touches of the machine it runs on."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    stdin: BinaryIO = field(default_factory=lambda: sys.stdin.buffer if sys.stdin else io.BytesIO())
    stdout: TextIO = field(default_factory=lambda: sys.stdout or cast(TextIO, _Closed()))
    stderr: TextIO = field(default_factory=lambda: sys.stderr or cast(TextIO, _Closed()))
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: So many, fit for secrets.
    random_bytes: Callable[[int], bytes] = secrets.token_bytes

    def read(self, file: str) -> bytes:
        """What is in a file; `-` is standard input. CannotGoOn if it cannot be read."""
        if file == "-":
            return self.stdin.read()
        try:
            return Path(file).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name with a null character
            why = getattr(error, "strerror", None) or error
            how = "name a file, or - for stdin"
            raise CannotGoOn(f"{file} cannot be read ({why}): {how}") from error

    def show(
        self,
        value: Any,
        table: Callable[[Any], str],
        *,
        as_json: bool = False,
        done: str = "",
        as_text: Callable[[Any], str] = json_text.dump,
    ) -> None:
        """Print the value, as a table if a person looks at it, else as JSON. NotWritten if that
        fails; `done` is what the user must know then, of a command that changed something."""
        is_table = self.stdout.isatty() and not as_json
        try:
            self._print(table(value) if is_table else as_text(value))
        except OSError as error:
            raise NotWritten(error, done) from error

    def _print(self, text: str) -> None:
        """Whatever is in the text: a terminal's encoding may lack a character."""
        encoding = self.stdout.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        print(text, file=self.stdout, flush=True)

    def say(self, text: str) -> bool:
        """One line, whatever is in the text: part of it may come from a server. False if stderr
        cannot be written; the command still goes on."""
        return self.draw(f"batchback: {printable(' '.join(text.split()))}\n")

    def say_or_stop(self, text: str) -> None:
        """The same before something is changed whose outcome must reach the user: stderr gets it if
        stdout cannot be written. CannotGoOn if stderr cannot be either."""
        if not self.say(text):
            raise CannotGoOn("standard error cannot be written: write it somewhere else")

    def draw(self, text: str) -> bool:
        """The text on stderr, as it is; the same."""
        try:
            print(text, end="", file=self.stderr, flush=True)
        except OSError:
            discard(self.stderr)
            return False
        return True


def discard(stream: TextIO) -> None:
    """What the stream still holds goes nowhere: Python would flush it at exit, fail, and complain.
    https://docs.python.org/3/library/signal.html#note-on-sigpipe"""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def printable(text: str) -> str:
    """The text without what could paint a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
