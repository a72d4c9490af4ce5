"""`make simulate SECONDS=300`: first every accident of every scenario, then every pair of
accidents, and in between batches of ten thousand jobs and random storms, until the time is over.
The last line gives the number of schedules and of broken promises."""

import sys
import time
from collections.abc import Iterator
from itertools import count, islice

from tests.simulation.chance import run_seed
from tests.simulation.enumerated import shaped
from tests.simulation.large import TEN_THOUSAND, Large, run_large
from tests.simulation.ordinary import SCENARIOS, Run, shapes_of

_BOTH = {"crashes": 1, "errors": 1}


def main(seconds: float, first_seed: int) -> int:
    ends_at = time.monotonic() + seconds
    runs = 0
    try:
        for more in schedules(first_seed):
            runs += more
            if time.monotonic() >= ends_at:
                break
    except AssertionError as broken:
        print(broken)
        print(f"{runs} schedules, 1 promise broken")
        return 1
    print(f"{runs} schedules, 0 promises broken")
    return 0


def schedules(first_seed: int) -> Iterator[int]:
    """Run schedules and yield their number, alternating a scenario, storms between its shapes, and
    a large batch, so that a short run covers all of them."""
    seeds = count(first_seed)
    large = ((each, seed) for seed in count(first_seed) for each in TEN_THOUSAND)
    for accidents in ({}, {"crashes": 1}, {"errors": 1}, {"crashes": 2}, {"errors": 2}, _BOTH):
        for scenario in SCENARIOS:
            for shape in shapes_of(scenario):
                yield enumerated(Run(shaped(scenario, shape), **accidents))
                yield from (storm(seed) for seed in islice(seeds, 50))
            yield ten_thousand_jobs(*next(large))
    yield from map(storm, seeds)


def enumerated(run: Run) -> int:
    try:
        return run.every_schedule()
    except AssertionError as broken:
        raise AssertionError(f"{run}: {broken}") from broken


def ten_thousand_jobs(large: Large, seed: int) -> int:
    try:
        run_large(large, seed)
    except AssertionError as broken:
        raise AssertionError(f"{large}, seed {seed}: {broken}") from broken
    return 1


def storm(seed: int) -> int:
    try:
        run_seed(seed)
    except AssertionError as broken:
        raise AssertionError(f"seed {seed}: {broken}") from broken
    return 1


if __name__ == "__main__":
    options = [float(argument) for argument in sys.argv[1:]]
    sys.exit(main(options[0] if options else 60, int(options[1]) if len(options) > 1 else 0))
