"""What happens next, and every way in which it can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from chalicelib.domain.message import MAX_RECEIVES
from chalicelib.errors import BatchbackError
from tests.fakes.clock import START
from tests.simulation.scenario import Scenario
from tests.simulation.world import (
    MAX_BATCH_RECEIVES,
    MINUTE,
    VISIBILITY,
    Crash,
    Invocation,
    Message,
    State,
    World,
    begin,
)

#: A caller that was not answered asks again after this time, with the same Idempotency-Key.
CALLER_WAITS = timedelta(minutes=10)
#: More than any schedule takes; a run that gets here is stuck.
MAX_INVOCATIONS = 2_000

_FUNCTIONS = {"jobs": "run_jobs", "batches": "advance_batch", "jobs-dead": "bury_jobs"}
_MAX_RECEIVES = {"jobs": MAX_RECEIVES, "batches": MAX_BATCH_RECEIVES, "jobs-dead": 100}

Check = Callable[[State], None]


class PlannedCrash(Crash):
    """The crash that this run is about."""


class Stuck(AssertionError):
    """The batch never comes to rest."""


def every_schedule(scenario: Scenario, crashes: int, check: Check) -> int:
    """Runs the scenario with every choice of up to `crashes` crash points, and, where it has an
    action, with that at every moment. Each run is checked at its end. The number of runs."""
    if scenario.action is None:
        return _explore(begin(scenario), crashes, check, 0)
    runs = 0
    for moment in count():
        state = begin(scenario)
        state.action_at = moment
        runs += _explore(state, crashes, check, 0)
        if state.action_at is not None or moment > state.effects:
            return runs  # it came when all was over: there is no later moment
    raise AssertionError


def run_to_rest(state: State, check: Check) -> None:
    """One run without (further) crashes."""
    _explore(state, 0, check, 0)


def _explore(state: State, crashes: int, check: Check, done: int) -> int:
    runs = 0
    for _ in range(done, MAX_INVOCATIONS):
        invocation = next_invocation(state)
        if invocation is None:
            if not _act_at_rest(state):
                check(state)
                return runs + 1
            continue
        if crashes:
            runs += _explore_crashes(state, invocation, crashes, check)
        run(state, invocation)
    raise Stuck(f"still busy at {state.now}: {state.queue} {state.head}")


def _explore_crashes(state: State, invocation: Invocation, crashes: int, check: Check) -> int:
    """Every crash of this invocation: after none of its effects, after one, ..., after all."""
    runs = 0
    for effects in count():
        branch = state.copy()
        ended_by_itself = run(branch, invocation, crash_after=effects)
        runs += _explore(branch, crashes - 1, check, 0)
        if ended_by_itself:
            return runs
    raise AssertionError


def _act_at_rest(state: State) -> bool:
    """The action that was to come at a moment after the last effect comes now."""
    if state.action_at is None or state.scenario.action == "duplicate":
        return False
    state.action_at = None
    World(state, _ignore, _ignore).act(str(state.scenario.action))
    return True


def next_invocation(state: State) -> Invocation | None:
    """The invocation that comes next in time, and the clock moved to it; None: all is at rest."""
    choices: list[tuple[datetime, int, Invocation]] = [
        (message.visible_at, 1, Invocation(_FUNCTIONS[message.queue], message))
        for message in state.queue
    ]
    if state.batch_id is None:
        choices.append((START + state.submits * CALLER_WAITS, 0, Invocation("submit")))
    sweep_at = next_sweep(state)
    if sweep_at is not None:
        choices.append((sweep_at, 2, Invocation("sweep")))
    if not choices:
        return None
    moment, _, invocation = min(choices, key=lambda choice: (max(choice[0], state.now), choice[1]))
    state.now = max(state.now, moment)
    return invocation


def next_sweep(state: State) -> datetime | None:
    """The first full minute at which a sweep finds something; one a minute at most."""
    alarms = [head.due_at for head in state.store.heads.values() if head.due_at is not None]
    if not alarms:
        return None
    minutes = -(-(min(alarms) - START) // MINUTE)
    sweep_at = START + minutes * MINUTE
    return sweep_at if state.swept_at is None else max(sweep_at, state.swept_at + MINUTE)


def run(state: State, invocation: Invocation, crash_after: int | None = None) -> bool:
    """One invocation, as SQS or the schedule has it, crashed after so many effects. Whether it came
    to its end before that; a crash takes place all the same, before its message is deleted."""
    if invocation.function == "sweep":
        state.swept_at = state.now
    message = invocation.message
    if message is not None:
        message = _receive(state, message)
        if message is None:
            return True
    running = Invocation(invocation.function, message)
    left = count() if crash_after is None else iter(range(crash_after))

    def before(_name: str, is_effect: bool) -> None:
        if is_effect:
            _interfere(state, running)
            if next(left, None) is None:
                raise PlannedCrash

    try:
        World(state, before, _ignore).invoke(running)
    except PlannedCrash:
        state.accidents += 1
        return False
    except Crash:
        state.accidents += 1
        return True
    except BatchbackError:
        state.accidents += 1
        return True
    if crash_after is not None:
        state.accidents += 1
        _forget_answer(state, running)
        return True
    _delete(state, message)
    return True


def _forget_answer(state: State, invocation: Invocation) -> None:
    """A crash after the last effect of a submission: the caller never hears of it."""
    if invocation.function == "submit":
        state.batch_id = None


def _receive(state: State, message: Message) -> Message | None:
    """The message with this delivery counted; None where it went to its dead-letter queue."""
    state.queue.remove(message)
    if message.receives >= _MAX_RECEIVES[message.queue]:
        if message.queue == "jobs":
            dead = replace(message, queue="jobs-dead", receives=0, visible_at=state.now)
            state.queue.append(dead)
        return None
    visible_at = state.now + timedelta(seconds=VISIBILITY[message.queue])
    received = replace(message, receives=message.receives + 1, visible_at=visible_at)
    state.queue.append(received)
    return received


def _delete(state: State, message: Message | None) -> None:
    if message is not None:
        state.queue = [other for other in state.queue if other.number != message.number]


def _interfere(state: State, running: Invocation) -> None:
    """The caller's action, or a second delivery of the same message, between two effects."""
    if state.action_at is None or state.effects != state.action_at:
        return
    state.action_at = None
    undisturbed = World(state, _ignore, _ignore)
    if state.scenario.action == "duplicate":
        state.accidents += 1
        with suppress(Crash, BatchbackError):
            undisturbed.invoke(running)
    else:
        undisturbed.act(str(state.scenario.action))


def _ignore(_name: str, _is_effect: bool) -> None:
    return None
