"""The loads, each with its troubles, and the goals for their outcome."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from chalicelib.domain.batch import Batch
from chalicelib.domain.retry import JOB_TRIES
from tests.fakes.ports import SETTINGS
from tests.trials.load.stage import MOST_AT_ONCE, Seen, Stage
from tests.trials.load.trouble import (
    FAILED_PUTS,
    FAILING_WRITES,
    IMPATIENCE,
    NONE,
    OUTAGE,
    Trouble,
)

#: One account with a lot to do, and one whose small batches come later.
BUSY = "busy"
QUIET = "quiet"
HANGING = Trouble(name="the receivers of the 200 hang", hanging=[BUSY])

#: How long one attempt at a small callback may take.
_DELIVERY_SECONDS = 15
#: How soon a batch ends if nothing holds it up.
_AT_ONCE_SECONDS = 2
#: In half an hour, an outage that began at the start is tested after 15 and 75 seconds, and after 5
#: and 20 minutes.
_TRIES_IN_AN_OUTAGE = 4
_CALLS_BEFORE_A_TRIP = 10
_ATTEMPTS_BEFORE_A_TRIP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Batches of one account at the beginning, and one batch per second of another account from a
    given time on."""

    name: str
    batches: int
    jobs: int
    small_batches: int = 0
    small_jobs: int = 20
    small_after: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a load."""

    load: Load
    trouble: Trouble
    seen: Seen
    batches: tuple[Batch, ...]

    @property
    def invocations(self) -> int:
        """The invocations of all functions but `api`."""
        return self.seen.invocations.total() - self.seen.invocations["api_handler"]

    @property
    def failed(self) -> int:
        """Jobs without an answer from the platform."""
        return sum(batch.total - batch.answered.succeeded for batch in self.batches)

    @property
    def seconds(self) -> float:
        """The time until the last batch was completed."""
        return max(map(_seconds, self.batches))

    @property
    def small_seconds(self) -> float | None:
        """The longest time that a small batch took."""
        return max(map(_seconds, self._small), default=None)

    @property
    def small_callback_seconds(self) -> float | None:
        """The longest time from a small batch's completion until its callback was accepted."""
        return max(map(self._callback_seconds, self._small), default=None)

    @property
    def most_away(self) -> int:
        """How many calls may find the platform away: until a worker knows, ten and those under way
        then, but no job more often than three times; after that, one per worker whenever the
        platform is tested."""
        return sum(map(self._most_away_of, {batch.account for batch in self.batches}))

    def _most_away_of(self, account: str) -> int:
        batches = [batch for batch in self.batches if batch.account == account]
        workers = min(MOST_AT_ONCE["run_jobs"], sum(len(batch.chunks) for batch in batches))
        in_each = _CALLS_BEFORE_A_TRIP + SETTINGS.jobs_side_by_side
        jobs = sum(batch.total for batch in batches)
        at_first = min(in_each * workers, _ATTEMPTS_BEFORE_A_TRIP * jobs)
        return at_first + _TRIES_IN_AN_OUTAGE * workers

    @property
    def _small(self) -> list[Batch]:
        return [batch for batch in self.batches if batch.account == QUIET]

    def _callback_seconds(self, batch: Batch) -> float:
        assert batch.completed_at, "every batch ends"
        return (self.seen.taken_at[batch.batch_id] - batch.completed_at).total_seconds()


#: Returns the fault of an outcome, compared with that of the same load without trouble, or None.
Goal = Callable[[Outcome, Outcome], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A load in trouble, and the goals that must be met."""

    load: Load
    trouble: Trouble
    goals: tuple[Goal, ...]


def cases(scale: float = 1) -> list[Case]:
    """All cases, or the same with a share of the work."""
    some = partial(_some, scale)
    many = Load(name="1,000 batches of 20 jobs", batches=some(1_000), jobs=20)
    large = Load(name="20 batches of 1,000 jobs", batches=some(20), jobs=1_000)
    behind = replace(large, name="the same, 20 small ones behind them", small_batches=some(20))
    lone = Load(name="a batch of 1 job", batches=1, jobs=1)
    one = Load(name="a batch of 500 jobs", batches=1, jobs=500)
    hanging = Load(
        name="200 batches of 20 jobs, 1 small one behind them",
        batches=some(200),
        jobs=20,
        small_batches=1,
        small_after=timedelta(seconds=20),
    )
    return [
        Case(load=many, trouble=NONE, goals=(_none_fails,)),
        Case(load=many, trouble=FAILING_WRITES, goals=(_none_fails, _costs_twice_at_most)),
        Case(load=many, trouble=OUTAGE, goals=(_none_fails, _leaves_the_platform_alone)),
        Case(load=large, trouble=NONE, goals=(_none_fails,)),
        Case(load=large, trouble=FAILING_WRITES, goals=(_none_fails, _costs_twice_at_most)),
        Case(load=large, trouble=OUTAGE, goals=(_none_fails, _leaves_the_platform_alone)),
        Case(load=behind, trouble=NONE, goals=(_none_fails, _small_ones_do_not_wait)),
        Case(load=behind, trouble=FAILING_WRITES, goals=(_none_fails, _costs_twice_at_most)),
        Case(load=behind, trouble=OUTAGE, goals=(_none_fails, _leaves_the_platform_alone)),
        Case(load=hanging, trouble=HANGING, goals=(_none_fails, _small_ones_do_not_wait)),
        Case(load=lone, trouble=OUTAGE, goals=(_none_fails, _leaves_the_platform_alone)),
        Case(load=lone, trouble=IMPATIENCE, goals=(_is_called_five_times,)),
        Case(load=one, trouble=NONE, goals=(_none_fails,)),
        Case(load=one, trouble=FAILED_PUTS, goals=(_none_fails, _costs_twice_at_most, _is_in_time)),
    ]


def run(load: Load, trouble: Trouble = NONE) -> Outcome:
    """Run a load until all is at rest, and return the outcome."""
    stage = Stage(trouble, [BUSY, QUIET])
    for _ in range(load.batches):
        stage.submit(BUSY, load.jobs)
    for number in range(load.small_batches):
        after = load.small_after + timedelta(seconds=number)
        stage.submit(QUIET, load.small_jobs, after=after)
    for after in _restarts(trouble):
        stage.restart(after=after)
    stage.run()
    return Outcome(
        load=load, trouble=trouble, seen=stage.seen, batches=tuple(stage.store.heads.values())
    )


def _restarts(trouble: Trouble) -> Iterator[timedelta]:
    every = trouble.restarts_every
    after = every
    while every and after and after < timedelta(hours=1):
        yield after
        after += every


def _some(scale: float, number: int) -> int:
    return max(1, round(number * scale))


def _seconds(batch: Batch) -> float:
    assert batch.completed_at, "every batch ends"
    return (batch.completed_at - batch.created_at).total_seconds()


# --- goals -------------------------------------------------------------------------------------


def _none_fails(outcome: Outcome, _: Outcome) -> str | None:
    return f"{outcome.failed} jobs failed" if outcome.failed else None


def _costs_twice_at_most(outcome: Outcome, calm: Outcome) -> str | None:
    if outcome.invocations > 2 * calm.invocations:
        return f"{outcome.invocations} invocations instead of {calm.invocations}"
    if outcome.seen.calls > calm.seen.calls:
        return f"{outcome.seen.calls} calls instead of {calm.seen.calls}"
    return None


def _is_in_time(outcome: Outcome, calm: Outcome) -> str | None:
    return f"it took {outcome.seconds} s" if outcome.seconds > 2 * calm.seconds else None


def _leaves_the_platform_alone(outcome: Outcome, _: Outcome) -> str | None:
    away, most = outcome.seen.away, outcome.most_away
    return f"{away} calls found the platform away, not {most} at most" if away > most else None


def _small_ones_do_not_wait(outcome: Outcome, _: Outcome) -> str | None:
    if (outcome.small_seconds or 0) > _AT_ONCE_SECONDS:
        return f"a small batch took {outcome.small_seconds} s"
    if (outcome.small_callback_seconds or 0) > _DELIVERY_SECONDS:
        return f"its callback took {outcome.small_callback_seconds} s"
    return None


def _is_called_five_times(outcome: Outcome, _: Outcome) -> str | None:
    calls = outcome.seen.calls
    return None if calls == JOB_TRIES else f"the job was called {calls} times"
