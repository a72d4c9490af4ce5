"""The table of mutants fits the current code; `make mutants` tries them."""

import ast
from pathlib import Path

import pytest

from batchback_ops import project
from tests.mutants import CannotTell, Mutant, mutants

ROOT = project.root()
ALL = mutants()


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.mistake)
def test_its_text_is_in_the_code_once_and_its_replacement_is_valid_code(mutant: Mutant) -> None:
    code = (ROOT / mutant.file).read_text("utf-8")
    broken = mutant.broken(code)
    assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(code))


def test_the_tests_that_must_detect_them_exist() -> None:
    for name in {name for mutant in ALL for name in mutant.seen_by}:
        file, _, test = name.partition("::")
        tests = ast.parse((ROOT / file).read_text("utf-8")).body
        assert not test or test in {getattr(each, "name", "") for each in tests}, name


def test_no_mistake_is_listed_twice() -> None:
    assert len({mutant.mistake for mutant in ALL}) == len(ALL)
    assert len({(mutant.file, mutant.text, mutant.becomes) for mutant in ALL}) == len(ALL)


@pytest.mark.parametrize("code", ["", "a = 1\na = 1\n"])
def test_a_text_that_does_not_occur_exactly_once_is_an_error(tmp_path: Path, code: str) -> None:
    mutant = Mutant(mistake="m", file="code.py", text="a = 1", becomes="a = 2", seen_by=[])
    (tmp_path / "code.py").write_text(code)
    with pytest.raises(CannotTell, match=r"m: its text occurs [02] times in code\.py"):
        mutant.break_in(tmp_path)
    assert (tmp_path / "code.py").read_text() == code
