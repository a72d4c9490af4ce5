"""Measure what a function imports before its first answer, with `python -X importtime`.

The code is laid out as in Lambda: app.py, chalicelib and the packages of requirements.txt and
Chalice in one folder, boto3 in another. Chalice zips no byte code and Lambda's folder is read-only,
so each cold start compiles the code again, unless a pipeline has compiled it beforehand. Both cases
are measured. Lambda's own boto3 is always compiled.

The time counts all imports until the function's clients and operations exist. The floor is the
minimum that every such service imports: Chalice, the same two botocore clients, and requests.
"""

import compileall
import importlib
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from batchback_ops import project
from benchmarks import environments

_FLOOR = "minimum"
#: What the floor imports and the package does not contain.
_OF_THE_FLOOR = ("charset-normalizer", "idna", "requests")
#: What Lambda's runtime brings.
_OF_LAMBDA = ("botocore", "dateutil", "jmespath", "six", "urllib3")
_CLIENTS = (
    "import botocore.session; session = botocore.session.get_session(); "
    "[session.create_client(name) for name in ('dynamodb', 'sqs')]"
)
_SERVICE = "import app; from chalicelib import wiring; service = wiring.service()"
#: What each process runs; `api` imports the rest at its first request.
_PROGRAMS = {
    _FLOOR: f"import chalice, requests; {_CLIENTS}",
    "api": f"{_SERVICE}; service.api",
    "run_jobs": f"{_SERVICE}; service.runner",
    "advance_batch": f"{_SERVICE}; service.advancer",
    "call_back": f"{_SERVICE}; service.delivery",
    "bury_jobs": f"{_SERVICE}; service.burier",
    "sweep": f"{_SERVICE}; service.sweeper",
}
_TOP = 6
#: `import time:  self [us] | cumulative | name`, nested by two spaces.
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")


def measure(*, repeats: int) -> dict[str, Any]:
    """Return, for each function, the median import time in milliseconds and its ratio to the floor
    of the same round; and the slowest imports of run_jobs."""
    folders = {"compiled": _folder("compiled"), "sources": _folder("sources")}
    compileall.compile_dir(folders["compiled"], quiet=2)
    _compile_runtime()
    rounds = [
        {
            (way, name): _imports(folder, name)
            for way, folder in folders.items()
            for name in _PROGRAMS
        }
        for _ in range(repeats)
    ]
    found = {way: {name: _summary(rounds, way, name) for name in _PROGRAMS} for way in folders}
    return {
        **found,
        "import_ratio": found["compiled"]["run_jobs"]["ratio"],
        "modules_in_run_jobs": len(rounds[0]["compiled", "run_jobs"]),
        "top": _culprits(rounds[0]["compiled", "run_jobs"]),
    }


def _folder(name: str) -> Path:
    """Make a folder as Lambda would unpack it, from the packages of this environment."""
    folder = environments.build_folder() / "task" / name
    shutil.rmtree(folder, ignore_errors=True)
    without_bytecode = shutil.ignore_patterns("__pycache__")
    root = project.root()
    shutil.copytree(root / "chalicelib", folder / "chalicelib", ignore=without_bytecode)
    shutil.copy(root / "app.py", folder)
    for file in _files():
        (folder / str(file)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(file.locate()), folder / str(file))
    return folder


def _compile_runtime() -> None:
    for name in _OF_LAMBDA:
        file = Path(str(importlib.import_module(name).__file__))
        if file.name == "__init__.py":
            compileall.compile_dir(file.parent, quiet=2)
        else:
            compileall.compile_file(file, quiet=2)


def _files() -> Iterator[metadata.PackagePath]:
    """Return the packages that requirements.txt and the floor need, and the two files that Chalice
    adds to every package."""
    lines = (project.root() / "requirements.txt").read_text("utf-8").splitlines()
    shipped = [line.split("==")[0] for line in lines if "==" in line]
    for package in (*shipped, *_OF_THE_FLOOR):
        for file in metadata.files(package) or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                yield file
    for file in metadata.files("chalice") or []:
        if str(file) in {"chalice/__init__.py", "chalice/app.py"}:
            yield file


def _imports(folder: Path, name: str) -> list[tuple[str, int, int]]:
    """Return every import of a program: its name, depth, and own microseconds."""
    ran = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-B", "-X", "importtime", "-c", _PROGRAMS[name]],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return [
        (match[4], len(match[3]) // 2, int(match[1]))
        for match in map(_LINE.match, ran.stderr.splitlines())
        if match
    ]


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder),
        "STAGE": "bench",
        "PLATFORM_ADDRESS": "https://api.example.com",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
    }


def _summary(rounds: list[dict[tuple[str, str], Any]], way: str, name: str) -> dict[str, float]:
    times = [_total_ms(each[way, name]) for each in rounds]
    floors = [_total_ms(each[way, _FLOOR]) for each in rounds]
    ratios = [time / floor for time, floor in zip(times, floors, strict=True)]
    return {"ms": statistics.median(times), "ratio": statistics.median(ratios)}


def _total_ms(imports: list[tuple[str, int, int]]) -> float:
    return sum(own for _, _, own in imports) / 1000


def _culprits(imports: list[tuple[str, int, int]]) -> list[dict[str, Any]]:
    """Return the packages that take the most time themselves, with each part of chalicelib
    separate."""
    times: Counter[str] = Counter()
    for name, _, own in imports:
        parts = name.split(".")
        times[".".join(parts[: 2 if parts[0] == "chalicelib" else 1])] += own
    return [{"package": name, "ms": own / 1000} for name, own in times.most_common(_TOP)]
