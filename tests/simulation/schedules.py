"""What happens next, and every way in which it can go wrong."""

from __future__ import annotations

from collections.abc import Callable
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
#: More than any schedule takes, with so many more for each chunk; a run that gets here is stuck.
MAX_INVOCATIONS = 300
INVOCATIONS_PER_CHUNK = 5

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
        return _explore(begin(scenario), crashes, check)
    runs = 0
    for moment in count():
        state = begin(scenario)
        state.action_at = moment
        runs += _explore(state, crashes, check)
        if moment > state.effects:
            return runs  # it came when all was over: there is no later moment
    raise AssertionError


def run_to_rest(state: State, check: Check) -> None:
    """One run without (further) crashes."""
    _explore(state, 0, check)


def _explore(state: State, crashes: int, check: Check) -> int:
    runs = 0
    for _ in range(most_invocations(state)):
        invocation = next_invocation(state)
        if invocation is None:
            if goes_on(state, check):
                continue
            return runs + 1
        if crashes:
            runs += _explore_crashes(state, invocation, crashes, check)
        run(state, invocation)
    raise Stuck(f"still busy at {state.now}: {state.queue} {state.head}")


def most_invocations(state: State) -> int:
    chunks = state.scenario.jobs // state.scenario.chunk_size
    return MAX_INVOCATIONS + INVOCATIONS_PER_CHUNK * chunks


def _explore_crashes(state: State, invocation: Invocation, crashes: int, check: Check) -> int:
    """Every crash of this invocation: after none of its effects, after one, ..., after all."""
    runs = 0
    for effects in count():
        branch = state.copy()
        ended_by_itself = run(branch, invocation, crash_after=effects)
        runs += _explore(branch, crashes - 1, check)
        if ended_by_itself:
            return runs
    raise AssertionError


def goes_on(state: State, check: Check) -> bool:
    """At rest: an action that was to come at a later moment comes now, the promises are checked,
    and where the scenario says so the caller begins again."""
    if state.action_at is not None:
        state.action_at = None
        return _act(state, None)
    check(state)
    if state.scenario.again_after_expiry and not state.has_begun_again:
        state.begin_again()
        return True
    return False


def next_invocation(state: State) -> Invocation | None:
    """The invocation that comes next in time, and the clock moved to it; None: all is at rest."""
    choices: list[tuple[datetime, int, Invocation]] = [
        (message.visible_at, 1, Invocation(_FUNCTIONS[message.queue], message))
        for message in state.queue
    ]
    if state.batch_id is None:
        ask_at = state.began_at + state.submits * CALLER_WAITS
        choices.append((min(ask_at, state.now + CALLER_WAITS), 0, Invocation("submit")))
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
    due_times = [head.due_at for head in state.store.heads.values() if head.due_at]
    if not due_times:
        return None
    minutes = -(-(min(due_times) - START) // MINUTE)
    sweep_at = START + minutes * MINUTE
    return sweep_at if state.swept_at is None else max(sweep_at, state.swept_at + MINUTE)


def run(state: State, invocation: Invocation, crash_after: int | None = None) -> bool:
    """One invocation, as SQS or the schedule has it, crashed after so many effects. Whether it came
    to its end before that; a crash takes place all the same, before its message is deleted."""
    started = start(state, invocation)
    if started is None:
        return True
    left = count() if crash_after is None else iter(range(crash_after))

    def before(_name: str, is_effect: bool) -> None:
        if is_effect:
            _interfere(state, started)
            if next(left, None) is None:
                raise PlannedCrash

    try:
        World(state, before, _ignore).invoke(started)
    except (Crash, BatchbackError) as error:
        was_planned = isinstance(error, PlannedCrash)
        state.losses += 1
        state.deaths += was_planned
        return not was_planned
    end(state, started, crashed=crash_after is not None)
    return True


def start(state: State, invocation: Invocation) -> Invocation | None:
    """The invocation with its message received; None: the message went to its dead letters."""
    if invocation.function == "sweep":
        state.swept_at = state.now
    if invocation.message is None:
        return invocation
    message = _receive(state, invocation.message)
    return None if message is None else Invocation(invocation.function, message)


def end(state: State, invocation: Invocation, *, crashed: bool = False) -> None:
    """The function returned: its message is deleted, unless it crashed just before."""
    if not crashed:
        _delete(state, invocation.message)
        return
    state.losses += 1
    state.deaths += 1
    if invocation.function == "submit":
        state.batch_id = None  # the caller never hears of it


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
    """What happens besides, between two effects of an invocation that is running."""
    if state.action_at is not None and state.effects == state.action_at:
        state.action_at = None
        _act(state, running)


def _act(state: State, running: Invocation | None) -> bool:
    """The scenario's action. Whether there was one to take."""
    match state.scenario.action:
        case "overtake":
            state.overlaps += 1
            _drain(state, running)
            return running is not None
        case "duplicate":
            state.overlaps += 1
            if running is not None:
                _undisturbed(state, running)
            _drain(state, running)
            return running is not None
        case "cancel-restart":
            _world(state).act("cancel")
            _drain(state, running)
            _world(state).act("restart")
        case "restart-rival":
            _world(state).act("restart")
            _world(state).act("rival")
        case action:
            _world(state).act(str(action))
    return True


def _drain(state: State, running: Invocation | None) -> None:
    """Every other message that can be had now is worked off, while one invocation stands still."""
    own = running.message.number if running and running.message else None
    for _ in range(most_invocations(state)):
        upcoming = [
            message
            for message in state.queue
            if message.visible_at <= state.now and message.number != own
        ]
        if not upcoming:
            return
        started = start(state, Invocation(_FUNCTIONS[upcoming[0].queue], upcoming[0]))
        if started is not None and _undisturbed(state, started):
            end(state, started)
    raise Stuck("messages beget messages")


def _undisturbed(state: State, invocation: Invocation) -> bool:
    """One invocation to its end, within another. Whether it got there."""
    try:
        _world(state).invoke(invocation)
    except (Crash, BatchbackError):
        state.losses += 1
        return False
    return True


def _world(state: State) -> World:
    return World(state, _ignore, _ignore)


def _ignore(_name: str, _is_effect: bool) -> None:
    return None
