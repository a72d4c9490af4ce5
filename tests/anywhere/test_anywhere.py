"""The places cover what they claim to cover, and what cannot be tested is reported."""

import re
import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import pytest

from tests.anywhere import clock, pythons
from tests.anywhere.__main__ import LEFT_OUT
from tests.anywhere.places import PLACES
from tests.anywhere.users import MYSELF
from tests.checkout import ROOT

OF_TWO = ("zone", "is_ordinary_user", "is_backwards", "folder")


@pytest.mark.parametrize("pair", [*combinations(OF_TWO, 2)], ids=" and ".join)
def test_any_two_meet_in_all_four_combinations(pair: tuple[str, str]) -> None:
    met = {tuple(getattr(place, name) for name in pair) for place in PLACES}
    assert len(met) == 4


@pytest.mark.parametrize(("python", "name"), [*product(("3.11", "3.12", "3.13"), OF_TWO)])
def test_each_python_meets_both_values_of_each(python: str, name: str) -> None:
    assert len({getattr(place, name) for place in PLACES if place.python == python}) == 2


def test_what_is_left_out_reads_no_clock_of_the_machine() -> None:
    """Neither does the service in it, which gets the time from a port."""
    left_out = [path for path in (ROOT / LEFT_OUT).glob("*.py") if path.name != "__main__.py"]
    of_the_service = [*(ROOT / "chalicelib" / "operations").rglob("*.py")]
    of_the_service += (ROOT / "chalicelib" / "domain").rglob("*.py")
    reads = re.compile(
        r"^(import|from) time\b|\bdatetime\.(now|utcnow|today)\(|\bdate\.today\(", re.M
    )
    assert len(left_out) > 20
    assert len(of_the_service) > 20
    assert [
        path for path in left_out + of_the_service if reads.search(path.read_text("utf-8"))
    ] == []


def test_a_program_starts_at_the_given_time(tmp_path: Path) -> None:
    try:
        library = clock.make_library(tmp_path)
    except clock.NoOtherClock as error:
        pytest.skip(str(error))
    shown = subprocess.run(
        [sys.executable, "-c", "import datetime; print(datetime.datetime.now(datetime.UTC))"],
        env=clock.variables(library, "2038-01-20 12:00:00"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.startswith("2038-01-20 12:")


def test_a_missing_python_is_reported_and_the_running_one_is_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pythons.find("2.99", MYSELF) == (Path(sys.executable), MYSELF)
    told = "Not tested: Python 2.99 run by the current user, because there is none on this machine."
    assert capsys.readouterr().out == f"{told}\n"


def test_unreadable_folders_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other users cannot read root's folders. For root, only a name that is too long fails."""
    monkeypatch.setenv("PYENV_ROOT", "/" + "x" * 300)
    assert pythons.find("2.99", MYSELF) == (Path(sys.executable), MYSELF)


def test_without_a_compiler_there_is_no_shifted_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(clock.NoOtherClock, match="there is no C compiler"):
        clock.make_library(tmp_path)
