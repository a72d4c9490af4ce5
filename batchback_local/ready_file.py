"""The ready file: where everything of a running service is, as JSON.

Whoever sees the file sees all of it. What is there and is no ready file is never touched.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchback_local.errors import CannotStart

#: What a ready file has, whatever version wrote it.
_OURS = {"awsEndpoint", "pid", "stage"}
#: None is longer.
_MOST_BYTES = 100_000


def remove(path: Path) -> None:
    """Of the run before this one; CannotStart if something else is there."""
    refuse_others(path)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error


def write(path: Path, content: Mapping[str, Any]) -> None:
    """CannotStart if it cannot be written, or something else has come to be there."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    refuse_others(path)
    try:
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
        raise CannotStart(f"--ready-file: {path} is there, and is not a ready file: name another.")


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
