"""`batchback resources`, as it is typed."""

from types import ModuleType

import click
from batchback.command_line import examples

from batchback_ops import console


@click.group(
    "resources",
    epilog=examples(
        "batchback resources up --stage prod",
        "batchback resources show --stage prod",
    ),
)
def resources() -> None:
    """Make, change, show or delete a stage's resources.

    These are its tables, queues, logs, alarms and dashboard, in one CloudFormation stack.
    """


def _actions() -> ModuleType:
    from batchback_ops.resources import actions

    return actions


def _gateway() -> ModuleType:
    from batchback_ops.resources import gateway

    return gateway


console.add_command(
    resources,
    "up",
    "Make the stack, or change it to what the checkout says.",
    load=lambda: _actions().up,
)
console.add_command(
    resources,
    "down",
    "Delete it: keys, batches, results, queues, logs, alarms.",
    click.Option(["--yes", "is_sure"], is_flag=True, help="Do not ask."),
    click.Option(["--force", "is_forced"], is_flag=True, help="Even while batches are open."),
    load=lambda: _actions().down,
)
console.add_command(
    resources,
    "show",
    "Show its status, parameters, outputs, and what `up` would change.",
    changes=False,
    load=lambda: _actions().show,
)
console.add_command(
    resources,
    "gateway",
    "Give API Gateway's own errors the service's shape. Run it after `chalice deploy`.",
    load=lambda: _gateway().shape_errors,
)
