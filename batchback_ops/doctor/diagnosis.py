"""The outcome of a check: what it found, or what is wrong and its remedy.

A check returns what it found, as a text for people. It raises Wrong if something is wrong, and
Skipped if it cannot check. A call that AWS refuses counts as wrong, with the sentence from Stage.
"""

from collections.abc import Callable
from dataclasses import dataclass

from batchback.errors import CannotGoOn

from batchback_ops.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of a diagnosis."""

    name: str
    run: Callable[[], str]


class Wrong(Exception):
    """Something is wrong, and `remedy` says what to run or do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


class Skipped(Exception):
    """It cannot be checked. The text says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of a check."""

    check: str
    #: None: it was skipped.
    ok: bool | None
    found: str
    #: None: nothing is wrong, or `found` contains it already.
    remedy: str | None = None

    @property
    def line(self) -> str:
        """For people."""
        verdict = {True: "ok", False: "WRONG", None: "skipped"}[self.ok]
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return f"{verdict} {self.check}: {self.found}{remedy}"

    def as_json(self) -> dict[str, object]:
        """For programs, which read the same fields."""
        return {"check": self.check, "ok": self.ok, "found": self.found, "remedy": self.remedy}


def find(check: Check, stage: Stage) -> Finding:
    """Run a check. It never raises because of AWS, the network or the service."""
    try:
        with stage.explained_errors():
            found = check.run()
    except Wrong as wrong:
        return Finding(check=check.name, ok=False, found=wrong.found, remedy=wrong.remedy)
    except Skipped as skipped:
        return Finding(check=check.name, ok=None, found=str(skipped))
    except CannotGoOn as reason:
        return Finding(check=check.name, ok=False, found=str(reason))
    return Finding(check=check.name, ok=True, found=found)
