"""The zip that Lambda gets, made of the one that `chalice package` leaves.

Byte code is put in for every file: Lambda's disk cannot be written to, so without it each cold
start would compile all that it imports. `unchecked-hash`: no source has to be looked at.
https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation
"""

import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from batchback.errors import CannotGoOn

#: Where Lambda unpacks it: what tracebacks say.
_TASK_ROOT = "/var/task"
#: The oldest that a zip can say; the same for every file, so that the same files give the same zip.
_DATE = (1980, 1, 1, 0, 0, 0)
_READABLE_FILE = 0o100644 << 16
_UNIX = 3
#: A name, and the version it is pinned to.
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*==\s*([^\s;\\#]+)", re.MULTILINE)
_DIST_INFO = re.compile(r"([^/]+)-([^/-]+)\.dist-info/METADATA")


def finished(chalice_zip: Path, requirements: str) -> bytes:
    """The zip with byte code, in an order and with dates of its own; CannotGoOn where it holds
    other dependencies than the requirements pin."""
    with tempfile.TemporaryDirectory(prefix="batchback-") as folder:
        with zipfile.ZipFile(chalice_zip) as archive:
            archive.extractall(folder)
            shipped = {*_distributions(archive.namelist())}
        _compare(shipped, {*_pinned(requirements)})
        _compile(folder)
        return _zipped(Path(folder))


def _compare(shipped: set[str], pinned: set[str]) -> None:
    """Chalice drops a dependency for which it finds no wheel, with a message and exit status 0; and
    what a dependency brings with it, it takes in any version."""
    if missing := sorted(pinned - shipped):
        raise CannotGoOn(
            f"No wheel of {', '.join(missing)} fits Lambda's Python "
            f"{sys.version_info.major}.{sys.version_info.minor}, or none could be fetched: the zip "
            "would be without it. Pin a version in requirements.txt that has one (manylinux, for "
            "the architecture)."
        )
    if unpinned := sorted(shipped - pinned):
        raise CannotGoOn(
            f"requirements.txt does not pin {', '.join(unpinned)}, which its packages bring with "
            "them: add it there."
        )


def _pinned(requirements: str) -> Iterator[str]:
    for name, version in _PINNED.findall(requirements):
        yield f"{_canonical(name)}=={version}"


def _distributions(names: list[str]) -> Iterator[str]:
    """What is installed in the zip, as each says of itself."""
    for name in names:
        if found := _DIST_INFO.fullmatch(name):
            yield f"{_canonical(found[1])}=={found[2]}"


def _canonical(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def _compile(folder: str) -> None:
    """In a process of its own with a fixed seed: sets are written in the order of their hashes."""
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", folder, "-p", _TASK_ROOT]
    environ = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "compileall", *options, folder],
        env={**environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        said = " ".join(ran.stdout.split())
        raise CannotGoOn(
            f"Not all of the zip is Python {sys.version_info.major}: {said}: correct it."
        )


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = _READABLE_FILE
                entry.create_system = _UNIX
                archive.writestr(entry, path.read_bytes())
    return content.getvalue()
