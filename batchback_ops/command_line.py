"""What the operators' commands share on the command line: the stage, output as JSON or a
table, and how a command that runs until Ctrl-C ends.

A command is a function that takes a stage, the shell and its options, and returns what to print. It
is imported only when it runs, because the help of `batchback` loads every `command.py`.
"""

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import click
from batchback import tables
from batchback.command_line import examples
from batchback.shell import Shell, Status

from batchback_ops import project
from batchback_ops.errors import NotDone

#: How often the main thread wakes up, so that Python can run its signal handlers.
_WAKE_SECONDS = 0.1


def _stages(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in project.configuration()["stages"] if name.startswith(incomplete)]


STAGE = click.Option(
    ["--stage"],
    metavar="NAME",
    required=True,
    shell_complete=_stages,
    help="The stage, from .chalice/config.json.",
)
JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON, even on a terminal.")


def whole_number(first: int, last: int) -> Callable[[object], int]:
    """A type for options: only digits, within the range."""

    def number(given: object) -> int:
        text = str(given)
        if not (text.isascii() and text.isdecimal() and first <= int(text) <= last):
            raise click.BadParameter(f"{text!r} is not a whole number from {first} to {last}.")
        return int(text)

    return number


def add_command(
    group: click.Group,
    name: str,
    purpose: str,
    *params: click.Parameter,
    load: Callable[[], Callable[..., Any]],
    table: Callable[[Any], str] = tables.fields,
    changes: bool = True,
    example: str = "--stage prod",
) -> None:
    """Add a command to a group.

    `load` imports the function. Its result is printed as JSON, or as a table on a terminal. If a
    command that changes something cannot print its result, the result goes to stderr, because a new
    secret exists nowhere else.
    """

    @click.pass_obj
    def call(shell: Shell, /, *, stage: str, as_json: bool, **given: Any) -> Status:
        from batchback_ops.stage import open_stage

        opened = open_stage(stage, shell)
        try:
            with opened.explained_errors():
                value = load()(opened, shell, **given)
                done = json.dumps(value) if changes else ""
                shell.show(value, table, as_json=as_json, done=done)
        except NotDone as reason:
            shell.say(str(reason))
            return Status.REFUSED
        return Status.OK

    group.add_command(
        click.Command(
            name,
            params=[*params, STAGE, JSON],
            callback=call,
            help=purpose,
            epilog=examples(f"batchback {group.name} {name} {example}"),
        )
    )


def stop_at_signals() -> None:
    """Raise KeyboardInterrupt in the main thread at SIGINT or SIGTERM, but only once: while
    everything stops, a second signal is ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def wait_for_the_signal() -> None:
    """Wait until KeyboardInterrupt. The system may deliver a signal to any thread, but Python runs
    its handler in the main thread, which must wake up for that."""
    while True:
        time.sleep(_WAKE_SECONDS)


def _interrupt(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
