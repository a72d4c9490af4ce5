"""The decision records are complete: numbers without gaps, complete heads, and an index."""

import re
from pathlib import Path

import pytest

from tests.decisions import INDEX, NEVER, index_with, read, records

HEAD = "# 7. One policy\n\n- Status: accepted\n- Date: 2026-11-24\n\n"


def test_the_numbers_have_no_gap() -> None:
    """Numbers that the index lists as never used do not count."""
    numbers = [each.number for each in records()]
    assert numbers == [number for number in range(1, numbers[-1] + 1) if number not in NEVER]
    said = re.findall(r"There is no (\d+)", INDEX.read_text("utf-8"))
    assert {int(number) for number in said} == NEVER


def test_the_index_lists_every_record_as_it_is() -> None:
    index = INDEX.read_text("utf-8")
    assert index == index_with(records(), index), "run python -m tests.decisions"


@pytest.mark.parametrize(
    "text",
    [
        HEAD.replace("- Status: accepted\n", ""),
        HEAD.replace("- Date: 2026-11-24\n", ""),
        HEAD.replace("accepted", "done"),
        HEAD.replace("2026-11-24", "today"),
        HEAD.replace("# 7. ", "# "),
        HEAD.replace("# 7", "# 8"),
    ],
)
def test_a_record_with_an_incomplete_head_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0007-one-policy.md"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"0007-one-policy\.md: "):
        read(path)


def test_a_status_may_say_more(tmp_path: Path) -> None:
    path = tmp_path / "0007-one-policy.md"
    for status in ("superseded by [decision 8](0008-two.md)", "accepted; rewritten for two tables"):
        path.write_text(HEAD.replace("accepted", status))
        assert read(path).status == status
