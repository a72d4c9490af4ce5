"""The command line: the batch API for people and shell scripts, and the service on one machine.

JSON on stdout and everything else on stderr, so that `batchback results ID | jq` always works. The
exit status says whose move it is: see Status.

This file knows commands, options and exit statuses, and nothing of HTTP. Nothing that is slow to
import is imported before a command needs it.
"""

import argparse
import codecs
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TextIO

from batchback.client import Client, Progress, Refused, Results, Submitted, Unreachable
from batchback.errors import CannotGoOn
from batchback.shell import Shell, Status
from chalicelib.domain import strict_json


def main(argv: Sequence[str] | None = None, *, shell: Shell | None = None) -> int:
    """Runs one command and returns its exit status: no exception and no traceback for anything
    that the user, the network or the service can do."""
    shell = shell or Shell()
    try:
        return _run_command(argv, shell)
    except SystemExit as stop:  # argparse has printed its help, or the fault, already
        return stop.code if isinstance(stop.code, int) else Status.USAGE
    except KeyboardInterrupt:
        shell.say("interrupted")
        return Status.INTERRUPTED
    except BrokenPipeError:
        _leave_the_pipe(shell.stdout)
        return Status.OUTPUT_CLOSED


def _run_command(argv: Sequence[str] | None, shell: Shell) -> int:
    parser = _parser()
    with redirect_stdout(shell.stdout), redirect_stderr(shell.stderr):
        options, rest = parser.parse_known_args(argv)
        if rest and options.command != "local" and options.command not in _OPERATING:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if options.command == "local":
        return _local(rest, shell)
    if options.command in _OPERATING:
        return _operate(options.command, rest, shell)
    return _as_caller(options.perform, options, shell)


def _local(argv: Sequence[str], shell: Shell) -> int:
    """Everything after `local` is its own affair, and only it needs an AWS to embed."""
    try:
        from batchback_local import add_arguments, run
    except ModuleNotFoundError as missing:
        shell.say(f"no module {missing.name}, which local needs: pip install 'batchback[local]'")
        return Status.USAGE
    parser = argparse.ArgumentParser("batchback local", description=_LOCAL, allow_abbrev=False)
    with redirect_stdout(shell.stdout), redirect_stderr(shell.stderr):
        add_arguments(parser)
        options = parser.parse_args(argv)
    status: int = run(options)
    return status


def _operate(command: str, argv: Sequence[str], shell: Shell) -> int:
    """A command of whoever deploys the service: everything after it is that module's own affair."""
    module = import_module(f"batchback_ops.{command}.command")
    parser = argparse.ArgumentParser(
        f"batchback {command}", description=_OPERATING[command], allow_abbrev=False
    )
    with redirect_stdout(shell.stdout), redirect_stderr(shell.stderr):
        module.add_arguments(parser)
        options = parser.parse_args(argv)
    try:
        status: int = module.run(options, shell)
    except CannotGoOn as reason:
        shell.say(str(reason))
        return Status.USAGE
    return status


# ---- calling the service

_Command = Callable[[Client, argparse.Namespace, Shell], None]


class _WrongUsage(Exception):
    """The text says in one sentence what to write instead."""


class _NotCompleted(Exception):
    """The text says that the batch still runs, and how to ask for it later."""


def _as_caller(command: _Command, options: argparse.Namespace, shell: Shell) -> Status:
    """The command, or why not in one line."""
    try:
        with _client(options, shell) as client:
            command(client, options, shell)
    except Refused as refused:
        shell.say(f"refused {refused}")
        return Status.NOT_COMPLETED if refused.is_not_completed else Status.REFUSED
    except Unreachable as unreachable:
        shell.say(f"unreachable: {unreachable}")
        return Status.UNREACHABLE
    except _NotCompleted as waiting:
        shell.say(str(waiting))
        return Status.NOT_COMPLETED
    except _WrongUsage as wrong:
        shell.say(str(wrong))
        return Status.USAGE
    return Status.OK


def _client(options: argparse.Namespace, shell: Shell) -> Client:
    given = {name: _setting(name, options, shell) for name in ("address", "key", "secret")}
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise _WrongUsage(_how_to_give(missing))
    try:
        return Client(given["address"], given["key"], given["secret"], now=shell.now)
    except ValueError as error:
        raise _WrongUsage(str(error)) from error


def _setting(name: str, options: argparse.Namespace, shell: Shell) -> str:
    value: str = getattr(options, name, None) or shell.environ.get(_variable(name), "")
    return value


def _how_to_give(missing: Sequence[str]) -> str:
    options = [f"--{name}" for name in missing]
    variables = [_variable(name) for name in missing]
    return f"no {_in_words(missing)}: give {_in_words(options)}, or set {_in_words(variables)}"


def _variable(name: str) -> str:
    return f"BATCHBACK_{name.upper()}"


def _in_words(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


# ---- the commands


def _ping(client: Client, _: argparse.Namespace, shell: Shell) -> None:
    shell.print_json(client.ping())


def _progress(client: Client, options: argparse.Namespace, shell: Shell) -> None:
    shell.print_json(client.progress(options.id))


def _restart(client: Client, options: argparse.Namespace, shell: Shell) -> None:
    shell.print_json(client.restart(options.id))


def _repost(client: Client, options: argparse.Namespace, shell: Shell) -> None:
    shell.print_json(client.repost(options.id))


def _cancel(client: Client, options: argparse.Namespace, shell: Shell) -> None:
    shell.print_json(client.cancel(options.id))


def _list(client: Client, options: argparse.Namespace, shell: Shell) -> None:
    shell.print_json(client.list(options.start, options.per_page))


def _results(client: Client, options: argparse.Namespace, shell: Shell) -> None:
    page = {"start": options.start, "per_page": options.per_page}
    shell.print_json(_results_of(client, options.id, **page, partial=options.partial))


def _run(client: Client, options: argparse.Namespace, shell: Shell) -> None:
    if options.timeout is not None and not options.wait:
        raise _WrongUsage("--timeout says how long to --wait: give both")
    submitted = _submit(client, options, shell)
    if not options.wait:
        shell.print_json(submitted)
        return
    batch_id = submitted["asyncId"]
    shell.say(f"batch {batch_id} is submitted")
    _wait_for(batch_id, client, options.timeout, shell)
    shell.print_json(_results_of(client, batch_id))


def _submit(client: Client, options: argparse.Namespace, shell: Shell) -> Submitted:
    order = _order(options.file, options.callback_url, shell)
    try:
        return client.submit(order, options.idempotency_key)
    except ValueError as error:
        raise _WrongUsage(str(error)) from error


def _results_of(client: Client, batch_id: str, **wanted: Any) -> Results:
    try:
        return client.results(batch_id, **wanted)
    except Refused as refused:
        if not refused.is_too_large:
            raise
        how = f"batchback results {batch_id} --start 0 --per-page 100"
        code, reasons = refused.specific_code, [*refused.reasons, how]
        raise Refused(refused.error_code, code, refused.message, reasons) from refused


# ---- what to run


def _order(file: str, callback_url: str | None, shell: Shell) -> dict[str, Any]:
    """The request object in FILE, or one around the jobs in it."""
    name = "standard input" if file == "-" else file
    value = _parsed(_content(file, shell), name)
    if isinstance(value, list):
        value = {"jobs": value}
    if not isinstance(value, dict):
        raise _WrongUsage(f"{name} holds neither a request object nor an array of jobs")
    return value if callback_url is None else {**value, "callbackUrl": callback_url}


def _content(file: str, shell: Shell) -> bytes:
    if file == "-":
        return shell.stdin.read()
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise _WrongUsage(f"{file}: {getattr(error, 'strerror', None) or error}") from error


def _parsed(content: bytes, name: str) -> object:
    """Read as strictly as the service does, so that nothing is changed on the way there. The mark
    that Windows editors put before UTF-8 is no part of the JSON."""
    try:
        return strict_json.parse(content.removeprefix(codecs.BOM_UTF8))
    except strict_json.NotStrictJson as fault:
        raise _WrongUsage(f"{name}{_place_and_reason(fault)}") from fault


def _place_and_reason(fault: strict_json.NotStrictJson) -> str:
    if isinstance(at := fault.__cause__, json.JSONDecodeError):
        return f", line {at.lineno}, column {at.colno}: {at.msg}"
    return f" {fault}"


# ---- waiting for it

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_PAUSE_GROWTH = 1.5
#: The batch runs on while a network or a gateway has its moment: so many polls in a row may fail.
_MISSES_ALLOWED = 4


def _wait_for(batch_id: str, client: Client, timeout: float | None, shell: Shell) -> None:
    """Returns once the batch is over; _NotCompleted when the time is up."""
    meter = _Bar(shell.stderr) if shell.stderr.isatty() else _Lines(shell)
    try:
        for progress in _polled(batch_id, client, math.inf if timeout is None else timeout, shell):
            meter.show(progress)
            if _is_over(progress):
                return
    finally:
        meter.close()
    how = f"batchback results {batch_id}"
    raise _NotCompleted(f"not completed after {timeout:g} s, and still running: {how}")


def _polled(batch_id: str, client: Client, timeout: float, shell: Shell) -> Iterator[Progress]:
    """The progress again and again, less and less often, until the time is up."""
    deadline = shell.monotonic() + timeout
    misses = 0
    for pause in _pauses():
        try:
            progress = client.progress(batch_id)
        except Unreachable:
            misses += 1
            if misses > _MISSES_ALLOWED:
                raise
        else:
            misses = 0
            yield progress
        left = deadline - shell.monotonic()
        if left <= 0:
            return
        shell.sleep(min(pause, left))


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS)


def _is_over(progress: Progress) -> bool:
    """By its status, for 100 may come a moment before the results do; by the percentage where a
    service of this API gives nothing else."""
    status = progress.get("status")
    return progress["progress"] == 100 if status is None else status != "running"


class _Meter(Protocol):
    def show(self, progress: Progress) -> None: ...
    def close(self) -> None: ...


class _Bar:
    """One line that is drawn over and over, for a terminal."""

    _WIDTH = 30
    _CLEAR_TO_END = "\x1b[K"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._end = ""

    def show(self, progress: Progress) -> None:
        filled = "#" * (progress["progress"] * self._WIDTH // 100)
        line = f"[{filled:.<{self._WIDTH}}] {_in_figures(progress)}"
        self._draw(f"\r{line[: shutil.get_terminal_size().columns - 1]}{self._CLEAR_TO_END}")
        self._end = "\n"

    def close(self) -> None:
        self._draw(self._end)

    def _draw(self, text: str) -> None:
        print(text, end="", file=self._stream, flush=True)


class _Lines:
    """A line for each change, for logs."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._last = ""

    def show(self, progress: Progress) -> None:
        line = _in_figures(progress)
        if line != self._last:
            self._shell.say(line)
        self._last = line

    def close(self) -> None:
        pass


def _in_figures(progress: Progress) -> str:
    percentage = f"{progress['progress']:3}%"
    jobs = progress.get("jobs")
    if not jobs:
        return percentage
    answered = f"{percentage}  {jobs['total'] - jobs['waiting']} of {jobs['total']} jobs answered"
    return f"{answered}, {jobs['failed']} failed" if jobs["failed"] else answered


def _leave_the_pipe(stdout: TextIO) -> None:
    """Whoever read our output has gone; Python would complain once more when it flushes at exit.
    https://docs.python.org/3/library/signal.html#note-on-sigpipe"""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())


# ---- the options

_LOCAL = "run the whole service on this machine, with an embedded AWS"
#: The commands of whoever deploys the service, each a module of batchback_ops.
_OPERATING: dict[str, str] = {
    "doctor": "what of a stage works, what does not, and what mends it",
    "keys": "make, list, rotate and revoke the keys that may call",
    "ops": "the batches of a stage: list, show, put dead letters back to work",
    "package": "make what a pipeline deploys: the zip of the functions, and one template of all",
    "policies": "make what each function may do, for every stage, from one source",
    "resources": "make, change, show or delete a stage's tables, queues, logs, alarms, dashboard",
}
_SUMMARY = "Send a batch of API calls to a Batchback service, follow it, fetch its results."
_STATUSES = """\
environment:
  BATCHBACK_ADDRESS, BATCHBACK_KEY, BATCHBACK_SECRET  where an option is not given

exit status:
  0  ok                             3  unreachable: nobody answered, or not the service
  1  refused by the service         4  the batch is not completed yet
  2  wrong usage, nothing was sent
"""


def _parser() -> argparse.ArgumentParser:
    caller = _caller_options()
    parser = argparse.ArgumentParser(
        "batchback",
        description=_SUMMARY,
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[caller],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, perform: _Command, purpose: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=purpose, description=purpose, parents=[caller], allow_abbrev=False
        )
        command.set_defaults(perform=perform)
        return command

    _add_run_options(add("run", _run, "submit a batch"))
    _add_id(add("progress", _progress, "how far a batch is"))
    _add_results_options(add("results", _results, "the results of a completed batch"))
    _add_id(add("restart", _restart, "run the jobs again that never got an answer"))
    _add_id(add("repost", _repost, "send the callback again"))
    _add_id(add("cancel", _cancel, "end a batch early"))
    _add_page(add("list", _list, "your batches, newest first"))
    add("ping", _ping, "whether address, key, secret and clock are right")
    for name, help_text in {"local": _LOCAL, **_OPERATING}.items():
        commands.add_parser(name, help=help_text, add_help=False, allow_abbrev=False)
    return parser


def _caller_options() -> argparse.ArgumentParser:
    """For before and after the command alike: without SUPPRESS the command's default, None, would
    overwrite what was given before it."""
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    options.add_argument("--address", help="of the service, such as https://batch.example.com")
    options.add_argument("--key", help="to call with")
    options.add_argument("--secret", help="of the key; other users of this machine may see options")
    return options


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file", metavar="FILE", help='JSON: {"jobs": [...], "callbackUrl": ...}, or the jobs; or -'
    )
    command.add_argument("--callback-url", metavar="URL", help="instead of the one in FILE, if any")
    command.add_argument(
        "--idempotency-key", metavar="TEXT", help="with the same one, the same batch runs only once"
    )
    command.add_argument("--wait", action="store_true", help="until it is over; print the results")
    command.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, help="to --wait at most (status 4 then)"
    )


def _add_results_options(command: argparse.ArgumentParser) -> None:
    _add_id(command)
    _add_page(command)
    command.add_argument("--partial", action="store_true", help="those so far, of a running batch")


def _add_id(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", metavar="ID", help="of the batch, as run printed it")


def _add_page(command: argparse.ArgumentParser) -> None:
    command.add_argument("--start", metavar="N", type=int, help="the first to show, from 0")
    command.add_argument("--per-page", metavar="N", type=int, help="how many to show")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds over 0")
    return seconds


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"batchback {version('batchback')}")
        parser.exit()
