"""Creates, checks and writes the files of a package. The same checkout gives the same bytes."""

import json
import os
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from batchback.errors import CannotGoOn
from batchback.shell import Shell

from batchback_ops import project
from batchback_ops.package import deploy_script, deployment_zip, pipeline_template
from batchback_ops.package.chalice_package import TEMPLATE, ZIP, chalice_package
from batchback_ops.stage import Stage, open_stage

_OLDEST_PIP = (26, 1)


def write(
    stage: str, architecture: str | None, folder: Path | None, shell: Shell
) -> dict[str, str]:
    """Write the files and return their paths: `zip`, `template` and `script`."""
    parameters = _parameters(open_stage(stage, shell))
    _check_pip()
    _check_chalice()
    out = folder or project.root() / "build" / "package" / stage
    _put(out, _contents(stage, architecture, parameters), shell)
    _warn_of_header(stage, shell)
    names = {"zip": ZIP, "template": TEMPLATE, "script": deploy_script.NAME}
    return {what: os.fspath(out / name) for what, name in names.items()}


def _contents(
    stage: str, architecture: str | None, parameters: Mapping[str, str]
) -> dict[str, bytes]:
    """The files by their names."""
    requirements = (project.root() / "requirements.txt").read_text("utf-8")
    with chalice_package(stage, architecture) as made:
        functions = json.loads((made / TEMPLATE).read_text("utf-8"))
        resources = json.loads(project.template())
        template = pipeline_template.merged(functions, resources, stage, parameters)
        zip_file = deployment_zip.finished(made / ZIP, requirements)
    script = deploy_script.script(stage, parameters, project.tags(stage))
    text = json.dumps(template, indent=2) + "\n"
    return {ZIP: zip_file, TEMPLATE: text.encode(), deploy_script.NAME: script.encode()}


def _check_pip() -> None:
    """Older versions of pip ignore the hashes in a constraints file, and then accept no wheel."""
    found = version("pip")
    if tuple(map(int, re.findall(r"\d+", found)[:2])) < _OLDEST_PIP:
        raise CannotGoOn(
            f"pip {found} is too old to check the hashes of every package: run "
            f"`{sys.executable} -m pip install --upgrade pip`."
        )


def _check_chalice() -> None:
    """Chalice's runtime ships, so it must be the version that is pinned with its hashes."""
    found = f"chalice=={version('chalice')}"
    if found not in (project.root() / "requirements-run.txt").read_text("utf-8").split():
        raise CannotGoOn(
            f"{found} is installed, and its runtime would ship, but requirements-run.txt pins "
            "another version: package from the .venv that `make install` creates."
        )


def _parameters(stage: Stage) -> Mapping[str, str]:
    if stage.is_local:
        raise CannotGoOn(f"The stage {stage.name} runs on this machine: name a stage to deploy.")
    return project.stack_parameters(stage.names.stage)


def _warn_of_header(stage: str, shell: Shell) -> None:
    header = project.environment(stage).get("PLATFORM_HEADER", "").strip()
    if header not in {"", "-", "ssm"}:
        shell.say(
            f"{TEMPLATE} contains the platform's header, which everybody who gets the package can "
            "read: keep it in Parameter Store (set PLATFORM_HEADER to ssm, see docs/settings.md)"
        )


def _put(out: Path, contents: Mapping[str, bytes], shell: Shell) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (out / name).write_bytes(content)
            shell.say(f"wrote {out / name}, {len(content) / 1_000_000:.1f} MB")
    except OSError as error:
        raise CannotGoOn(
            f"{out} cannot be written to ({error.strerror}): name another folder."
        ) from error
