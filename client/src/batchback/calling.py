"""Make commands out of functions that call the service."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from batchback import connection, tables
from batchback.client import Client
from batchback.command_line import examples
from batchback.refusals import explained_refusals
from batchback.shell import Shell, Status


def _not_empty(_: click.Context, __: click.Parameter, text: str) -> str:
    """An unset variable of a shell becomes an empty argument."""
    if not text:
        raise click.BadParameter("it is empty. Pass the id that `batchback run` printed.")
    return text


ID = click.Argument(["id"], metavar="ID", callback=_not_empty)
START = click.Option(
    ["--start"], metavar="N", type=int, help="Start at this position (the first is 0)."
)
PER_PAGE = click.Option(["--per-page"], metavar="N", type=int, help="Show at most N per page.")
_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON even on a terminal.")


def _nothing(_: object) -> str:
    return ""


def asking(
    name: str,
    purpose: str,
    *params: click.Parameter,
    table: Callable[[Any], str] = tables.fields,
    done: Callable[[Any], str] = _nothing,
    example: str = "",
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command out of a function that calls the service and returns what to print. `done`
    describes the change, and is shown if the output cannot be written."""

    def made_of(ask: Callable[..., Any]) -> click.Command:
        def perform(client: Client, shell: Shell, *, as_json: bool, **given: Any) -> None:
            value = ask(client, **given)
            shell.show(value, table, as_json=as_json, done=done(value))

        return calling(name, purpose, params, with_client(perform), example)

    return made_of


def calling(
    name: str,
    purpose: str,
    params: Sequence[click.Parameter],
    callback: Callable[..., Status | None],
    *lines: str,
) -> click.Command:
    """A command; `lines` are examples without the names of the program and the command."""
    return click.Command(
        name,
        params=[*params, _JSON, *connection.OPTIONS],
        callback=callback,
        help=purpose,
        epilog=examples(*(f"batchback {name} {line}".rstrip() for line in lines)),
    )


def with_client(perform: Callable[..., Status | None]) -> Callable[..., Status | None]:
    """Pass a client of the service and the shell to the function, before its own arguments."""

    @click.pass_context
    def call(context: click.Context, /, **given: Any) -> Status | None:
        with connection.open_client(context) as client, explained_refusals(given):
            return perform(client, context.obj, **given)

    return call
