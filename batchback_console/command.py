"""`batchback console`: runs until SIGINT or SIGTERM, then exits with status 0."""

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from batchback.command_line import examples
from batchback.errors import CannotGoOn
from batchback.shell import Shell

from batchback_ops import project
from batchback_ops.command_line import (
    STAGE,
    stop_at_signals,
    wait_for_the_signal,
    whole_number,
)

if TYPE_CHECKING:
    from batchback_console.console import Console
    from batchback_console.server import ConsoleServer


@click.command(
    "console",
    params=[
        STAGE,
        click.Option(
            ["--allow-actions", "may_act"],
            is_flag=True,
            help="Let the page restart, cancel and pause. Otherwise it is read-only.",
        ),
        click.Option(
            ["--port"],
            metavar="PORT",
            type=whole_number(1, 65_535),
            help="The page's port. The default is 8001 if that is free.",
        ),
        click.Option(
            ["--account", "accounts"],
            metavar="A",
            multiple=True,
            help="Offer this account's finished batches. May be repeated.",
        ),
    ],
    epilog=examples(
        "batchback console --stage prod",
        "batchback console --stage prod --account demo --allow-actions",
    ),
)
@click.pass_obj
def console(
    shell: Shell, /, *, stage: str, may_act: bool, port: int | None, accounts: tuple[str, ...]
) -> None:
    """Show a stage's batches live in your browser.

    The page runs on this machine, with your own AWS credentials, until Ctrl-C.
    """
    stop_at_signals()
    with suppress(KeyboardInterrupt):
        opened = _open(stage, shell, may_act=may_act, accounts=accounts)
        with _listening(opened, port, shell) as server:
            shell.say(f"the console is at {server.address}")
            shell.say("Ctrl-C stops it")
            wait_for_the_signal()


def _open(stage: str, shell: Shell, *, may_act: bool, accounts: tuple[str, ...]) -> "Console":
    """The console of a stage. CannotGoOn if the stage cannot be read."""
    from batchback_console.console import SaidJournal, connect
    from batchback_ops.stage import open_stage
    from chalicelib.adapters.clock import SystemClock

    opened = open_stage(stage, shell)
    with opened.explained_errors():
        console = connect(
            opened,
            dynamodb=opened.client("dynamodb"),
            sqs=opened.client("sqs"),
            clock=SystemClock(),
            journal=SaidJournal(say=shell.say),
            may_act=may_act,
            accounts=lambda: accounts,
        )
        console.store.find_pause()
    return console


def _listening(console: "Console", named: int | None, shell: Shell) -> "ConsoleServer":
    """The server, on the given port, or else on the usual one, or else on any free one."""
    try:
        from batchback_console.guard import new_token
        from batchback_console.server import PREFERRED_PORT, ConsoleServer
    except ModuleNotFoundError as missing:
        raise CannotGoOn(
            f"`batchback console` needs {missing.name}, which is not installed: run "
            f"`{sys.executable} -m pip install -e '{project.root()}[console]'`"
        ) from missing
    token = new_token(shell.random_bytes)

    def serve(port: int) -> ConsoleServer:
        return ConsoleServer(console, port=port, token=token, say=shell.say)

    try:
        return serve(named or PREFERRED_PORT)
    except OSError as error:
        if named:
            why = os.strerror(error.errno or 0)
            raise CannotGoOn(f"Port {named} cannot be used ({why}): name another.") from error
        return serve(0)
