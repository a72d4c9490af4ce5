"""Jobs that the fake platform echoes, and the answers to them."""

from typing import Any


def jobs(total: int, action: str = "work") -> list[Any]:
    return [{"namespace": "story", "action": action, "params": {"n": n}} for n in range(total)]


def echoes(total: int) -> list[Any]:
    return [{"echo": {"n": n}} for n in range(total)]
