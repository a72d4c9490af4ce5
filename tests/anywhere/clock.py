"""A shifted clock for programs that are started with it."""

import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

_SOURCE = Path(__file__).with_name("shift.c")
_A_DAY = 86_400


class NoOtherClock(Exception):
    """This machine cannot shift the clock; the text says what it lacks."""


def make_library(folder: Path) -> Path:
    """Compile the library that shifts the clock into the folder, and try it."""
    library = folder / "shift.so"
    _compile(library)
    if _now(library, _A_DAY) - _now(library, 0) < _A_DAY / 2:
        raise NoOtherClock(f"{library} cannot be preloaded on this machine")
    return library


def _now(library: Path, seconds: int) -> float:
    """The time that a program sees if its clock is shifted this much."""
    shown = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env=_variables(library, seconds),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(shown.stdout)


def _compile(library: Path) -> None:
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise NoOtherClock("there is no C compiler, `cc`, to make the clock with") from None
    if done.returncode:
        raise NoOtherClock(f"`cc` cannot make the clock: {done.stderr}")


def variables(library: Path, shown: str) -> dict[str, str]:
    """Variables with which a program starts at this time, in UTC."""
    moment = datetime.fromisoformat(shown).replace(tzinfo=UTC)
    return _variables(library, math.ceil(moment.timestamp() - _now(library, 0)))


def _variables(library: Path, seconds: int) -> dict[str, str]:
    return {"LD_PRELOAD": str(library), "SHIFT_SECONDS": str(seconds)}
