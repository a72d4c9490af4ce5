"""The ready file: the addresses and names of a running service, as JSON.

A program that finds the file can read all of it. A file that is not a ready file is never touched.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchback_local.errors import CannotStart

#: Fields that the ready files of every version have.
_OURS = {"awsEndpoint", "pid", "stage"}
#: It contains secrets, and the console's token.
_FOR_ITS_OWNER = 0o600
#: No ready file is larger.
_MOST_BYTES = 100_000


def remove(path: Path) -> None:
    """Remove the ready file of an earlier run. CannotStart if the file is something else."""
    refuse_others(path)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write the ready file. CannotStart if it cannot be written, or if the file is something
    else."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    refuse_others(path)
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(_FOR_ITS_OWNER, exist_ok=False)  # not a file that somebody else put there
        unfinished.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise _unusable(path, error) from error


def refuse_others(path: Path) -> None:
    try:
        is_other = os.path.lexists(path) and not _is_ours(path)
    except OSError as error:
        raise _unusable(path, error) from error
    if is_other:
        raise CannotStart(f"--ready-file: {path} exists and is not a ready file: name another.")


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return False
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and content.keys() >= _OURS


def _unusable(path: Path, error: OSError) -> CannotStart:
    return CannotStart(f"--ready-file: {path} cannot be written ({error.strerror}): name another.")
