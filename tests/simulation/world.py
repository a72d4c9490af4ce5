"""The service over one state, running one function at a time.

Everything that outlives a crash is plain data in `State`: the tables, the queues, what platform and
receiver have seen. What an invocation holds in memory dies with it. So the state after a crash
depends only on how many *effects* (writes, sends, calls, posts) took place before it. A crash
before each effect, and one after the last, covers a crash before and after every call of a port."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.batch import Batch
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.submission import Submission
from chalicelib.domain.trace import TraceContext
from chalicelib.errors import CallerError, ServiceError, TooManyRequests, Unavailable
from chalicelib.service import Service
from tests.fakes.ports import SETTINGS
from tests.samples import DEMO_CALLER, TERMS, some_jobs
from tests.simulation.hooks import Hooks
from tests.simulation.ports import CONDITIONAL, OUTSIDE, READS, Crash, ports_of, service_of
from tests.simulation.queues import TIMEOUTS
from tests.simulation.scenario import Step
from tests.simulation.state import RIVAL_KEY, Invocation, Message, State
from tests.simulation.witness import insist, note_change

IDEMPOTENCY_KEY = "once"
_TRACE = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "01")
#: What a container knows about the platform of an account.
_KNOWN = ("holds", "asked_at", "answered_at", "misses")


class World:
    """One invocation's world: a container that was started for it."""

    def __init__(self, state: State, hooks: Hooks | None = None) -> None:
        self.state = state
        self.hooks = hooks or Hooks(state)
        scenario = state.scenario
        settings = SETTINGS
        if not scenario.limits.are_off:
            settings = replace(
                SETTINGS,
                max_open_batches=scenario.limits.open_batches,
                max_jobs_per_minute=scenario.limits.jobs_per_minute,
            )
        self._service = Service(settings, ports_of(self))
        self._invocation: Invocation | None = None
        self._body: JobsMessage | None = None
        #: The head of the message in hand, as it was when the message was received.
        self._found: Batch | None = None
        self._began_at = state.now
        self._ahead = timedelta()
        self._key_was_revoked = False
        self._life = state.lives

    # What a function is given besides its ports

    def now(self) -> datetime:
        """The time by the clock of the running function."""
        return self.state.now + self._ahead

    def sleep(self, seconds: float) -> None:
        self.hooks.wait(seconds)

    def new_id(self) -> str:
        self.state.ids += 1
        return hashlib.md5(str(self.state.ids).encode(), usedforsecurity=False).hexdigest()

    def seconds_left(self) -> float:
        assert self._invocation is not None
        gone = (self.state.now - self._began_at).total_seconds()
        return TIMEOUTS[self._invocation.function] - gone

    def wait(self, seconds: float) -> None:
        """Let a call outside take this long. Lambda ends a function that takes too long."""
        if not seconds:
            return
        self.hooks.wait(seconds)
        if self.seconds_left() <= 0 and not self.state.scenario.outlives_its_time:
            raise Crash

    def is_about(self, batch_id: str) -> bool:
        """Whether it is the scenario's batch, in its current life."""
        head = self.state.head
        return head is not None and head.batch_id == batch_id and self._life == self.state.lives

    def insist_on_being_in_date(self) -> None:
        """Check at a call that the message in hand was valid for it when it was received."""
        body, head = self._body, self._found
        insist(
            body is not None
            and head is not None
            and (body.submission, body.round) == (head.submission, head.round),
            "no job is called for a message of another submission or round",
        )
        insist(not self._key_was_revoked, "no call is signed with a revoked key")
        is_over = head is not None and (head.cancelled or head.stopped)
        insist(not is_over, "no job is called for a batch that is cancelled or stopped")

    @property
    def round_in_hand(self) -> int:
        """The round of the message in hand."""
        return self._body.round if self._body else 0

    def pass_through(self, name: str, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Make one call of a port, with everything that may happen around it."""
        self.hooks.before(name)
        if name not in OUTSIDE and self._is_away(name):
            raise Unavailable(f"{name} failed")
        found = self.state.store.heads.get(args[0].batch_id) if name == "change" else None
        outage = self.state.store.outages.get(args[0]) if name == "move_outage" else None
        value = call(*args, **named)
        if name == "move_outage" and value:
            insist(outage == args[1], "only a worker that has read the current outage changes it")
        if name == "change":
            note_change(self.state, found, args[0], value)
        if name not in READS:
            self.state.writes += name not in CONDITIONAL or bool(value)
            self.state.note_open()
        self.hooks.after(name)
        return value

    def _is_away(self, name: str) -> bool:
        service = service_of(name)
        is_write = service == "database" and name not in READS
        return self.state.is_away(service) or (is_write and self.state.is_away("writes"))

    # What can be started

    def invoke(self, invocation: Invocation) -> None:
        """Run one function to its end. Raises what it raises; its message then comes again."""
        self._begin(invocation)
        if invocation.step is not None:
            self._act(invocation.step)
        elif invocation.message is not None:
            getattr(self, f"_{invocation.function}")(invocation.message)
        else:
            getattr(self, f"_{invocation.function}")()

    def submit_like(self, key: str) -> None:
        """Submit another batch of the scenario's kind."""
        self._begin(Invocation("submit"))
        self._submitter.submit_batch(DEMO_CALLER, self._submission(), b"{}", key)

    def is_locked_out(self, patience: timedelta) -> bool:
        """Whether the caller cannot submit another batch although it waits as long as it is asked
        to."""
        gives_up_at = self.state.now + patience
        while self.state.now < gives_up_at:
            try:
                self._submit_another(None)
            except TooManyRequests as refused:
                self.state.now += timedelta(seconds=refused.retry_after)
            else:
                return False
        return True

    def _begin(self, invocation: Invocation) -> None:
        self.state.note_index()
        self._invocation = invocation
        body = invocation.message.body if invocation.message else None
        self._body = body if isinstance(body, JobsMessage) else None
        self._found = self.state.store.heads.get(body.batch_id) if body else None
        self._began_at = self.state.now
        self._key_was_revoked = self.state.is_key_revoked
        self._ahead = timedelta(seconds=self.state.scenario.clocks.get(invocation.function, 0))

    def _act(self, step: Step) -> None:
        """Make the caller's request; the answer does not matter here."""
        self.state.acted.append(step)
        head = self.state.head
        with suppress(CallerError, ServiceError):
            if step == "submit":
                self._submit()
            elif step == "stop":
                self._stop()
            elif step == "rival":
                self._submit_another(RIVAL_KEY)
            elif head is not None:
                getattr(self._service.rerunner, step)(DEMO_CALLER, head.batch_id)
                self.state.granted.append(step)

    def _submit(self) -> None:
        self.state.submits += 1
        submitted = self._submitter.submit_batch(
            DEMO_CALLER, self._submission(), b"{}", IDEMPOTENCY_KEY
        )
        self.state.batch_id = submitted.batch_id

    def _stop(self) -> None:
        head = self.state.head
        if head is not None:
            elsewhere = self.state.failed(head) - head.answered.failed
            self._service.completion.stop_if_too_many_failed(head, elsewhere)

    def _submission(self) -> Submission:
        scenario = self.state.scenario
        return Submission(
            jobs=some_jobs(scenario.jobs),
            callback_url=TERMS.callback_url if scenario.has_callback else None,
            deadline=scenario.own_deadline,
            max_failed=scenario.max_failed,
            trace=_TRACE,
        )

    def _submit_another(self, key: str | None) -> None:
        submission = Submission(jobs=some_jobs(1), callback_url=TERMS.callback_url)
        self._submitter.submit_batch(DEMO_CALLER, submission, b"{}", key)

    @property
    def _submitter(self) -> Any:
        """A submitter with chunks of any size, which the settings do not allow for so few jobs."""
        scenario = self.state.scenario
        return replace(
            self._service.submitter,
            chunk_size=lambda _: scenario.chunk_size,
            deadline=scenario.deadline,
            expiry=scenario.expiry,
        )

    def _run_jobs(self, message: Message) -> None:
        if isinstance(message.body, Sentinel):
            self._service.checker.receive(message.body)
            return
        assert isinstance(message.body, JobsMessage)
        self._remember(message.body.account)
        self._service.runner.run_jobs(
            message.body, receive_count=message.receives, seconds_left=self.seconds_left
        )
        self._keep(message.body.account)

    def _remember(self, account: str) -> None:
        seen = self._service.watch._seen(account)
        for name, value in zip(_KNOWN, self.state.known.get(account, ()), strict=False):
            setattr(seen, name, value)

    def _keep(self, account: str) -> None:
        if self.state.scenario.is_warm:
            seen = self._service.watch._seen(account)
            self.state.known[account] = tuple(getattr(seen, name) for name in _KNOWN)

    def _advance_batch(self, message: Message) -> None:
        assert isinstance(message.body, BatchMessage)
        self._service.advancer.advance_batch(message.body, self.seconds_left)

    def _call_back(self, message: Message) -> None:
        assert isinstance(message.body, BatchMessage)
        self._service.delivery.call_back(message.body, self.seconds_left)

    def _bury_jobs(self, message: Message) -> None:
        if isinstance(message.body, JobsMessage):
            self._service.burier.bury_jobs(message.body)

    def _sweep(self) -> None:
        self._service.sweeper.sweep(self.seconds_left)
