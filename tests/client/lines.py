"""Parse command lines without running them."""

import click
from batchback.commands import batchback
from batchback.shell import Shell


def parsed(words: list[str]) -> click.Context:
    """Parse a command line; UsageError if it is invalid. The contexts are nested as when a user
    types the line: a command keeps the help option that it first found."""
    command: click.Command | None = batchback
    parent = None
    while isinstance(command, click.Group) and words:
        name, *words = words
        parent = click.Context(command, parent=parent, **command.context_settings)
        command = command.get_command(parent, name)
        assert command, name
    assert command
    return command.make_context(command.name, words, parent=parent, obj=Shell(environ={}))
