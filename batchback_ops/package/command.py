"""`batchback package`: the zip of the functions, one template for everything, and the script that
deploys them from a pipeline."""

import json
from pathlib import Path

import click
from batchback import tables
from batchback.command_line import examples
from batchback.shell import Shell

from batchback_ops.command_line import JSON, STAGE

ARCHITECTURES = ("arm64", "x86_64")


@click.command(
    "package",
    params=[
        STAGE,
        click.Option(
            ["--architecture"],
            type=click.Choice(ARCHITECTURES),
            help="The functions' architecture. The default is the stage's in .chalice/config.json.",
        ),
        click.Option(
            ["--out"],
            metavar="DIR",
            type=click.Path(path_type=Path),
            help="The folder to write to. The default is build/package/NAME.",
        ),
        JSON,
    ],
    epilog=examples("batchback package --stage prod", "batchback package --stage dev --out DIR"),
)
@click.pass_obj
def package(
    shell: Shell, /, *, stage: str, architecture: str | None, out: Path | None, as_json: bool
) -> None:
    """Create the zip and the template that a pipeline deploys.

    It is safe to repeat: files of the same names in the folder are replaced.
    """
    from batchback_ops.package import files

    written = files.write(stage, architecture, out, shell)
    shell.show(written, tables.fields, as_json=as_json, done=json.dumps(written))
