"""The accidents that can happen in an invocation, and where."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Death:
    """The invocation dies before an effect, after this many effects."""

    at: int


@dataclass(frozen=True)
class Error:
    """A call of the database or queue fails, after this many calls."""

    at: int
    #: Whether the call took effect and only its answer is lost.
    is_late: bool = False


Accident = Death | Error


def late_error(at: int) -> Error:
    return Error(at, is_late=True)
