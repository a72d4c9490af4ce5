"""`batchback resources`: its commands and options."""

from types import ModuleType

import click
from batchback.command_line import examples

from batchback_ops import command_line


@click.group(
    "resources",
    epilog=examples(
        "batchback resources up --stage prod",
        "batchback resources show --stage prod",
    ),
)
def resources() -> None:
    """Create, update, show or delete a stage's resources.

    These are its tables, queues, logs, alarms and dashboard, in one CloudFormation stack.
    """


def _actions() -> ModuleType:
    from batchback_ops.resources import actions

    return actions


def _gateway() -> ModuleType:
    from batchback_ops.resources import gateway

    return gateway


command_line.add_command(
    resources,
    "up",
    "Create the stack, or update it to match the checkout.",
    load=lambda: _actions().up,
)
command_line.add_command(
    resources,
    "down",
    "Delete the stack: keys, batches, results, queues, logs, alarms.",
    click.Option(["--yes", "is_sure"], is_flag=True, help="Do not ask for confirmation."),
    click.Option(["--force", "is_forced"], is_flag=True, help="Delete it despite open batches."),
    load=lambda: _actions().down,
)
command_line.add_command(
    resources,
    "show",
    "Show status, parameters, outputs, and what `up` would change.",
    changes=False,
    load=lambda: _actions().show,
)
command_line.add_command(
    resources,
    "gateway",
    "Give API Gateway's own errors the service's shape. Run it after `chalice deploy`.",
    load=lambda: _gateway().shape_errors,
)
