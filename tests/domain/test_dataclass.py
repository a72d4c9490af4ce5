"""What the service's dataclasses promise."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.domain.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int = 0


@dataclass(slots=True, kw_only=True)
class Counter:
    count: int = 0


if TYPE_CHECKING:
    # mypy reports a comment that ignores nothing, so both lines must be errors.
    Point(x=1).x = 2  # type: ignore[misc]
    replace(Point(x=1), z=2)  # type: ignore[call-arg]


def test_values_are_equal_and_have_one_hash_if_their_fields_are_equal() -> None:
    assert {Point(x=1), Point(x=1, y=0)} == {Point(x=1)}
    assert Point(x=1) != Point(x=1, y=2)


def test_a_value_can_be_copied_with_a_change() -> None:
    assert replace(Point(x=1), y=2) == Point(x=1, y=2)


def test_a_value_has_no_attributes_besides_its_fields() -> None:
    with pytest.raises(AttributeError):
        setattr(Point(x=1), "z", 3)  # noqa: B010 - type checkers refuse it


def test_what_may_change_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Counter())
