"""Copies of this checkout, for anything that must not change it."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def names_in_git(*more: str) -> list[str]:
    """The files of this checkout that git tracks; `more` passes `git ls-files` options for other
    files too."""
    listed = subprocess.run(  # noqa: S603 - our own options
        ["git", "ls-files", "-z", "--cached", *more],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name]


def copy_to(folder: Path) -> Path:
    """Copy the files of this checkout that git tracks or would add, as they are now."""
    for source in (ROOT / name for name in names_in_git("--others", "--exclude-standard")):
        if source.exists():
            copy = folder / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    return folder
