"""`batchback package`: what a pipeline deploys, the zip of the functions and one template of all,
with the script that deploys them."""

import json
from pathlib import Path

import click
from batchback import tables
from batchback.command_line import examples
from batchback.shell import Shell

from batchback_ops.console import JSON, STAGE

ARCHITECTURES = ("arm64", "x86_64")


@click.command(
    "package",
    params=[
        STAGE,
        click.Option(
            ["--architecture"],
            type=click.Choice(ARCHITECTURES),
            help="Of the functions, instead of the stage's own in .chalice/config.json.",
        ),
        click.Option(
            ["--out"],
            metavar="DIR",
            type=click.Path(path_type=Path),
            help="Where to put them, if not in build/package/NAME.",
        ),
        JSON,
    ],
    epilog=examples("batchback package --stage prod", "batchback package --stage dev --out DIR"),
)
@click.pass_obj
def package(
    shell: Shell, /, *, stage: str, architecture: str | None, out: Path | None, as_json: bool
) -> None:
    """Make the zip and the template that a pipeline deploys.

    Repeats safely; what is in the folder under the same names is replaced.
    """
    from batchback_ops.package import files

    written = files.write(stage, architecture, out, shell)
    shell.show(written, tables.fields, as_json=as_json, done=json.dumps(written))
