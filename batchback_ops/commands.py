"""The commands of a checkout, as the entry points of the group `batchback.commands` name them.

Each still parses with argparse, in a module of its own that is imported when the command runs.
"""

import argparse
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import click
from batchback.errors import CannotGoOn
from batchback.shell import Shell


def _command(name: str, purpose: str, module: str, *, wants_shell: bool = True) -> click.Command:
    @click.pass_obj
    def callback(shell: Shell, argv: Sequence[str]) -> int:
        try:
            return _run(name, purpose, import_module(module), argv, shell, wants_shell=wants_shell)
        except ModuleNotFoundError as missing:
            raise CannotGoOn(f"`batchback {name}` needs the package {missing.name}") from missing

    return click.Command(
        name,
        params=[click.Argument(["argv"], nargs=-1, type=click.UNPROCESSED)],
        callback=callback,
        short_help=purpose,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )


def _run(
    name: str,
    purpose: str,
    module: ModuleType,
    argv: Sequence[str],
    shell: Shell,
    *,
    wants_shell: bool,
) -> int:
    parser = argparse.ArgumentParser(f"batchback {name}", description=purpose, allow_abbrev=False)
    module.add_arguments(parser)
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed its help, or the fault, already
        return int(stop.code or 0)
    status: int = module.run(options, shell) if wants_shell else module.run(options)
    return status


def _of_operators(name: str, purpose: str) -> click.Command:
    return _command(name, purpose, f"batchback_ops.{name}.command")


doctor = _of_operators("doctor", "Check a stage and suggest fixes.")
keys = _of_operators("keys", "Make, list, rotate and revoke the keys that may call.")
local = _command(
    "local", "Run the whole service on this machine.", "batchback_local", wants_shell=False
)
ops = _of_operators("ops", "List and show batches, put dead letters back to work.")
package = _of_operators("package", "Make the zip and the template that a pipeline deploys.")
policies = _of_operators("policies", "Generate the IAM policies of every stage.")
resources = _of_operators("resources", "Make, change, show or delete a stage's resources.")
