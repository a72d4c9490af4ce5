"""Runs `chalice package` on a clean copy of the checkout, for the zip of the functions and their
template.

The copy contains only what ships, so that stray files and variables of this machine are never
included.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batchback.errors import CannotGoOn

from batchback_ops import project
from chalicelib.settings import VARIABLES

#: The files' names, given by Chalice.
ZIP = "deployment.zip"
TEMPLATE = "sam.json"

#: Chalice needs no real region or account, because the template names neither.
_NO_AWS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@contextmanager
def chalice_package(stage: str, architecture: str | None) -> Iterator[Path]:
    """The folder with the output of `chalice package`, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="batchback-") as folder:
        copy, made = Path(folder, "copy"), Path(folder, "made")
        copy_what_ships(copy, stage, architecture)
        _run_chalice(copy, made, stage)
        yield made


def copy_what_ships(copy: Path, stage: str, architecture: str | None = None) -> None:
    """Create a folder that contains only what Chalice needs to package one stage."""
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
    """Only Python files ship: no editor's backup, test output or old byte code."""
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
        raise CannotGoOn(f"`chalice package` failed: {what_failed(ran.stderr, ran.stdout)}")


def _environment(environ: Mapping[str, str], copy: Path) -> dict[str, str]:
    """The environment for Chalice, without variables that would get into the template or change
    where modules come from. Python writes no byte code, because Chalice would ship it. pip checks
    the hashes of everything it downloads; Chalice alone would have it do so only the first time.
    pip builds nothing, because a build would download and run code that is not pinned."""
    settings = {variable.name for variable in VARIABLES}
    kept = {
        name: value
        for name, value in environ.items()
        if name not in settings and not re.match(r"AWS_|CHALICE_|PYTHON", name)
    }
    pins = os.fspath(copy / "requirements.txt")
    return {
        **kept,
        **_NO_AWS,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_CONSTRAINT": pins,
        "PIP_ONLY_BINARY": ":all:",
    }


def what_failed(stderr: str, stdout: str) -> str:
    """The error without its traceback and without warnings. If there is no error, the last line of
    the output."""
    _, _, trace = stderr.rpartition(_TRACEBACK)
    lines = [line for line in trace.splitlines() if line.strip() and not line[0].isspace()]
    if not lines:
        return (stdout.strip().splitlines() or ["it gives no reason"])[-1]
    named = _EXCEPTION.fullmatch(lines[0])
    name, first = (named[1], named[2]) if named else ("", lines[0])
    said = [line for line in (first, *lines[1:]) if not line.startswith("WARNING: ")]
    hint = _OFFLINE if name == "PackageDownloadError" else ""
    return ": ".join(filter(None, [name, hint, " ".join(said)]))


_TRACEBACK = "Traceback (most recent call last):"
#: The last line of a traceback: the exception's name without its module, and its text.
_EXCEPTION = re.compile(r"(?:\w+\.)*(\w+): (.*)")
_OFFLINE = "pip cannot download every package, so check the network and pip's index"
