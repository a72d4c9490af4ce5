"""`make load`: print the table, and the goals that were missed."""

import sys
from collections.abc import Iterator, Sequence

from tests.trials.load.cases import Case, Load, Outcome, cases, run
from tests.trials.load.trouble import NONE

_FUNCTIONS = ("run_jobs", "advance_batch", "call_back", "bury_jobs", "sweep")
_COLUMNS = (
    "load",
    "trouble",
    *(f"`{function}`" for function in _FUNCTIONS),
    "calls",
    "in vain",
    "messages",
    "writes",
    "jobs failed",
    "ended after",
    "small batch",
    "its callback",
)


def main() -> int:
    """Return the exit status: 0 if all goals were met."""
    print(_row(_COLUMNS))
    print(_row(["---"] * len(_COLUMNS)))
    faults = []
    for case, outcome, calm in outcomes(cases()):
        print(_row(_figures(outcome)), flush=True)
        faults += [*missed(case, outcome, calm)]
    print(f"\nload: {len(faults)} goals missed", *faults, sep="\nload: ")
    return 1 if faults else 0


def outcomes(all_cases: Sequence[Case]) -> Iterator[tuple[Case, Outcome, Outcome]]:
    """Each case with its outcome, and with the outcome of the same load without trouble."""
    calm: dict[Load, Outcome] = {}
    for case in all_cases:
        outcome = run(case.load, case.trouble)
        if case.trouble is NONE:
            calm[case.load] = outcome
        yield case, outcome, calm.get(case.load, outcome)


def missed(case: Case, outcome: Outcome, calm: Outcome) -> Iterator[str]:
    """The missed goals, each in a sentence."""
    for goal in case.goals:
        if fault := goal(outcome, calm):
            yield f"{case.load.name}, {case.trouble.name}: {fault}"


def _figures(outcome: Outcome) -> list[str]:
    seen = outcome.seen
    return [
        outcome.load.name,
        outcome.trouble.name,
        *(f"{seen.invocations[function]:,}" for function in _FUNCTIONS),
        f"{seen.calls:,}",
        f"{seen.away:,}" if seen.away else "",
        f"{seen.messages:,}",
        f"{seen.writes:,}",
        f"{outcome.failed:,}",
        _seconds(outcome.seconds),
        _seconds(outcome.small_seconds),
        _seconds(outcome.small_callback_seconds),
    ]


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:,.1f} s"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
