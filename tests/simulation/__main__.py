"""`make simulate SECONDS=300`: every pair of crash points of every scenario first, and between them
batches of ten thousand jobs, then storms by chance, as long as told. The last line says how many
schedules and how many promises broken."""

import sys
import time
from collections.abc import Iterator
from itertools import count, islice

from tests.simulation.chance import run_seed
from tests.simulation.enumerated import ACTIONS, LIMITED, PATHS, SHAPES, shaped
from tests.simulation.large import TEN_THOUSAND, Large, run_large
from tests.simulation.promises import check
from tests.simulation.scenario import Scenario
from tests.simulation.schedules import every_schedule


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
    """The number of schedules run, as they are run: in turn a scenario with storms between its
    shapes, and a large batch, so that a short time sees all of them."""
    seeds = count(first_seed)
    large = ((each, seed) for seed in count(first_seed) for each in TEN_THOUSAND)
    for crashes in (0, 1, 2):
        for scenario in (*PATHS, *ACTIONS, *LIMITED):
            for shape in SHAPES:
                yield enumerated(shaped(scenario, shape), crashes)
                yield enumerated(shaped(scenario, shape), crashes, errors=1)
                yield from (storm(seed) for seed in islice(seeds, 100))
            yield ten_thousand_jobs(*next(large))
    yield from map(storm, seeds)


def enumerated(scenario: Scenario, crashes: int, errors: int = 0) -> int:
    try:
        return every_schedule(scenario, check, crashes=crashes, errors=errors)
    except AssertionError as broken:
        told = f"{scenario}, {crashes} crashes, {errors} errors: {broken}"
        raise AssertionError(told) from broken


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
