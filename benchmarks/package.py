"""Measure the deployment package that `chalice package` makes; Lambda itself provides boto3.

This needs a package registry for the wheels of Lambda's architecture. It does not need AWS, because
nothing checks the region and the credentials.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from batchback_ops import project
from benchmarks import environments
from benchmarks.environments import NotMade

_STAGE = "prod"
_TIMEOUT_SECONDS = 300


def zip_bytes() -> int:
    """Return the size of the zip; raise NotMade if it cannot be made."""
    folder = environments.build_folder() / "package"
    checkout = environments.build_folder() / "checkout"
    for each in (folder, checkout):
        shutil.rmtree(each, ignore_errors=True)
    _copy(project.root(), checkout)
    _package(checkout, folder)
    return (folder / "deployment.zip").stat().st_size


def _copy(root: Path, checkout: Path) -> None:
    """Copy what Chalice packs, without stray files of the working tree."""
    leave_out = shutil.ignore_patterns("__pycache__", "deployments", "deployed")
    for name in (".chalice", "chalicelib"):
        shutil.copytree(root / name, checkout / name, ignore=leave_out)
    for name in ("app.py", "requirements.txt"):
        shutil.copy(root / name, checkout)


def _package(checkout: Path, folder: Path) -> None:
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    chalice = Path(sys.executable).parent / "chalice"
    try:
        ran = subprocess.run(  # noqa: S603 - Chalice's own command
            [str(chalice), "package", "--stage", _STAGE, str(folder)],
            cwd=checkout,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotMade(str(error)) from error
    if ran.returncode or "Could not install" in ran.stdout + ran.stderr:
        raise NotMade(f"chalice package failed: {(ran.stderr or ran.stdout).strip()[-300:]}")
