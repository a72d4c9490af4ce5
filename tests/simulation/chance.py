"""Random schedules: several concurrent invocations, switched at every call of a port, with crashes,
errors before and after they take effect, outages, lost, doubled, late and reordered messages, slow
functions, and a caller who interferes. The same seed always gives the same schedule.

The storm lasts a few hours. Then everything works again, and every promise must come true."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from greenlet import GreenletExit, greenlet

from chalicelib.domain.limits import Limits
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.errors import BatchbackError, Unavailable
from tests.simulation.behavior import Outcome, PlatformBehavior, ReceiverBehavior
from tests.simulation.hooks import Hooks
from tests.simulation.ports import OUTSIDE, READS, Crash, service_of
from tests.simulation.promises import check
from tests.simulation.queues import TIMEOUTS
from tests.simulation.running import act, start
from tests.simulation.scenario import Scenario, Step
from tests.simulation.schedules import run_to_rest
from tests.simulation.state import Invocation, State, begin
from tests.simulation.timetable import next_invocation
from tests.simulation.world import World

STORM = timedelta(hours=5)
_AT_ONCE = 4
_MAX_STEPS = 20_000
#: How often a call of a job fails for now, at most. It fails fewer times if an outage of the
#: platform, which comes once per storm, is met by three more calls before it is known.
_FAILURES = 4
_FAILURES_IN_AN_OUTAGE = 1
#: What holds up jobs, and what ends it.
_HOLDS: tuple[Step, ...] = ("platform away", "platform back", "pause", "resume")
#: The account's limit on open batches, in one storm and the next.
_LIMITS = (
    Limits(),
    Limits(),
    Limits(),
    Limits(open_batches=1),
    Limits(),
    Limits(),
    Limits(),
    Limits(open_batches=1, jobs_per_minute=10),
)
#: How many jobs may fail, in one storm and the next, and how likely each one is to fail then.
_MAX_FAILED = (None, None, 0, None, 2)
_FAILS_FOR_GOOD = 0.3


def run_seed(seed: int) -> State:
    """Run the schedule of a seed, check every promise, and return the final state."""
    storm = _Storm(
        random.Random(seed),
        limits=_LIMITS[seed % len(_LIMITS)],
        max_failed=_MAX_FAILED[seed % len(_MAX_FAILED)],
    )
    storm.rage()
    run_to_rest(storm.state, check)
    return storm.state


@dataclass
class _Running:
    invocation: Invocation
    thread: greenlet
    started_at: datetime


@dataclass
class _Storm:
    rng: random.Random
    limits: Limits
    max_failed: int | None
    state: State = field(init=False)
    running: list[_Running] = field(default_factory=list)
    #: One service at a time, for up to an hour.
    outage_of: str = ""
    outage_until: datetime | None = None
    #: How likely each accident is in this storm.
    odds: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        self.odds = {
            name: self.rng.choice([0, 0, 0.01, 0.05])
            for name in ("crash", "error", "lose", "double", "outage", "slow")
        }
        self.odds["hold"] = self.rng.choice([0, 0, 0.01, 0.05])
        scenario = _scenario(self.rng, _FAILURES_IN_AN_OUTAGE if self.odds["hold"] else _FAILURES)
        if self.max_failed is not None:
            scenario = replace(scenario, platform=_with_errors(scenario.platform))
        self.state = begin(replace(scenario, limits=self.limits, max_failed=self.max_failed))
        self.state.storm = STORM
        self.odds["act"] = self.rng.choice([0, 0.01]) if self.limits.are_off else 0.02

    def rage(self) -> None:
        ends_at = self.state.now + STORM
        for _ in range(_MAX_STEPS):
            if self.state.now >= ends_at or not self._step(ends_at):
                break
        for running in self.running:
            self._kill(running)

    def _step(self, ends_at: datetime) -> bool:
        """Let one thing happen: an invocation goes a step further, or a new one begins. Return
        whether there was anything left to happen."""
        self._end_what_took_too_long()
        if self.running and (len(self.running) >= _AT_ONCE or self.rng.random() < 0.7):
            self._resume(self.rng.choice(self.running))
            return True
        upcoming = self._upcoming()
        if upcoming is None or self.state.now >= ends_at:
            if not self.running:
                return False
            self._resume(self.rng.choice(self.running))
            return True
        self._begin(upcoming)
        return True

    def _upcoming(self) -> Invocation | None:
        """The next invocation. While others run, time rarely moves, so most things happen
        concurrently."""
        before = self.state.now
        self.rng.shuffle(self.state.queue)
        invocation = next_invocation(self.state)
        if self.running and self.state.now > before and not self._happens("slow"):
            self.state.now = before
            return None
        if invocation and invocation.message and self._happens("lose"):
            self.state.queue.remove(invocation.message)
            self.state.losses += 1
            return None if self.running else self._upcoming()
        if invocation and invocation.message and self._happens("double"):
            self.state.put_again(invocation.message)
            self.state.losses += 1
        return invocation

    def _begin(self, invocation: Invocation) -> None:
        started = start(self.state, invocation)
        if started is None:
            return
        running = _Running(started, greenlet(self._run), self.state.now)
        self.running.append(running)
        self._switch(running, started)

    def _resume(self, running: _Running) -> None:
        self._switch(running)

    def _switch(self, running: _Running, *arguments: Any) -> None:
        running.thread.switch(*arguments)
        if running.thread.dead:
            self.running.remove(running)

    def _kill(self, running: _Running) -> None:
        self.state.note_death()
        running.thread.throw(GreenletExit)

    def _end_what_took_too_long(self) -> None:
        for running in [*self.running]:
            timeout = timedelta(seconds=TIMEOUTS[running.invocation.function])
            if self.state.now - running.started_at >= timeout:
                self._kill(running)
                self.running.remove(running)

    def _run(self, invocation: Invocation) -> None:
        """Run an invocation from beginning to end, in a thread of its own."""
        world = World(self.state, _Stormy(self))
        if len(self.running) > 1:
            self.state.overlaps += 1
        try:
            world.invoke(invocation)
        except Crash:
            self.state.note_death()
        except BatchbackError:
            self.state.losses += 1
            self._note_what_was_not_heard_of(invocation)
        else:
            self.state.delete(invocation.message)

    def _note_what_was_not_heard_of(self, invocation: Invocation) -> None:
        """If database and queue both fail and leave a marker, that cannot be distinguished from a
        death: docs/decisions/0004."""
        if invocation.function == "run_jobs" and self.state.store.markers:
            self.state.deaths += 1

    def strike(self, name: str) -> None:
        """Cause an accident before a call of a port, or not."""
        let_others_go_on()
        self._meddle()
        self.fail(name)

    def fail(self, name: str) -> None:
        if self._happens("crash"):
            raise Crash
        if name in OUTSIDE:
            return
        service = service_of(name)
        if self.outage_until is None and self._happens("outage"):
            self.outage_of = self.rng.choice(["database", "keys", "queue"])
            self.outage_until = self.state.now + timedelta(minutes=self.rng.choice([1, 20, 60]))
        if self.outage_until and self.state.now >= self.outage_until:
            self.outage_until = None
        if (self.outage_until and self.outage_of == service) or self._happens("error"):
            self.state.note_error()
            raise Unavailable(f"{service} does not answer")

    def _meddle(self) -> None:
        if self._happens("act"):
            steps: list[Step] = ["cancel", "restart", "repost", "submit"]
            step = self.rng.choice(steps if self.limits.are_off else [*steps, "rival"])
            act(self.state, (step,))
        if self._happens("hold"):
            step = self.rng.choice(_HOLDS)
            if step != "platform away" or "platform" not in self.state.away:
                act(self.state, (step,))

    def _happens(self, accident: str) -> bool:
        return self.rng.random() < self.odds[accident]


class _Stormy(Hooks):
    """At every call of a port, another invocation may go on, and an accident may happen."""

    def __init__(self, storm: _Storm) -> None:
        super().__init__(storm.state)
        self._storm = storm

    def before(self, name: str) -> None:
        self._storm.strike(name)

    def after(self, name: str) -> None:
        if name not in READS:
            self._storm.fail(name)

    def between(self) -> None:
        let_others_go_on()


def let_others_go_on() -> None:
    hub = greenlet.getcurrent().parent
    assert hub is not None
    hub.switch()


def _scenario(rng: random.Random, failures: int) -> Scenario:
    jobs = rng.choice([1, 2, 3, 5, 12])
    return Scenario(
        name="chance",
        jobs=jobs,
        chunk_size=rng.choice([1, 2, jobs]),
        per_flush=rng.choice([1, 2, 1_000]),
        platform=_moody_platform(rng.randrange(2**32), rng.choice([0.0, 0.1, 0.3]), failures),
        receiver=_moody_receiver(rng.randrange(2**32)),
        clocks={function: rng.choice([-15, 0, 0, 15]) for function in TIMEOUTS},
        index_lags=rng.random() < 0.3,
        reads_are_torn=rng.random() < 0.3,
        is_warm=rng.random() < 0.5,
        away_for=rng.choice([timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=40)]),
    )


def _moody_platform(seed: int, odds: float, failures: int) -> PlatformBehavior:
    """Fails for now, but never more than a number of times per job."""

    def behave(index: int, before: int) -> Reply | NoReply:
        if before < failures and random.Random(f"{seed}-{index}-{before}").random() < odds:
            return NoReply(reason="no answer within 30 seconds")
        return Reply(status=200, body=f'{{"job":{index},"call":{before}}}'.encode())

    return behave


def _with_errors(platform: PlatformBehavior) -> PlatformBehavior:
    """Some jobs get an error as their answer."""

    def behave(index: int, before: int) -> Outcome:
        reply = platform(index, before)
        fails = random.Random(f"error-{index}").random() < _FAILS_FOR_GOOD
        if fails and isinstance(reply, Reply) and reply.status == 200:
            return replace(reply, status=404)
        return reply

    return behave


def _moody_receiver(seed: int) -> ReceiverBehavior:
    """Down for up to three attempts."""
    down = random.Random(seed).randrange(4)
    return lambda before: Reply(status=500) if before < down else Reply(status=200)
