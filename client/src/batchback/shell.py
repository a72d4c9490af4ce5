"""What all commands share: the machine they run on, and what their exit status says."""

import io
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, BinaryIO, TextIO


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
    #: 128 and the number of the signal, as shells count: SIGINT, SIGPIPE.
    INTERRUPTED = 130
    OUTPUT_CLOSED = 141


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """All that a command touches of the machine it runs on."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    stdin: BinaryIO = field(default_factory=lambda: sys.stdin.buffer if sys.stdin else io.BytesIO())
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: So many, fit for secrets.
    random_bytes: Callable[[int], bytes] = secrets.token_bytes

    def print_json(self, value: object) -> None:
        """In ASCII, which every terminal and every pipe takes, lone surrogates included."""
        print(json.dumps(value, indent=2), file=self.stdout, flush=True)

    def show(self, value: Any, table: Callable[[Any], str], *, as_json: bool = False) -> None:
        """As a table if a person looks at it, else as JSON."""
        if as_json or not self.stdout.isatty():
            self.print_json(value)
        else:
            self._print(table(value))

    def _print(self, text: str) -> None:
        """Whatever is in the text: a terminal's encoding may lack a character."""
        encoding = self.stdout.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        print(text, file=self.stdout, flush=True)

    def say(self, text: str) -> None:
        """One line, whatever is in the text: part of it may come from a server."""
        print(f"batchback: {printable(' '.join(text.split()))}", file=self.stderr, flush=True)


def printable(text: str) -> str:
    """The text without what could paint a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
