"""`batchback policies`, as it is typed."""

import click
from batchback.command_line import examples
from batchback.shell import Shell


@click.command("policies", epilog=examples("batchback policies"))
@click.pass_obj
def policies(shell: Shell) -> None:
    """Generate the IAM policies of every function in every stage.

    The policy files, and what .chalice/config.json says of them, become what the checkout's own
    table of permissions says. Everything else in the configuration stays.
    """
    from batchback_ops.policies import files

    files.update(shell)
