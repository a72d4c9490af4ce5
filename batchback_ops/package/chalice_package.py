"""What `chalice package` makes of a clean copy of the checkout: the zip of the functions, and their
template.

The copy holds what ships and nothing else, so that no stray file and no variable of this machine
slips in.
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

#: The files, as Chalice calls them.
ZIP = "deployment.zip"
TEMPLATE = "sam.json"

#: So that no region and no account has to be at hand: the template names neither.
_NO_AWS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@contextmanager
def chalice_package(stage: str, architecture: str | None) -> Iterator[Path]:
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
        raise CannotGoOn(f"`chalice package` failed: {what_failed(ran.stderr, ran.stdout)}")


def _environment(environ: Mapping[str, str], copy: Path) -> dict[str, str]:
    """Without what would find its way into the template, or change where modules come from. No
    byte code is written, which Chalice would ship. pip checks the hashes of all it fetches, which
    Chalice by itself has it do the first time only; and it builds nothing, because a build would
    fetch and run what nobody pinned."""
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
    """The error, without the traceback before it and the warnings in it; if there is none, the last
    words."""
    _, _, trace = stderr.rpartition(_TRACEBACK)
    lines = [line for line in trace.splitlines() if line.strip() and not line[0].isspace()]
    if not lines:
        return (stdout.strip().splitlines() or ["it does not say why"])[-1]
    named = _EXCEPTION.fullmatch(lines[0])
    name, first = (named[1], named[2]) if named else ("", lines[0])
    said = [line for line in (first, *lines[1:]) if not line.startswith("WARNING: ")]
    hint = _OFFLINE if name == "PackageDownloadError" else ""
    return ": ".join(filter(None, [name, hint, " ".join(said)]))


_TRACEBACK = "Traceback (most recent call last):"
#: How Python ends a traceback: the kind without its module, and the text.
_EXCEPTION = re.compile(r"(?:\w+\.)*(\w+): (.*)")
_OFFLINE = "pip cannot fetch all that ships, so check the network and its index"
