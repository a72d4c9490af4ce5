"""One invocation from beginning to end, with what happens meanwhile and what goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.holds import Pause
from chalicelib.errors import BatchbackError, Unavailable
from tests.simulation.accidents import Accident, Death, Error
from tests.simulation.hooks import Hooks
from tests.simulation.ports import OUTSIDE, READS, Crash, service_of
from tests.simulation.scenario import Step
from tests.simulation.state import Invocation, Message, State
from tests.simulation.timetable import next_meanwhile, next_message
from tests.simulation.world import World

#: More than any schedule takes, plus this many for each chunk and message. A run that gets here is
#: stuck.
MAX_INVOCATIONS = 300
INVOCATIONS_PER_CHUNK = 5
INVOCATIONS_PER_MESSAGE = 10


class Stuck(AssertionError):
    """The batch never comes to rest."""


@dataclass(frozen=True)
class Plan:
    """What is to happen in one invocation."""

    #: The scenario's action comes after this many moments; there is one before each call of a port.
    action_at: int | None = None
    #: What goes wrong in the action.
    in_action: Accident | None = None
    #: What goes wrong in the invocation.
    accident: Accident | None = None
    #: Whether to keep the state at each place where a crash would leave a different one.
    keeps_crashes: bool = False


class Running(Hooks):
    """An invocation that goes as planned. Whatever comes due during a slow call happens
    meanwhile."""

    def __init__(self, state: State, invocation: Invocation | None, plan: Plan) -> None:
        super().__init__(state)
        self._invocation = invocation
        self._plan = plan
        #: The moments so far.
        self.moments = 0
        self.has_acted = False
        #: The call that failed, or before which it died, in this invocation and in the action.
        #: Empty if there was no call with that number.
        self.hit = ""
        self.hit_in_action = ""
        #: What a crash leaves at each place.
        self.crashed: list[State] = []
        self._effects = 0
        self._fallible = 0
        self._fails_late = False
        self._writes_kept = -1

    def before(self, name: str) -> None:
        self.between()
        if name not in READS:
            self.keep()
            self._die(name)
        if name not in OUTSIDE:
            self._fail(name)

    def after(self, name: str) -> None:
        if self._fails_late:
            self._fails_late = False
            self.state.sent_unnoticed += service_of(name) == "queue"
            self._raise(name)

    def between(self) -> None:
        if self._plan.action_at == self.moments:
            self.has_acted = True
            steps = self.state.scenario.action
            self.hit_in_action = act(self.state, steps, self._invocation, self._plan.in_action)
        self.moments += 1

    def wait(self, seconds: float) -> None:
        until = self.state.now + timedelta(seconds=seconds)
        while upcoming := next_meanwhile(self.state, self._invocation, until):
            _undisturbed(self.state, upcoming)
        self.state.now = max(self.state.now, until)

    def keep(self) -> None:
        """Keep what a crash leaves here, if it differs from the last place."""
        is_before_the_action = self._plan.action_at is not None and not self.has_acted
        if not self._plan.keeps_crashes or is_before_the_action:
            return
        if self._writes_kept != self.state.writes:
            self._writes_kept = self.state.writes
            crashed = self.state.copy()
            crashed.note_death()
            self.crashed.append(crashed)

    def _die(self, name: str) -> None:
        death, number = self._plan.accident, self._effects
        self._effects += 1
        if isinstance(death, Death) and death.at == number:
            self.hit = name
            self.state.deaths += 1
            raise Crash

    def _fail(self, name: str) -> None:
        error, number = self._plan.accident, self._fallible
        self._fallible += 1
        if isinstance(error, Error) and error.at == number:
            self.hit = name
            self._fails_late = error.is_late
            if not error.is_late:
                self._raise(name)

    def _raise(self, name: str) -> None:
        self.state.note_error()
        raise Unavailable(f"{name} failed")


class _Nested(Running):
    """An invocation within another one: it has no moments of its own."""

    def between(self) -> None:
        """Nothing else runs in between."""


def run(state: State, invocation: Invocation, plan: Plan = Plan()) -> Running:
    """Run one invocation, as SQS or the schedule starts it, to its end or its death, and return
    what came of it."""
    started = start(state, invocation)
    running = Running(state, started, plan)
    if started is None:
        return running
    if started.step in _NOT_THE_CALLERS:
        _NOT_THE_CALLERS[started.step](state, None)
        return running
    try:
        World(state, running).invoke(started)
    except Crash:
        state.losses += 1
        return running
    except BatchbackError:
        state.losses += not running.hit
        return running
    running.keep()
    if started.function == "submit" and running.crashed:
        running.crashed[-1].batch_id = None  # the caller never hears of it
    state.delete(started.message)
    return running


def start(state: State, invocation: Invocation) -> Invocation | None:
    """Return the invocation with its message received. None if the message went to the dead
    letters, or was received in vain."""
    if invocation.function == "sweep":
        state.swept_at = state.now
    if invocation.message is None:
        return invocation
    message = state.receive(invocation.message)
    if message is None or _is_throttled(state, message.queue, message.receives):
        return None
    return Invocation(invocation.function, message)


def act(
    state: State,
    steps: tuple[Step, ...],
    running: Invocation | None = None,
    accident: Accident | None = None,
) -> str:
    """Perform the action, during an invocation or when all is at rest. Return the call that its
    accident hit, if any."""
    hit = ""
    for step in steps:
        if step in _NOT_THE_CALLERS:
            _NOT_THE_CALLERS[step](state, running)
        else:
            hit = _ask(state, step, running, None if hit else accident) or hit
    return hit


def most_invocations(state: State) -> int:
    chunks = state.scenario.jobs // state.scenario.chunk_size
    waiting = len(state.queue)  # many, after a storm that doubled them
    return MAX_INVOCATIONS + INVOCATIONS_PER_CHUNK * chunks + INVOCATIONS_PER_MESSAGE * waiting


def _is_throttled(state: State, queue: str, receives: int) -> bool:
    return queue == "jobs" and receives <= state.scenario.throttles


def _ask(state: State, step: Step, running: Invocation | None, accident: Accident | None) -> str:
    """Make the caller's request, and return which of its calls the accident hit."""
    asking = _Nested(state, running, Plan(accident=accident))
    try:
        World(state, asking).invoke(Invocation("act", step=step))
    except Crash:
        state.losses += 1
    return asking.hit


def _drain(state: State, running: Invocation | None) -> None:
    """Handle every other available message while one invocation is suspended."""
    state.overlaps += 1
    for _ in range(most_invocations(state)):
        upcoming = next_message(state, running)
        if upcoming is None:
            return
        _undisturbed(state, upcoming)
    raise Stuck("the messages on the queues never run out")


def _undisturbed(state: State, invocation: Invocation) -> None:
    """Run one invocation from its receipt to its end, within another."""
    started = start(state, invocation)
    if started is not None and _goes_well(state, started):
        state.delete(started.message)


def _goes_well(state: State, started: Invocation) -> bool:
    """Whether the invocation reached its end."""
    try:
        World(state, _Nested(state, started, Plan())).invoke(started)
    except (Crash, BatchbackError):
        state.losses += 1
        return False
    return True


def _sweep(state: State, running: Invocation | None) -> None:
    state.overlaps += 1
    _undisturbed(state, Invocation("sweep"))


def _again(state: State, running: Invocation | None) -> None:
    state.overlaps += 1
    if running is not None:
        _goes_well(state, running)


def _later(state: State, running: Invocation | None) -> None:
    state.overlaps += 1
    if running is not None and running.message is not None:
        state.put_again(running.message, delay_seconds=10)


def _revoke(state: State, running: Invocation | None) -> None:
    state.acted.append("revoke")
    state.is_key_revoked = True


def _expire(state: State, running: Invocation | None) -> None:
    state.begin_again()
    _undisturbed(state, Invocation("submit"))


def _lose(state: State, running: Invocation | None) -> None:
    state.losses += 1
    lost = [message for message in _waiting(state, running) if message.queue == "jobs"]
    state.queue = [message for message in state.queue if message not in lost]


def _double(state: State, running: Invocation | None) -> None:
    state.overlaps += 1
    for message in _waiting(state, running):
        if message.queue == "jobs":
            state.put_again(message, (message.visible_at - state.now).total_seconds())


def _delay(state: State, running: Invocation | None) -> None:
    state.overlaps += 1
    waiting = _waiting(state, running)
    later = [
        each._replace(visible_at=each.visible_at + state.scenario.away_for) for each in waiting
    ]
    state.queue = [message for message in state.queue if message not in waiting] + later


def _waiting(state: State, running: Invocation | None) -> list[Message]:
    """The messages that no worker has in hand."""
    in_hand = running.message.number if running and running.message else None
    return [message for message in state.queue if message.number != in_hand]


def _goes_away(service: str) -> Callable[[State, Invocation | None], None]:
    def go(state: State, running: Invocation | None) -> None:
        state.away[service] = state.now + state.scenario.away_for

    return go


def _platform_back(state: State, running: Invocation | None) -> None:
    state.away["platform"] = state.now


def _pause(state: State, running: Invocation | None) -> None:
    state.paused_at = state.now
    state.store.pause(Pause(until=state.now + state.scenario.away_for, reason="a test"))


def _resume(state: State, running: Invocation | None) -> None:
    state.store.pause(None)


#: Actions that are not the caller's.
_NOT_THE_CALLERS: dict[Step | None, Callable[[State, Invocation | None], None]] = {
    "drain": _drain,
    "sweep": _sweep,
    "again": _again,
    "later": _later,
    "revoke": _revoke,
    "expire": _expire,
    "lose": _lose,
    "double": _double,
    "delay": _delay,
    "database away": _goes_away("database"),
    "writes away": _goes_away("writes"),
    "queue away": _goes_away("queue"),
    "platform away": _goes_away("platform"),
    "platform back": _platform_back,
    "pause": _pause,
    "resume": _resume,
}
