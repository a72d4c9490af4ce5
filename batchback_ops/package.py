"""`batchback package`: what a pipeline deploys, the zip of the functions and one template of all,
with the script that deploys them.

It is made by `chalice package` from a copy of what ships and of nothing else, so that no file and
no variable of this machine slips in. The same checkout gives the same bytes.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from batchback.errors import CannotGoOn
from batchback.shell import Shell, Status

from batchback_ops import deploy_script, deployment_zip, pipeline_template, project
from batchback_ops.resources import parameters_of_stage
from batchback_ops.stage import add_stage
from chalicelib.settings import VARIABLES

ARCHITECTURES = ("arm64", "x86_64")
ZIP = "deployment.zip"
TEMPLATE = "sam.json"
SCRIPT = "deploy.sh"

_OLDEST_PIP = (26, 1)
#: So that no region and no account has to be at hand: the template names neither.
_NO_AWS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


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
    with _chalice_package(stage, options.architecture) as made:
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
    _put(out, {ZIP: content, TEMPLATE: text.encode(), SCRIPT: script.encode()}, shell)
    _warn_of_header(stage, shell)
    shell.print_json(
        {
            "zip": os.fspath(out / ZIP),
            "template": os.fspath(out / TEMPLATE),
            "script": os.fspath(out / SCRIPT),
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
    parameters = parameters_of_stage(stage)
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


@contextmanager
def _chalice_package(stage: str, architecture: str | None) -> Iterator[Path]:
    """The folder of what `chalice package` makes, for a while."""
    with tempfile.TemporaryDirectory(prefix="batchback-") as folder:
        copy, made = Path(folder, "copy"), Path(folder, "made")
        copy_what_ships(copy, stage, architecture)
        _run_chalice(copy, made, stage)
        yield made


def copy_what_ships(copy: Path, stage: str, architecture: str | None = None) -> None:
    """Makes a folder in which Chalice finds the application, for one stage, and nothing else."""
    root = project.root()
    shutil.copytree(
        root / "chalicelib",
        copy / "chalicelib",
        ignore=lambda folder, names: [name for name in names if not _ships(Path(folder, name))],
    )
    for name in ("app.py", "requirements.txt"):
        shutil.copy(root / name, copy)
    (copy / ".chalice").mkdir()
    for policy in root.glob(f".chalice/policy-{stage}-*.json"):
        shutil.copy(policy, copy / ".chalice")
    text = json.dumps(_configuration(stage, architecture))
    (copy / ".chalice" / "config.json").write_text(text, "utf-8")


def _ships(path: Path) -> bool:
    """Python alone: an editor's back-up, a test's output or an old byte code does not."""
    return path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))


def _configuration(stage: str, architecture: str | None) -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads(json.dumps(project.configuration()))
    if architecture:
        configuration["stages"][stage]["lambda_architecture"] = architecture
    return configuration


def _run_chalice(copy: Path, made: Path, stage: str) -> None:
    command = "import sys; from chalice.cli import main; sys.exit(main())"
    ran = subprocess.run(  # noqa: S603 - our own interpreter, and the checkout's own code
        [sys.executable, "-c", command, "package", "--stage", stage, os.fspath(made)],
        cwd=copy,
        env=_environment(os.environ, copy),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise CannotGoOn(f"`chalice package` failed: {_last_line(ran.stderr + ran.stdout)}")


def _environment(environ: Mapping[str, str], copy: Path) -> dict[str, str]:
    """Without what would find its way into the template, or change where modules come from. No
    byte code is written, which Chalice would ship; and pip checks the hashes of all it fetches,
    which Chalice by itself has it do the first time only."""
    settings = {variable.name for variable in VARIABLES}
    kept = {
        name: value
        for name, value in environ.items()
        if name not in settings and not re.match(r"AWS_|CHALICE_|PYTHON", name)
    }
    pins = os.fspath(copy / "requirements.txt")
    return {**kept, **_NO_AWS, "PYTHONDONTWRITEBYTECODE": "1", "PIP_CONSTRAINT": pins}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it does not say why"])[-1]
