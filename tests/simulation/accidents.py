"""What can go wrong in an invocation, and where."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Death:
    """It dies before an effect: after this many of them."""

    at: int


@dataclass(frozen=True)
class Error:
    """A call of database or queue fails: after this many of them."""

    at: int
    #: It took effect, and only its answer is lost.
    is_late: bool = False


Accident = Death | Error


def late_error(at: int) -> Error:
    return Error(at, is_late=True)
