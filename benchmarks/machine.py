"""The machine and the versions that a result was measured with."""

import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from batchback_ops import project
from benchmarks.environments import PEERS

_OURS = ("boto3", "botocore", "chalice", "moto", "pydantic", "requests", "urllib3")
_THEIRS = ("arq", "celery", "dramatiq", "rq", "taskiq", "aiohttp", "uvloop")


def about(command: str) -> dict[str, object]:
    return {
        "command": command,
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": {
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "python": platform.python_version(),
            "commit": _first_line("git", "rev-parse", "--short", "HEAD"),
            "redis-server": _redis(),
            **{name: metadata.version(name) for name in _OURS},
            **_pins_of_peers(),
        },
    }


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _redis() -> str | None:
    if shutil.which("redis-server") is None:
        return None
    return re.sub(r".*v=(\S+).*", r"\1", _first_line("redis-server", "--version"))


def _first_line(*command: str) -> str:
    ran = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=project.root(), capture_output=True, text=True, check=False
    )
    return ran.stdout.partition("\n")[0]


def _pins_of_peers() -> dict[str, str]:
    lines = {
        line
        for file in PEERS.glob("*/requirements.txt")
        for line in file.read_text("utf-8").split()
    }
    pins = dict(line.split("==") for line in sorted(lines))
    return {name: pins[name] for name in _THEIRS}
