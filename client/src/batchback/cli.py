"""`batchback`: JSON on stdout and everything else on stderr, so that `batchback results ID | jq`
always works. The exit status says who has to act: see Status."""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import TextIO

from batchback import command_line
from batchback.commands import batchback
from batchback.errors import CannotGoOn, Refused, StillRunning, Unreachable
from batchback.shell import Shell, Status


def main(argv: Sequence[str] | None = None, *, shell: Shell | None = None) -> int:
    """Run one command and return its exit status: no exception and no traceback for anything
    that the user, the network or the service can do."""
    shell = shell or Shell()
    try:
        with redirect_stdout(shell.stdout), redirect_stderr(shell.stderr):
            return _run(sys.argv[1:] if argv is None else argv, shell)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Status.USAGE
    except KeyboardInterrupt:
        shell.say("interrupted")
        return Status.INTERRUPTED
    except BrokenPipeError:
        _leave_the_pipe(shell.stdout)
        return Status.OUTPUT_CLOSED


def _run(argv: Sequence[str], shell: Shell) -> int:
    try:
        return command_line.run(batchback, argv, shell)
    except Refused as refused:
        shell.say(f"refused {refused}")
        return Status.NOT_COMPLETED if refused.is_not_completed else Status.REFUSED
    except Unreachable as unreachable:
        shell.say(f"unreachable: {unreachable}")
        return Status.UNREACHABLE
    except StillRunning as waiting:
        shell.say(str(waiting))
        return Status.NOT_COMPLETED
    except CannotGoOn as reason:
        shell.say(str(reason))
        return Status.USAGE


def _leave_the_pipe(stdout: TextIO) -> None:
    """The reader of our output has gone; Python would complain once more when it flushes at exit.
    https://docs.python.org/3/library/signal.html#note-on-sigpipe"""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
