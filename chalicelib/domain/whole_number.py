"""Whole numbers in callers' JSON: 10 or 10.0, which are the same in JSON."""

from typing import TypeGuard


def why_not_whole(value: object, low: int, high: int) -> list[str]:
    """Return why a value is not a whole number in this range; an empty list if it is one."""
    if _is_number(value) and low <= value <= high and not value % 1:
        return []
    return [f"must be a whole number from {low} to {high}"]


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
