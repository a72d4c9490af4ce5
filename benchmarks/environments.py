"""The peers' environments under build/bench, made again if they are missing or the pins changed."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from batchback_ops import project

PEERS = Path(__file__).parent / "peers"
_MADE_FROM = "made-from"


class NotMade(Exception):
    """The text is the reason."""


def build_folder() -> Path:
    """The folder for everything that the benchmark can make again."""
    folder = project.root() / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def binaries(peer: str) -> Path:
    """Return the folder with the commands of a peer's environment; raise NotMade if it cannot be
    made."""
    folder = build_folder() / peer
    requirements = PEERS / peer / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / _MADE_FROM
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        _make(folder, requirements)
        stamp.write_text(wanted)
    return folder / "bin"


def _make(folder: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(folder))
    _run(
        *(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"),
        *("--disable-pip-version-check", "--no-deps", "-r", str(requirements)),
    )


def _run(*command: str) -> None:
    ran = subprocess.run(  # noqa: S603 - our own commands
        command, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise NotMade(ran.stderr.strip().rpartition("\n")[2] or f"{command[1:]} failed")
