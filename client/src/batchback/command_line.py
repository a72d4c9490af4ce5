"""The framework of the command line: one group for the client's commands and a checkout's.

A command registers with an entry point in the group `batchback.commands`. The entry point's name is
the command's name, and its value `module:attribute` is a click.Command or click.Group. Keep such a
module small and import anything slow inside the callbacks: `batchback --help` loads the modules of
all commands.

A command gets the Shell as click.Context.obj (`@click.pass_obj`). It returns its exit status, or
None for success, and raises CannotGoOn if the user has to fix something first.
"""

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

import click
from click.shell_completion import shell_complete

from batchback.errors import CannotGoOn
from batchback.shell import Shell, Status

PROGRAM = "batchback"
#: The commands that only a checkout of the service has.
OF_A_CHECKOUT = frozenset(
    {"console", "doctor", "keys", "local", "ops", "package", "policies", "resources"}
)

_COMPLETION_VARIABLE = "_BATCHBACK_COMPLETE"


def examples(*lines: str) -> str:
    """The `epilog` of a command: example lines, which click does not wrap."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class CommandLine(click.Group):
    """The group's own commands, and those of entry points, which are loaded on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return [*self.commands, *sorted(_registered())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or _from_elsewhere(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Do what click does, but suggest the commands of entry points too."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            known = self.list_commands(ctx)
            raise click.NoSuchCommand(error.command_name, possibilities=known, ctx=ctx) from error


def run(group: click.Group, argv: Sequence[str], shell: Shell) -> int:
    """Run one command, or complete a line for a shell; return the exit status."""
    if instruction := shell.environ.get(_COMPLETION_VARIABLE):
        given = {"obj": shell}
        return shell_complete(group, given, PROGRAM, _COMPLETION_VARIABLE, instruction)
    try:
        with group.make_context(PROGRAM, [*argv], obj=shell) as context:
            status = group.invoke(context)
    except click.exceptions.Exit as done:  # --help and --version have printed their text
        return done.exit_code
    except click.NoSuchOption as error:
        _say_usage(_with_whole_names(error), shell)
        return Status.USAGE
    except click.UsageError as error:
        _say_usage(error, shell)
        return Status.USAGE
    return status if isinstance(status, int) else Status.OK


def _say_usage(error: click.UsageError, shell: Shell) -> None:
    if error.ctx is None or isinstance(error, click.exceptions.NoArgsIsHelpError):
        shell.draw(f"{error.format_message()}\n")
        return
    shell.draw(f"{error.ctx.get_usage()}\n")
    shell.say(f"{error.format_message()} See `{error.ctx.command_path} --help`.")


def _with_whole_names(error: click.NoSuchOption) -> click.UsageError:
    """Suggest the options that an abbreviation may stand for: click itself suggests only for
    typos."""
    params = error.ctx.command.params if error.ctx else []
    meant = [name for each in params for name in each.opts if name.startswith(error.option_name)]
    if not meant:
        return error
    suggested = " or ".join(f"'{name}'" for name in meant)
    text = f"No such option '{error.option_name}'. Did you mean {suggested}?"
    return click.UsageError(text, error.ctx)


# ---- commands from elsewhere


def _registered() -> dict[str, EntryPoint]:
    return {each.name: each for each in entry_points(group="batchback.commands")}


def _from_elsewhere(name: str) -> click.Command | None:
    if entry_point := _registered().get(name):
        return _loaded(entry_point)
    if name in OF_A_CHECKOUT:
        how = "run `make run` there, then use its `.venv/bin/batchback`"
        return _unavailable(name, f"needs a checkout of the service: {how}")
    return None


def _loaded(entry_point: EntryPoint) -> click.Command:
    try:
        command: click.Command = entry_point.load()
    except ImportError as error:
        return _unavailable(entry_point.name, f"cannot be loaded: {error}")
    return command


def _unavailable(name: str, why: str) -> click.Command:
    """A command that accepts any arguments and only says why it is unavailable."""

    def refuse() -> None:
        raise CannotGoOn(f"`{PROGRAM} {name}` {why}")

    return click.Command(
        name,
        callback=refuse,
        short_help=why,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
