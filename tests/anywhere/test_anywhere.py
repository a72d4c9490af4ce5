"""The places cover what they say they cover, and what cannot be shown is said."""

import subprocess
import sys
from itertools import combinations, product
from pathlib import Path

import pytest

from tests.anywhere import clock, pythons
from tests.anywhere.places import PLACES
from tests.anywhere.users import MYSELF

OF_TWO = ("zone", "is_ordinary_user", "is_backwards", "folder")


@pytest.mark.parametrize("pair", [*combinations(OF_TWO, 2)], ids=" and ".join)
def test_any_two_meet_in_all_four_ways(pair: tuple[str, str]) -> None:
    met = {tuple(getattr(place, name) for name in pair) for place in PLACES}
    assert len(met) == 4


@pytest.mark.parametrize(("python", "name"), [*product(("3.11", "3.12", "3.13"), OF_TWO)])
def test_each_python_meets_both_of_each(python: str, name: str) -> None:
    assert len({getattr(place, name) for place in PLACES if place.python == python}) == 2


def test_a_program_begins_when_its_clock_shows_that_date(tmp_path: Path) -> None:
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


def test_a_python_that_is_missing_is_said_and_the_one_that_runs_this_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pythons.find("2.99", MYSELF) == (Path(sys.executable), MYSELF)
    told = (
        "Not shown: Python 2.99 run by whoever starts this, because there is none on this machine."
    )
    assert capsys.readouterr().out == f"{told}\n"


def test_folders_that_cannot_be_read_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as those of root for anybody else; as root only a name that is too long fails too."""
    monkeypatch.setenv("PYENV_ROOT", "/" + "x" * 300)
    assert pythons.find("2.99", MYSELF) == (Path(sys.executable), MYSELF)


def test_a_machine_without_a_compiler_has_no_other_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(clock.NoOtherClock, match="there is no C compiler"):
        clock.make_library(tmp_path)
