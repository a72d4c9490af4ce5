"""The runs of the ordinary tests: which scenarios, in which shapes, with which accidents. `make
simulate` does all the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from tests.simulation.behavior import kills
from tests.simulation.elapsing import ELAPSING
from tests.simulation.enumerated import ACTIONS, LARGE, LIMITED, PATHS, SHAPES, SMALL, shaped
from tests.simulation.hindrances import (
    A_CANCEL_AMID_WAITS,
    AWAY,
    AWAY_FOR_GOOD,
    DELIVERING,
    ERRORS,
    SENTINELS,
    WAITING,
)
from tests.simulation.insisted import nothing_is_mistaken_for_lost
from tests.simulation.load import Load
from tests.simulation.promises import check
from tests.simulation.receiving import RECEIVING
from tests.simulation.scenario import Scenario
from tests.simulation.schedules import every_schedule
from tests.simulation.stopping import (
    STOPPED_LATE,
    STOPPED_MEANWHILE,
    STOPPED_WITH_CLOCKS_APART,
    STOPPING,
)
from tests.simulation.surroundings import AT_ONCE, SURROUNDINGS

ONE, APART, TOGETHER = SMALL
HINDRANCES = (*ERRORS, *WAITING, A_CANCEL_AMID_WAITS, *SENTINELS, *AWAY, *AWAY_FOR_GOOD)
SCENARIOS = (
    *PATHS,
    *ELAPSING,
    *RECEIVING,
    *SURROUNDINGS,
    *HINDRANCES,
    *ACTIONS,
    *AT_ONCE,
    *DELIVERING,
    *LIMITED,
    *STOPPING,
    *STOPPED_WITH_CLOCKS_APART,
    *STOPPED_MEANWHILE,
    *STOPPED_LATE,
)
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Run:
    """Every schedule of a scenario with up to this many accidents."""

    scenario: Scenario
    crashes: int = 0
    errors: int = 0

    @property
    def name(self) -> str:
        of = self.scenario
        crashes = f"-{self.crashes}-crashes" * bool(self.crashes)
        errors = f"-{self.errors}-errors" * bool(self.errors)
        return f"{of.name}-{of.jobs}-in-{of.chunk_size}s{crashes}{errors}"

    def every_schedule(self) -> int:
        """Run the schedules and return their number. Raises if a promise is broken or a run is
        stuck."""
        return every_schedule(self.scenario, check, crashes=self.crashes, errors=self.errors)


def shapes_of(scenario: Scenario) -> tuple[Shape, ...]:
    """All shapes, unless the scenario has its own."""
    own = (scenario.jobs, scenario.chunk_size, scenario.per_flush)
    return SHAPES if scenario.jobs == 1 else (own,)


def _pairs() -> Iterator[Run]:
    """Two accidents, at every pair of places."""
    plain, poison = PATHS[0], PATHS[3]
    for scenario in PATHS:
        if scenario.receiver is not kills:  # it already has eight senders that may die differently
            yield Run(shaped(scenario, ONE), crashes=2)
    for scenario in (plain, poison, LIMITED[0]):
        yield Run(shaped(scenario, TOGETHER), crashes=2)
    yield Run(shaped(plain, ONE), errors=2)
    yield Run(shaped(plain, ONE), crashes=1, errors=1)


def _singles() -> Iterator[Run]:
    """One accident, at every place."""
    for scenario in PATHS:
        for shape in (APART, LARGE[0]):
            yield from _one_accident(shaped(scenario, shape))
    for scenario in (*ELAPSING, *RECEIVING, *SURROUNDINGS):
        for shape in shapes_of(scenario)[:3:2]:
            yield from _one_accident(shaped(scenario, shape))
    for scenario in PATHS:
        yield Run(shaped(scenario, LARGE[1]), crashes=1)


def _actions() -> Iterator[Run]:
    """Actions from outside, at every moment; for a small batch, together with an accident."""
    for scenario in (*ACTIONS, *AT_ONCE):
        yield Run(shaped(scenario, ONE), crashes=1)
        if scenario.at_rest is None:  # the action may come twice, and each may fail at every place
            yield Run(shaped(scenario, ONE), errors=1)
        for shape in (APART, TOGETHER, *LARGE):
            yield Run(shaped(scenario, shape))
    yield from _one_accident(shaped(LIMITED[0], TOGETHER))
    yield from _one_accident(shaped(LIMITED[1], ONE))
    yield Run(shaped(LIMITED[2], ONE))


def _hindrances() -> Iterator[Run]:
    for scenario in ERRORS:
        yield Run(scenario, errors=1)
    for scenario in (*WAITING, *AWAY_FOR_GOOD, *SENTINELS, *DELIVERING):
        yield Run(scenario)
    yield Run(A_CANCEL_AMID_WAITS, crashes=1)
    yield from _one_accident(SENTINELS[0])
    yield Run(WAITING[-1], errors=1)
    for scenario in AWAY:
        for shape in shapes_of(scenario)[:4:2]:
            yield Run(shaped(scenario, shape))
    yield Run(shaped(AWAY[0], LARGE[0]))
    yield Run(shaped(AWAY[1], LARGE[1]))


def _stopping() -> Iterator[Run]:
    for scenario in STOPPING:
        for shape in (APART, TOGETHER):
            yield from _one_accident(shaped(scenario, shape))
        yield Run(shaped(scenario, LARGE[0]), crashes=1)
    for scenario in STOPPED_WITH_CLOCKS_APART:
        for shape in (APART, TOGETHER, LARGE[0]):
            yield Run(shaped(scenario, shape))
        yield from _one_accident(shaped(scenario, APART))
    for scenario in STOPPED_MEANWHILE:
        yield Run(shaped(scenario, TOGETHER), crashes=1)
        yield Run(shaped(scenario, TOGETHER), errors=1)
        yield Run(shaped(scenario, APART))
        yield Run(shaped(scenario, LARGE[0]))
    for scenario in STOPPED_LATE:
        yield Run(scenario, crashes=1)


def _one_accident(scenario: Scenario) -> Iterator[Run]:
    yield Run(scenario, crashes=1)
    yield Run(scenario, errors=1)


_RUNS = (*_pairs(), *_singles(), *_actions(), *_hindrances(), *_stopping())
ORDINARY = {run.name: run for run in _RUNS}

#: As many batches as two workers finish within the half hour until the next check.
A_RUSH = Load(
    scenario=Scenario(
        name="a-rush",
        jobs=10,
        chunk_size=10,
        call_seconds=2,
        ends_within=timedelta(minutes=28),
    ),
    others=150,
    workers=2,
)

#: A backlog longer than the half hour until the next check.
A_BACKLOG = Load(
    scenario=Scenario(
        name="a-backlog",
        jobs=10,
        chunk_size=10,
        call_seconds=2,
        ends_within=timedelta(minutes=40),
        insists=(nothing_is_mistaken_for_lost,),
    ),
    others=200,
    workers=2,
)
