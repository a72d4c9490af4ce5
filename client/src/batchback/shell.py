"""What all commands share: the machine they run on, and the exit statuses."""

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
    #: The service refused the call.
    REFUSED = 1
    #: The command line, the environment or FILE is wrong; nothing was sent.
    USAGE = 2
    #: No answer, or one that is not from the service, such as a gateway's 502: retry.
    UNREACHABLE = 3
    #: The batch still runs: retry later.
    NOT_COMPLETED = 4
    #: The command succeeded, but its output cannot be written; stderr says what it did.
    NOT_WRITTEN = 5
    #: With --fail-on-error: a job failed, or the callback was not delivered.
    FAILED = 6
    #: 128 plus the number of the signal, as in shells: SIGINT, SIGPIPE.
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141


class _Closed(io.TextIOBase):
    """Stands in for an output that was closed when the program started (`>&-`)."""

    def write(self, _: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Everything that a command uses of the machine it runs on."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    stdin: BinaryIO = field(default_factory=lambda: sys.stdin.buffer if sys.stdin else io.BytesIO())
    stdout: TextIO = field(default_factory=lambda: sys.stdout or cast(TextIO, _Closed()))
    stderr: TextIO = field(default_factory=lambda: sys.stderr or cast(TextIO, _Closed()))
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: This many bytes, random enough for secrets.
    random_bytes: Callable[[int], bytes] = secrets.token_bytes

    def read(self, file: str) -> bytes:
        """The content of a file; `-` is standard input. CannotGoOn if it cannot be read."""
        if file == "-":
            return self.stdin.read()
        try:
            return Path(file).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name with a null character
            why = getattr(error, "strerror", None) or error
            how = "pass another file, or - for standard input"
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
        """Print the value as a table on a terminal, and otherwise as JSON. NotWritten if that
        fails; `done` then says what the command changed."""
        is_table = self.stdout.isatty() and not as_json
        try:
            self._print(table(value) if is_table else as_text(value))
        except OSError as error:
            raise NotWritten(error, done) from error

    def _print(self, text: str) -> None:
        """Print any text: characters that the terminal's encoding lacks become `?`."""
        encoding = self.stdout.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        print(text, file=self.stdout, flush=True)

    def say(self, text: str) -> bool:
        """Print one line on stderr, made safe: part of it may come from a server. Return False if
        stderr cannot be written; the command continues anyway."""
        return self.draw(f"batchback: {printable(' '.join(text.split()))}\n")

    def say_or_stop(self, text: str) -> None:
        """Say this before a change whose outcome the user must learn. If stdout then fails, the
        outcome goes to stderr, so raise CannotGoOn if that cannot be written."""
        if not self.say(text):
            raise CannotGoOn("standard error cannot be written: write it somewhere else")

    def draw(self, text: str) -> bool:
        """Print the text on stderr unchanged. Return False if stderr cannot be written."""
        try:
            print(text, end="", file=self.stderr, flush=True)
        except OSError:
            discard(self.stderr)
            return False
        return True


def discard(stream: TextIO) -> None:
    """Drop what the stream still holds. Otherwise Python flushes it at exit, fails and complains.
    https://docs.python.org/3/library/signal.html#note-on-sigpipe"""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def printable(text: str) -> str:
    """The text with every control character replaced by `?`."""
    return "".join(c if c.isprintable() else "?" for c in text)
