"""What a check finds: what there is, or what is wrong and what mends it.

A check says in words what it found. Where that is wrong it raises Wrong, where it cannot be looked
at Skipped; what AWS refuses is wrong too, in Stage's own sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass

from batchback.errors import CannotGoOn

from batchback_ops.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of a diagnosis."""

    name: str
    look: Callable[[], str]


class Wrong(Exception):
    """Something is not as it must be, and `mend` says what to run or do."""

    def __init__(self, found: str, mend: str) -> None:
        super().__init__(found)
        self.found = found
        self.mend = mend


class Skipped(Exception):
    """It cannot be looked at; the text says what is missing for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of a check."""

    check: str
    #: None: it was skipped.
    ok: bool | None
    found: str
    #: None: nothing to mend, or `found` says it already.
    mend: str | None = None

    @property
    def line(self) -> str:
        """For people."""
        verdict = {True: "ok", False: "WRONG", None: "skipped"}[self.ok]
        mend = f" -> {self.mend}" if self.mend else ""
        return f"{verdict} {self.check}: {self.found}{mend}"


def find(check: Check, stage: Stage) -> Finding:
    """Never raises for anything that AWS, the network or the service can do."""
    try:
        with stage.in_words():
            found = check.look()
    except Wrong as wrong:
        return Finding(check=check.name, ok=False, found=wrong.found, mend=wrong.mend)
    except Skipped as skipped:
        return Finding(check=check.name, ok=None, found=str(skipped))
    except CannotGoOn as reason:
        return Finding(check=check.name, ok=False, found=str(reason))
    return Finding(check=check.name, ok=True, found=found)
