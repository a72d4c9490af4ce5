"""The Pythons of this machine, and environments made with them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.anywhere.users import MYSELF, User


def find(version: str, user: User) -> tuple[Path, User]:
    """Find a Python of this version that the user can run. Without one, fall back to one that the
    current user can run, and then to the Python that runs this; print what is missing."""
    for who in dict.fromkeys([user, MYSELF]):
        for python in _all_of(version):
            if _runs(python, who):
                return python, who
        print(f"Not tested: Python {version} run by {who}, because there is none on this machine.")
    return Path(sys.executable), MYSELF


def _all_of(version: str) -> Iterator[Path]:
    """The Pythons on the path, and those of pyenv, which adds only the chosen ones to the path."""
    folders = [*map(Path, os.get_exec_path())]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    with suppress(OSError):  # another user's may not be readable
        folders += pyenv.glob(f"versions/{version}.*/bin")
    return (folder / f"python{version}" for folder in folders)


def _runs(python: Path, user: User) -> bool:
    command = [str(python), "-c", "import ensurepip, venv"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, **user.options)  # noqa: S603
    except OSError:
        return False
    return done.returncode == 0


def make_environment(python: Path, checkout: Path, shims: Path) -> None:
    """Make the checkout's `.venv` with everything that the tests need, as make does with this
    Python."""
    shims.mkdir()
    (shims / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    (shims / "python3").chmod(0o755)
    path = os.pathsep.join([str(shims), *os.get_exec_path()])
    command = ["make", ".venv/.dev-stamp"]
    subprocess.run(command, cwd=checkout, env=os.environ | {"PATH": path}, check=True)  # noqa: S603
