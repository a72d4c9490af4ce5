"""Runs the suite in each place, or once here, and reports the results."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.anywhere import clock, pythons
from tests.anywhere.places import ENVIRONMENT, PLACES, Place
from tests.anywhere.users import MYSELF, ORDINARY
from tests.checkout import ROOT, copy_to

_MAKE_TEST = ["make", "test"]
#: The place of `--here`.
_CLOCK, _ZONE = "2031-12-31 23:59:30", "Pacific/Kiritimati"
#: Left out with `--here`: it reads no clock but its own, and takes a sixth of the time.
LEFT_OUT = "tests/simulation"
#: How many lines of failing tests' output are shown.
_LAST_LINES = 100


def main() -> int:
    """Return the exit status: 0 if all tests passed everywhere."""
    parser = argparse.ArgumentParser(prog="python -m tests.anywhere", description=__doc__)
    parser.add_argument("--here", action="store_true", help="once, in this checkout")
    is_here = parser.parse_args().here
    os.umask(0o022)  # an ordinary user has to read all this
    with tempfile.TemporaryDirectory(prefix="anywhere-") as folder:
        Path(folder).chmod(0o755)
        workshop = Workshop(Path(folder))
        return workshop.run_here() if is_here else workshop.run_everywhere()


class Workshop:
    """A folder with everything that is made for the places."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = _make_clock(folder)

    def run_here(self) -> int:
        print(f"{_CLOCK} UTC, {_ZONE}:", flush=True)
        variables = {
            "TZ": _ZONE,
            "PYTEST_ADDOPTS": f"--ignore {LEFT_OUT}",
            "TMPDIR": str(self._folder),
            **self._from(_CLOCK),
        }
        return subprocess.run(  # noqa: S603 - our own tests
            _MAKE_TEST, cwd=ROOT, env=os.environ | variables, check=False
        ).returncode

    def run_everywhere(self) -> int:
        return max([self._run_in(number, place) for number, place in enumerate(PLACES, 1)])

    def _run_in(self, number: int, place: Place) -> int:
        print(f"\n{number} of {len(PLACES)}: {place}", flush=True)
        folder = self._folder / f"{number}"
        checkout = copy_to(folder / place.folder)
        user = ORDINARY if place.is_ordinary_user else MYSELF
        python, user = pythons.find(place.python, user)
        pythons.make_environment(python, checkout, folder / "bin")
        user.take(folder)
        done = subprocess.run(  # noqa: S603 - our own tests
            _MAKE_TEST,
            cwd=checkout,
            env=self._variables(place, folder),
            umask=place.umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
            **user.options,
        )
        lines = done.stdout.splitlines()
        print("\n".join(lines[-_LAST_LINES:] if done.returncode else lines[-1:]), flush=True)
        shutil.rmtree(folder)
        return done.returncode

    def _variables(self, place: Place, folder: Path) -> dict[str, str]:
        of_the_place = {
            "TZ": place.zone,
            "LC_ALL": place.locale,
            "PYTHONHASHSEED": place.hash_seed,
            "PYTEST_ADDOPTS": "-p tests.anywhere.backwards" if place.is_backwards else "",
            "TMPDIR": str(folder),
        }
        return os.environ | ENVIRONMENT | of_the_place | self._from(place.clock)

    def _from(self, shown: str) -> dict[str, str]:
        return clock.variables(self._library, shown) if self._library else {}


def _make_clock(folder: Path) -> Path | None:
    try:
        return clock.make_library(folder)
    except clock.NoOtherClock as error:
        print(f"Not tested: another date than today's, because {error}.")
        return None


if __name__ == "__main__":
    sys.exit(main())
