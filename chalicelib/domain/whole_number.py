"""Whole numbers as callers write them: 10 or 10.0, which are the same to JSON."""

from typing import TypeGuard


def why_not_whole(value: object, low: int, high: int) -> list[str]:
    """Why this is no whole number of a range; nothing: it is one."""
    if _is_number(value) and low <= value <= high and not value % 1:
        return []
    return [f"must be a whole number from {low} to {high}"]


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
