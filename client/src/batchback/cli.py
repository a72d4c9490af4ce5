"""`batchback`: prints JSON on stdout and everything else on stderr, so that
`batchback results ID | jq` always works. The exit status says who has to act: see Status."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

from batchback import command_line, strict_json
from batchback.commands import batchback
from batchback.errors import (
    CallFailed,
    CannotGoOn,
    NotWritten,
    Refused,
    StillRunning,
    Unreachable,
    Unsupported,
)
from batchback.shell import Shell, Status, discard


def main(argv: Sequence[str] | None = None, *, shell: Shell | None = None) -> int:
    """Run one command and return its exit status. Nothing that the user, the network or the
    service does causes an exception or a traceback."""
    shell = shell or Shell()
    # PYTHONINTMAXSTRDIGITS would change which numbers can be read.
    sys.set_int_max_str_digits(strict_json.MAX_DIGITS)
    try:
        with redirect_stdout(shell.stdout), redirect_stderr(shell.stderr):
            return _run(sys.argv[1:] if argv is None else argv, shell)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Status.USAGE
    except KeyboardInterrupt as stop:
        shell.say(f"interrupted{stop}")
        return Status.INTERRUPTED
    except NotWritten as lost:
        return _without_output(lost, shell)


def _run(argv: Sequence[str], shell: Shell) -> int:
    try:
        return command_line.run(batchback, argv, shell)
    except Refused as refused:
        shell.say(f"refused {refused}")
        return Status.NOT_COMPLETED if refused.is_not_completed else Status.REFUSED
    except Unreachable as unreachable:
        shell.say(f"unreachable: {unreachable}; check the address, or {_again(unreachable)}")
        return Status.UNREACHABLE
    except StillRunning as waiting:
        shell.say(str(waiting))
        return Status.NOT_COMPLETED
    except (CannotGoOn, Unsupported) as reason:
        shell.say(str(reason))
        return Status.USAGE
    except OSError as fault:  # raised while click prints --help or --version
        if fault.filename is not None:
            raise
        raise NotWritten(fault) from fault


def _again(failure: CallFailed) -> str:
    if failure.idempotency_key is None:
        return "retry"
    return (
        f"retry with `--idempotency-key {failure.idempotency_key}` so that the batch runs only once"
    )


def _without_output(lost: NotWritten, shell: Shell) -> int:
    discard(shell.stdout)
    if said := str(lost):
        shell.say(said)
    return Status.OUTPUT_CLOSED if lost.is_reader_gone else Status.NOT_WRITTEN
