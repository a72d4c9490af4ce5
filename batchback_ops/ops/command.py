"""`batchback ops`: its commands, options and tables."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import click
from batchback import tables
from batchback.command_line import examples

from batchback_ops import command_line

_REDRIVEN_AT_ONCE = 1_000


@click.group(
    "ops",
    epilog=examples(
        "batchback ops list --stuck --stage prod",
        "batchback ops show ID --stage prod",
    ),
)
def ops() -> None:
    """List batches, pause all jobs, redrive dead messages."""


def _actions() -> ModuleType:
    from batchback_ops.ops import actions

    return actions


def _listed(rows: Sequence[dict[str, Any]]) -> str:
    head = ["BATCH ID", "ACCOUNT", "STATUS", "PROGRESS", "CALLBACK", "CREATED", "STUCK"]
    return tables.aligned([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> list[str]:
    progress, stuck = f"{row['progress']}%", row["stuck"] or "-"
    return [
        *(row["batchId"], row["account"], row["status"], progress),
        *(row["callback"], row["createdAt"], stuck),
    ]


_QUEUE = click.Option(
    ["--queue"],
    type=click.Choice(["batches-dead", "callbacks-dead", "jobs-dead"]),
    default="batches-dead",
    show_default=True,
    help="The dead-letter queue.",
)
_LIMIT = click.Option(
    ["--limit"],
    metavar="N",
    type=command_line.whole_number(1, _REDRIVEN_AT_ONCE),
    default=_REDRIVEN_AT_ONCE,
    show_default=True,
    help="Take at most N messages.",
)


def _discarded(value: dict[str, Any]) -> str:
    head = ["MESSAGE ID", "SENT", "BODY"]
    rows = [[str(cell) for cell in message.values()] for message in value["messages"]]
    counts = {name: held for name, held in value.items() if name != "messages"}
    return "\n".join([tables.aligned([head, *rows]), "", tables.fields(counts)])


command_line.add_command(
    ops,
    "list",
    "List the batches with work left, the oldest first.",
    click.Option(["--stuck", "is_stuck"], is_flag=True, help="List only batches that stand still."),
    click.Option(
        ["--account"], metavar="A", help="List all batches of this account, ended ones too."
    ),
    table=_listed,
    example="--stuck --stage prod",
    changes=False,
    load=lambda: _actions().list_batches,
)
command_line.add_command(
    ops,
    "show",
    "Show the state of one batch. ID is its asyncId, the log's batch_id.",
    click.Argument(["id"], metavar="ID"),
    example="ID --stage prod",
    changes=False,
    load=lambda: _actions().show,
)
command_line.add_command(
    ops,
    "pause",
    "Stop calling the platform for a while. Jobs wait, callbacks go on.",
    click.Option(
        ["--until"],
        metavar="TIME",
        required=True,
        help="When it ends: a time with its zone, or a span from now such as 30m, 2h or 1d. At "
        "most 14 days.",
    ),
    click.Option(
        ["--reason"],
        metavar="TEXT",
        required=True,
        help="The reason, for others who notice the pause.",
    ),
    example="--until 2h --reason maintenance --stage prod",
    load=lambda: _actions().pause,
)
command_line.add_command(
    ops,
    "resume",
    "End a pause early.",
    load=lambda: _actions().resume,
)
command_line.add_command(
    ops,
    "redrive",
    "Send dead messages back to the queue they came from.",
    _QUEUE,
    click.Option(["--dry-run", "is_dry_run"], is_flag=True, help="Only show them."),
    _LIMIT,
    example="--dry-run --stage prod",
    load=lambda: _actions().redrive,
)
command_line.add_command(
    ops,
    "discard",
    "Show the dead messages that no version can read. --yes deletes them for good.",
    _QUEUE,
    click.Option(["--yes", "is_sure"], is_flag=True, help="Delete them."),
    _LIMIT,
    table=_discarded,
    example="--yes --stage prod",
    load=lambda: _actions().discard,
)
