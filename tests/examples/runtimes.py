"""What the examples for receivers need on a machine."""

import shutil
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def needed(program: str) -> str:
    """Where the program is. Without it the test is skipped, which the end of the run says."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not on this machine: .ci/run installs it")
    return found


def built(source: str, program: Path) -> str:
    """The program that Go makes of a file."""
    subprocess.run(  # noqa: S603 - our own examples
        [needed("go"), "build", "-o", str(program), source], check=True
    )
    return str(program)
