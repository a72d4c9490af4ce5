"""`batchback package`: what a pipeline deploys, the zip of the functions and one template of all,
with the script that deploys them.

The same checkout gives the same bytes.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from batchback.errors import CannotGoOn
from batchback.shell import Shell, Status

from batchback_ops import project
from batchback_ops.package import deploy_script, deployment_zip, pipeline_template
from batchback_ops.package.chalice_package import TEMPLATE, ZIP, chalice_package
from batchback_ops.stage import add_stage

ARCHITECTURES = ("arm64", "x86_64")

_OLDEST_PIP = (26, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stage(parser)
    parser.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        help="of the functions, instead of the stage's own in .chalice/config.json",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="where to put them (build/package/NAME)"
    )


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Repeats safely; what was in the folder under the same names is replaced."""
    stage: str = options.stage
    parameters = _parameters(stage)
    _check_pip()
    out: Path = options.out or project.root() / "build" / "package" / stage
    with chalice_package(stage, options.architecture) as made:
        template = pipeline_template.merged(
            json.loads((made / TEMPLATE).read_text("utf-8")),
            json.loads(project.template()),
            stage,
            parameters,
        )
        requirements = (project.root() / "requirements.txt").read_text("utf-8")
        content = deployment_zip.finished(made / ZIP, requirements)
    script = deploy_script.script(stage, parameters, project.tags(stage))
    text = json.dumps(template, indent=2) + "\n"
    _put(out, {ZIP: content, TEMPLATE: text.encode(), deploy_script.NAME: script.encode()}, shell)
    _warn_of_header(stage, shell)
    shell.print_json(
        {
            "zip": os.fspath(out / ZIP),
            "template": os.fspath(out / TEMPLATE),
            "script": os.fspath(out / deploy_script.NAME),
        }
    )
    return Status.OK


def _check_pip() -> None:
    """Older ones do not see the hashes of a constraint, and take no wheel at all then."""
    found = version("pip")
    if tuple(map(int, re.findall(r"\d+", found)[:2])) < _OLDEST_PIP:
        raise CannotGoOn(
            f"pip {found} is too old to check the hashes of all that ships: "
            f"{sys.executable} -m pip install --upgrade pip"
        )


def _parameters(stage: str) -> Mapping[str, str]:
    parameters = project.stack_parameters(stage)
    if stage == project.LOCAL_STAGE:
        raise CannotGoOn(f"The stage {stage} is this machine: there is nothing to deploy.")
    return parameters


def _warn_of_header(stage: str, shell: Shell) -> None:
    header = project.environment(stage).get("PLATFORM_HEADER", "").strip()
    if header not in {"", "-", "ssm"}:
        shell.say(
            f"the platform's header stands in {TEMPLATE} as it is, for whoever gets hold of the "
            "package: keep it in Parameter Store (PLATFORM_HEADER ssm, docs/settings.md)"
        )


def _put(out: Path, contents: Mapping[str, bytes], shell: Shell) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (out / name).write_bytes(content)
            shell.say(f"wrote {out / name}, {len(content) / 1_000_000:.1f} MB")
    except OSError as error:
        raise CannotGoOn(f"{out} cannot be written to ({error.strerror}): name another.") from error
