"""What comes next: the messages as they become visible, the sweep each minute, and the caller, who
retries until it gets an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.fakes.clock import START
from tests.simulation.queues import QUEUES
from tests.simulation.state import Invocation, Message, State

#: A caller without an answer retries after this time, with the same Idempotency-Key.
CALLER_WAITS = timedelta(minutes=10)
MINUTE = timedelta(minutes=1)


def next_invocation(state: State) -> Invocation | None:
    """Move the clock to the next invocation and return it. None if all is at rest."""
    found = min(_upcoming(state), key=_order, default=None)
    if found is None:
        return _at_rest(state)
    moment, _, invocation = found
    state.now = max(state.now, moment)
    state.asked += invocation.step is not None
    return invocation


def next_meanwhile(state: State, running: Invocation | None, until: datetime) -> Invocation | None:
    """Move the clock to what comes next until then, while an invocation runs, and return it."""
    found = [
        (max(moment, state.now), order, invocation)
        for moment, order, invocation in _by_itself(state, running)
        if moment <= until
    ]
    if not found:
        return None
    moment, _, invocation = min(found, key=_order)
    state.now = moment
    return invocation


def next_message(state: State, running: Invocation | None) -> Invocation | None:
    """The message that is available now, while another one is being handled."""
    for message in state.queue:
        if message.visible_at <= state.now and not _is_in_hand(message, running):
            return invocation_of(message)
    return None


def invocation_of(message: Message) -> Invocation:
    return Invocation(QUEUES[message.queue].function, message)


#: When, which of several at that time, and what.
Upcoming = tuple[datetime, int, Invocation]


def _order(upcoming: Upcoming) -> tuple[datetime, int]:
    return upcoming[:2]


def _upcoming(state: State) -> Iterator[Upcoming]:
    if state.batch_id is None:
        ask_at = state.began_at + state.submits * CALLER_WAITS
        ask_at = max(state.now, min(ask_at, state.now + CALLER_WAITS))
        yield ask_at, 0, Invocation("submit")
    elif state.asked < len(state.scenario.asks):
        after, step = state.scenario.asks[state.asked]
        yield max(state.now, state.began_at + after), 0, Invocation("act", step=step)
    for moment, order, invocation in _by_itself(state, None):
        yield max(state.now, moment), order, invocation


def _at_rest(state: State) -> Invocation | None:
    """The request that the caller saved for when all is at rest."""
    if state.scenario.at_rest is None or state.has_rested:
        return None
    state.has_rested = True
    return Invocation("act", step=state.scenario.at_rest)


def _by_itself(state: State, running: Invocation | None) -> Iterator[Upcoming]:
    """What happens without the caller."""
    for message in state.queue:
        if not _is_in_hand(message, running):
            yield message.visible_at, 1, invocation_of(message)
    sweep_at = next_sweep(state)
    if sweep_at is not None:
        yield sweep_at, 2, Invocation("sweep")


def _is_in_hand(message: Message, running: Invocation | None) -> bool:
    in_hand = running.message if running else None
    return in_hand is not None and in_hand.number == message.number


def next_sweep(state: State) -> datetime | None:
    """The first full minute at which a sweep finds something by its clock; at most one per
    minute."""
    due_times = [head.due_at for head in state.store.heads.values() if head.due_at]
    if not due_times:
        return None
    ahead = timedelta(seconds=state.scenario.clocks.get("sweep", 0))
    minutes = -(-(min(due_times) - ahead - START) // MINUTE)
    sweep_at = START + minutes * MINUTE
    return sweep_at if state.swept_at is None else max(sweep_at, state.swept_at + MINUTE)
