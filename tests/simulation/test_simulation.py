"""The promises hold wherever an accident happens, and the simulation detects it when they do
not."""

import pytest

from tests.simulation.chance import run_seed
from tests.simulation.large import TEN_THOUSAND, Large, run_large
from tests.simulation.load import Load, run_load
from tests.simulation.ordinary import A_BACKLOG, A_RUSH, ORDINARY
from tests.simulation.running import Stuck
from tests.simulation.seeded import SEEDED
from tests.simulation.witness import Broken

SEEDS = 400
SEEDS_AT_ONCE = 100


@pytest.mark.parametrize("run", ORDINARY)
def test_every_schedule_leaves_every_promise_kept(run: str) -> None:
    """`make simulate` runs all scenarios in all shapes."""
    print(f"{ORDINARY[run].every_schedule()} schedules, 0 promises broken")


@pytest.mark.parametrize("large", TEN_THOUSAND, ids=[each.scenario.name for each in TEN_THOUSAND])
def test_batches_of_a_thousand_jobs_leave_every_promise_kept(large: Large) -> None:
    """`make simulate` runs them with ten thousand jobs."""
    for seed in range(2):
        run_large(large, seed, jobs=1_000)


@pytest.mark.parametrize("load", [A_RUSH, A_BACKLOG], ids=["a-rush", "a-backlog"])
def test_many_batches_and_few_workers_leave_every_promise_kept(load: Load) -> None:
    run_load(load)


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_AT_ONCE))
def test_random_storms_leave_every_promise_kept(first: int) -> None:
    for seed in range(first, first + SEEDS_AT_ONCE):
        try:
            run_seed(seed)
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken


@pytest.mark.parametrize("fault", SEEDED)
def test_a_fault_in_the_protocol_is_detected_in_an_ordinary_run(fault: str) -> None:
    seeded = SEEDED[fault]
    with seeded.fault(), pytest.raises((Broken, Stuck)):
        ORDINARY[seeded.seen_in].every_schedule()
