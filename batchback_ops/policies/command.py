"""`batchback policies`, which takes no options."""

import click
from batchback.command_line import examples
from batchback.shell import Shell


@click.command("policies", epilog=examples("batchback policies"))
@click.pass_obj
def policies(shell: Shell) -> None:
    """Generate the IAM policies of every function in every stage.

    This updates the policy files, and the references to them in .chalice/config.json, from the
    checkout's table of permissions. Everything else in the configuration stays as it is.
    """
    from batchback_ops.policies import files

    files.update(shell)
