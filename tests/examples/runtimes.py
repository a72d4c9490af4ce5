"""What the example receivers need on a machine."""

import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def needed(program: str) -> str:
    """The path of the program. Without it the test is skipped, and the end of the run says so."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not on this machine: .ci/run installs it")
    return found


def built(source: str, program: Path) -> str:
    """The program that Go builds from a file."""
    subprocess.run(  # noqa: S603 - our own examples
        [needed("go"), "build", "-o", str(program), source], check=True
    )
    return str(program)
