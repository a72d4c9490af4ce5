"""The promises hold wherever a crash comes, and the simulation sees it when they do not."""

import pytest

from tests.simulation.chance import run_seed
from tests.simulation.enumerated import ACTIONS, LARGE, LIMITED, PATHS, SMALL, shaped
from tests.simulation.faults import FAULTS
from tests.simulation.large import TEN_THOUSAND, Large, run_large
from tests.simulation.limit_faults import LIMIT_FAULTS
from tests.simulation.promises import check
from tests.simulation.running import Stuck
from tests.simulation.scenario import Scenario
from tests.simulation.schedules import every_schedule
from tests.simulation.witness import Broken

SEEDS = 400
SEEDS_AT_ONCE = 100


def named(scenarios: tuple[Scenario, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scenario", scenarios, ids=[each.name for each in scenarios])


def tell(runs: int) -> None:
    print(f"{runs} schedules, 0 promises broken")


@named(PATHS)
@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_every_pair_of_crash_points_leaves_every_promise_kept(
    scenario: Scenario, shape: tuple[int, int, int]
) -> None:
    tell(every_schedule(shaped(scenario, shape), check, crashes=2))


@named((PATHS[0], PATHS[3]))
def test_every_pair_of_crash_points_of_a_large_batch_leaves_every_promise_kept(
    scenario: Scenario,
) -> None:
    """All scenarios in all shapes: `make simulate`."""
    tell(every_schedule(shaped(scenario, LARGE[0]), check, crashes=2))


@named(PATHS)
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_every_crash_point_of_a_large_batch_leaves_every_promise_kept(
    scenario: Scenario, shape: tuple[int, int, int]
) -> None:
    tell(every_schedule(shaped(scenario, shape), check, crashes=1))


@named(ACTIONS)
@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_whatever_comes_at_any_moment_with_any_crash_leaves_every_promise_kept(
    scenario: Scenario, shape: tuple[int, int, int]
) -> None:
    tell(every_schedule(shaped(scenario, shape), check, crashes=1))


@named(ACTIONS)
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_whatever_comes_at_any_moment_to_a_large_batch_leaves_every_promise_kept(
    scenario: Scenario, shape: tuple[int, int, int]
) -> None:
    """With a crash besides: `make simulate`."""
    tell(every_schedule(shaped(scenario, shape), check, crashes=0))


@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_every_pair_of_crash_points_leaves_the_limits_kept(shape: tuple[int, int, int]) -> None:
    tell(every_schedule(shaped(LIMITED[0], shape), check, crashes=2))


@pytest.mark.parametrize(
    ("scenario", "crashes"), [(LIMITED[1], 1), (LIMITED[2], 0)], ids=["rival", "restart"]
)
def test_another_batch_at_any_moment_leaves_the_limits_kept(
    scenario: Scenario, crashes: int
) -> None:
    tell(every_schedule(shaped(scenario, SMALL[0]), check, crashes=crashes))


@pytest.mark.parametrize("large", TEN_THOUSAND, ids=[each.scenario.name for each in TEN_THOUSAND])
def test_a_thousand_jobs_at_once_leave_every_promise_kept(large: Large) -> None:
    """With ten thousand: `make simulate`."""
    for seed in range(2):
        run_large(large, seed, jobs=1_000)


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_AT_ONCE))
def test_storms_drawn_by_chance_leave_every_promise_kept(first: int) -> None:
    for seed in range(first, first + SEEDS_AT_ONCE):
        try:
            run_seed(seed)
        except AssertionError as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_protocol_is_seen(fault: str) -> None:
    with FAULTS[fault](), pytest.raises((Broken, Stuck)):
        run_everything_small()


@pytest.mark.parametrize("fault", LIMIT_FAULTS)
def test_a_fault_in_the_limits_is_seen(fault: str) -> None:
    with LIMIT_FAULTS[fault](), pytest.raises((Broken, Stuck)):
        run_everything_limited()


def run_everything_limited() -> None:
    for crashes in (0, 1):
        for scenario in LIMITED:
            every_schedule(shaped(scenario, SMALL[0]), check, crashes=crashes)


def run_everything_small() -> None:
    for crashes in (0, 1):
        for scenario in (*PATHS, *ACTIONS):
            for shape in SMALL:
                every_schedule(shaped(scenario, shape), check, crashes=crashes)
