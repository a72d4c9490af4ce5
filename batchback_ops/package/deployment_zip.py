"""The zip for Lambda, made from the one that `chalice package` writes.

Byte code is added for every file: Lambda's disk is read-only, so without it each cold start would
compile everything it imports. With `unchecked-hash`, Python does not have to read the sources.
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

#: Where Lambda unpacks the zip, for the paths in tracebacks.
_TASK_ROOT = "/var/task"
#: The oldest date of a zip. All files have the same, so that the same files give the same zip.
_DATE = (1980, 1, 1, 0, 0, 0)
_READABLE_FILE = 0o100644 << 16
_UNIX = 3
#: A package's name, and the version it is pinned to.
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*==\s*([^\s;\\#]+)", re.MULTILINE)
_DIST_INFO = re.compile(r"([^/]+)-([^/-]+)\.dist-info/METADATA")


def finished(chalice_zip: Path, requirements: str) -> bytes:
    """The zip with byte code, with the files in a fixed order and with fixed dates. CannotGoOn if
    its dependencies are not those that the requirements pin."""
    with tempfile.TemporaryDirectory(prefix="batchback-") as folder:
        with zipfile.ZipFile(chalice_zip) as archive:
            archive.extractall(folder)
            shipped = {*_distributions(archive.namelist())}
        _compare(shipped, {*_pinned(requirements)})
        _compile(folder)
        return _zipped(Path(folder))


def _compare(shipped: set[str], pinned: set[str]) -> None:
    """Refuse a zip in which a pinned dependency is missing, or another is included. Chalice drops a
    dependency that has no suitable wheel, with exit status 0, and installs a dependency's own
    dependencies in any version."""
    if missing := sorted(pinned - shipped):
        raise CannotGoOn(
            f"No wheel of {', '.join(missing)} for Lambda's Python "
            f"{sys.version_info.major}.{sys.version_info.minor} could be downloaded, so the zip "
            "would lack it: pin a version in requirements.txt that has a manylinux wheel "
            "for the architecture."
        )
    if unpinned := sorted(shipped - pinned):
        raise CannotGoOn(
            f"requirements.txt does not pin {', '.join(unpinned)}, which its packages depend on: "
            "add it there."
        )


def _pinned(requirements: str) -> Iterator[str]:
    for name, version in _PINNED.findall(requirements):
        yield f"{_canonical(name)}=={version}"


def _distributions(names: list[str]) -> Iterator[str]:
    """The packages in the zip with their versions, from their own metadata."""
    for name in names:
        if found := _DIST_INFO.fullmatch(name):
            yield f"{_canonical(found[1])}=={found[2]}"


def _canonical(name: str) -> str:
    """The normalized name of a package.
    https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def _compile(folder: str) -> None:
    """Compile in a process with a fixed hash seed, because byte code contains sets in the order of
    their hashes."""
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
            f"A file in the zip is not valid Python {sys.version_info.major}, so correct it: {said}"
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
