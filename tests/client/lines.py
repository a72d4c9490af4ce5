"""Command lines, read and not carried out."""

import click
from batchback.commands import batchback
from batchback.shell import Shell


def parsed(words: list[str]) -> click.Context:
    """What a line of ours says; UsageError if it is not understood. Its context is in those of its
    groups, as when it is typed: a command keeps what it first took for its help option."""
    command: click.Command | None = batchback
    parent = None
    while isinstance(command, click.Group) and words:
        name, *words = words
        parent = click.Context(command, parent=parent, **command.context_settings)
        command = command.get_command(parent, name)
        assert command, name
    assert command
    return command.make_context(command.name, words, parent=parent, obj=Shell(environ={}))
