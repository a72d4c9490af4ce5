"""A world that can be copied, crashed and set going again.

Everything that outlives a crash is plain data in `State`: the tables, the queues, what platform and
receiver have seen. What an invocation holds in its hands dies with it. So the state after a crash
depends only on how many *effects* (writes, sends, calls, posts) took place before it, and crashing
after 0, 1, 2, ... effects of every invocation is crashing before and after every call of a port.
"""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chalicelib.domain.account import Key
from chalicelib.domain.batch import AnswersPart, Batch, Chunk, Due, Job, Marker, SubmissionTerms
from chalicelib.domain.limits import AccountUsage, Admission, Slot
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.results import pieces, results_of
from chalicelib.domain.submission import Submission
from chalicelib.domain.transitions import Change
from chalicelib.errors import CallerError, ServiceError, TooManyRequests
from chalicelib.operations.ports import Ports
from chalicelib.service import Service
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore, FakeKeyStore
from tests.fakes.ports import SETTINGS
from tests.fakes.threads import FakeConcurrent
from tests.samples import DEMO_ACCOUNT, DEMO_CALLER, DEMO_KEY, TERMS, a_batch, some_jobs
from tests.simulation.scenario import Scenario

#: Seconds until a message whose function died is seen again: as in the template.
VISIBILITY = {"jobs": 360, "batches": 720, "jobs-dead": 360}
MAX_BATCH_RECEIVES = 5
MINUTE = timedelta(minutes=1)
IDEMPOTENCY_KEY = "once"
BYSTANDER = "b" * 32
#: Another batch of the caller's, which competes with the first for what both may have going.
RIVAL_KEY = "rival"
RIVAL = hashlib.sha256(f"{DEMO_CALLER.account}\n{RIVAL_KEY}".encode()).hexdigest()[:32]


class Crash(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Message:
    """A message in a queue."""

    number: int
    queue: str
    body: JobsMessage | BatchMessage
    visible_at: datetime
    receives: int = 0


@dataclass(frozen=True)
class Invocation:
    """One run of one function: for a message, for the schedule, or for the caller."""

    function: str
    message: Message | None = None


@dataclass
class State:
    """What outlives a crash."""

    scenario: Scenario
    now: datetime = START
    store: FakeBatchStore = field(default_factory=FakeBatchStore)
    queue: list[Message] = field(default_factory=list)
    sent: int = 0
    ids: int = 0
    platform_calls: Counter[int] = field(default_factory=Counter)
    posts: list[tuple[str, bytes]] = field(default_factory=list)
    posts_taken: Counter[str] = field(default_factory=Counter)
    #: The results of each round as they were when it was completed.
    completed: dict[int, bytes] = field(default_factory=dict)
    #: What the caller was answered; None: nothing yet.
    batch_id: str | None = None
    submits: int = 0
    effects: int = 0
    #: After how many effects the caller acts; None: not, or already.
    action_at: int | None = None
    acted: list[str] = field(default_factory=list)
    swept_at: datetime | None = None
    began_at: datetime = START
    has_begun_again: bool = False
    #: How long things may go wrong by chance.
    storm: timedelta = timedelta()
    #: The most batches of the caller's that ever ran at the same time.
    most_open: int = 0
    #: Workers that died by accident; a poison job's do not count.
    deaths: int = 0
    #: Deliveries that ran side by side.
    overlaps: int = 0
    #: Whatever died, failed or got lost: after it something may be late, or be done twice.
    losses: int = 0

    def copy(self) -> State:
        other = copy.copy(self)
        other.store = self.store.copy()
        other.queue = [*self.queue]
        other.platform_calls = Counter(self.platform_calls)
        other.posts = [*self.posts]
        other.posts_taken = Counter(self.posts_taken)
        other.completed = dict(self.completed)
        other.acted = [*self.acted]
        return other

    def begin_again(self) -> None:
        """The batch has expired, and the caller submits again with the same key."""
        self.has_begun_again = True
        self.now += timedelta(hours=61)
        self.began_at = self.now
        self.batch_id = None
        self.platform_calls = Counter()
        self.posts = []
        self.posts_taken = Counter()
        self.completed = {}

    @property
    def head(self) -> Batch | None:
        return self.store.find(self.batch_id) if self.batch_id else self._only_head()

    def _only_head(self) -> Batch | None:
        others = (BYSTANDER, RIVAL)
        heads = [head for id, head in self.store.heads.items() if id not in others]
        return heads[0] if heads else None

    def note_open(self) -> None:
        if self.scenario.limits.are_off:
            return
        running = [
            head
            for head in self.store.heads.values()
            if head.account == DEMO_CALLER.account
            and head.is_running
            and not head.is_expired(self.now)
        ]
        self.most_open = max(self.most_open, len(running))

    def results(self, head: Batch) -> bytes:
        texts = (
            result.text
            for chunk in self.store.read_chunks(head, head.chunks)
            for result in results_of(chunk, head.round)
        )
        return b"".join(pieces(head.batch_id, texts))


#: Called before each call of a port, with its name and whether it is an effect.
Hook = Callable[[str, bool], None]


class World:
    """The service over one state. `before` and `after` are called around every port call."""

    def __init__(self, state: State, before: Hook, after: Hook) -> None:
        self.state = state
        self.before = before
        self.after = after
        scenario = state.scenario
        self.service = Service(
            replace(
                SETTINGS,
                max_open_batches=scenario.limits.open_batches,
                max_jobs_per_minute=scenario.limits.jobs_per_minute,
            ),
            SimulatedPorts(self).as_ports(),
        )
        #: Chunks of any size, which the settings do not give for so few jobs.
        self._submitter = replace(self.service.submitter, chunk_size=lambda _: scenario.chunk_size)

    def new_id(self) -> str:
        self.state.ids += 1
        return hashlib.md5(str(self.state.ids).encode(), usedforsecurity=False).hexdigest()

    def invoke(self, invocation: Invocation) -> None:
        """Runs one function to its end. Raises what it raises: then its message comes again."""
        getattr(self, f"_{invocation.function}")(invocation.message)

    def act(self, action: str) -> None:
        """The caller does something; what it is told is no matter here."""
        self.state.acted.append(action)
        head = self.state.head
        with suppress(CallerError, ServiceError):
            if action == "submit":
                self._submit(None)
            elif action == "rival":
                self._submit_another(RIVAL_KEY)
            elif head is not None:
                getattr(self.service.rerunner, action)(DEMO_CALLER, head.batch_id)

    def _submit(self, _: None) -> None:
        self.state.submits += 1
        submission = Submission(
            jobs=some_jobs(self.state.scenario.jobs), callback_url=TERMS.callback_url
        )
        self.state.batch_id = self._submitter.submit_batch(
            DEMO_CALLER, submission, b"{}", IDEMPOTENCY_KEY
        )

    def _submit_another(self, key: str | None) -> None:
        submission = Submission(jobs=some_jobs(1), callback_url=TERMS.callback_url)
        self._submitter.submit_batch(DEMO_CALLER, submission, b"{}", key)

    def is_locked_out(self, patience: timedelta) -> bool:
        """Whether the caller cannot submit another batch, though it waits as long as it is told."""
        gives_up_at = self.state.now + patience
        while self.state.now < gives_up_at:
            try:
                self._submit_another(None)
            except TooManyRequests as refused:
                self.state.now += timedelta(seconds=refused.retry_after)
            else:
                return False
        return True

    def _run_jobs(self, message: Message) -> None:
        assert isinstance(message.body, JobsMessage)
        self.service.runner.run_jobs(
            message.body, receive_count=message.receives, seconds_left=lambda: 60.0
        )

    def _advance_batch(self, message: Message) -> None:
        assert isinstance(message.body, BatchMessage)
        self.service.advancer.advance_batch(message.body, lambda: 120.0)

    def _bury_jobs(self, message: Message) -> None:
        assert isinstance(message.body, JobsMessage)
        self.service.burier.bury_jobs(message.body)

    def _sweep(self, _: None) -> None:
        self.service.sweeper.sweep(lambda: 50.0)


class SimulatedPorts:
    """Every port at once, over the state, with the hooks around each call."""

    def __init__(self, world: World) -> None:
        self._world = world

    def as_ports(self) -> Ports:
        return Ports(
            store=self,
            keys=self,
            cached_keys=self,
            queue=self,
            platform=self,
            receiver=self,
            concurrent=FakeConcurrent(self._state.scenario.per_flush),
            clock=self,
            journal=self,
            new_id=self._world.new_id,
            random_unit=lambda: 1.0,
        )

    @property
    def _state(self) -> State:
        return self._world.state

    def _read(self, name: str, call: Callable[[], Any]) -> Any:
        self._world.before(name, False)
        value = call()
        self._world.after(name, False)
        return value

    def _effect(self, name: str, call: Callable[[], Any]) -> Any:
        self._world.before(name, True)
        self._state.effects += 1
        value = call()
        self._state.note_open()
        self._world.after(name, True)
        return value

    # Clock, journal, keys

    def now(self) -> datetime:
        return self._state.now

    def write(self, event: str, **fields: object) -> None:
        return None

    def find_key(self, key: str) -> Key | None:
        found: Key | None = self._read("find_key", lambda: _KEYS.find_key(key))
        return found

    def find_account(self, account: str) -> Any:
        return self._read("find_account", lambda: _KEYS.find_account(account))

    # Store

    def find(self, batch_id: str) -> Batch | None:
        found: Batch | None = self._read("find", lambda: self._state.store.find(batch_id))
        return found

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        found: dict[str, Batch] = self._read(
            "find_all", lambda: self._state.store.find_all(batch_ids)
        )
        return found

    def find_terms(self, batch: Batch) -> SubmissionTerms | None:
        found: SubmissionTerms | None = self._read(
            "find_terms", lambda: self._state.store.find_terms(batch)
        )
        return found

    def save_jobs(self, batch: Batch, terms: SubmissionTerms, jobs: Sequence[Job]) -> None:
        self._effect("save_jobs", lambda: self._state.store.save_jobs(batch, terms, jobs))

    def commit(self, batch: Batch, now: datetime) -> Batch | None:
        done: Batch | None = self._effect("commit", lambda: self._state.store.commit(batch, now))
        return done

    def void(self, batch: Batch, now: datetime) -> Batch | None:
        done: Batch | None = self._effect("void", lambda: self._state.store.void(batch, now))
        return done

    def change(self, batch: Batch, change: Change) -> Batch | None:
        done: Batch | None = self._effect("change", lambda: self._changed(batch, change))
        return done

    def _changed(self, batch: Batch, change: Change) -> Batch | None:
        after = self._state.store.change(batch, change)
        if after and after.batch_id != RIVAL and change.put.get("completed_at") is not None:
            self._state.completed[after.round] = self._state.results(after)
        return after

    def load_chunk(self, batch: Batch, chunk: int) -> Chunk:
        found: Chunk = self._read("load_chunk", lambda: self._state.store.load_chunk(batch, chunk))
        return found

    def record(self, batch: Batch, chunk: int, part: AnswersPart) -> bool:
        done: bool = self._effect("record", lambda: self._state.store.record(batch, chunk, part))
        return done

    def mark(self, batch: Batch, chunk: int, index: int, marker: Marker) -> None:
        self._effect("mark", lambda: self._state.store.mark(batch, chunk, index, marker))

    def unmark(self, batch: Batch, chunk: int, index: int) -> None:
        self._effect("unmark", lambda: self._state.store.unmark(batch, chunk, index))

    def find_due(self, now: datetime) -> Iterator[Due]:
        found: Iterator[Due] = self._read("find_due", lambda: self._state.store.find_due(now))
        return found

    def reserve(self, due: Due, until: datetime) -> Batch | None:
        done: Batch | None = self._effect("reserve", lambda: self._state.store.reserve(due, until))
        return done

    def find_of_account(self, account: str, since: datetime) -> Iterator[str]:
        return self._state.store.find_of_account(account, since)

    def read_chunks(self, batch: Batch, chunks: range) -> Iterator[Chunk]:
        found: Iterator[Chunk] = self._read(
            "read_chunks", lambda: self._state.store.read_chunks(batch, chunks)
        )
        return found

    def admit(self, account: str, admission: Admission) -> AccountUsage:
        done: AccountUsage = self._effect(
            "admit", lambda: self._state.store.admit(account, admission)
        )
        return done

    def undo_admission(self, account: str, admission: Admission) -> None:
        undo = self._state.store.undo_admission
        self._effect("undo_admission", lambda: undo(account, admission))

    def vacate(self, account: str, slots: Collection[Slot]) -> None:
        self._effect("vacate", lambda: self._state.store.vacate(account, slots))

    def reserve_pruning(self, account: str, seen: datetime | None, now: datetime) -> bool:
        reserve = self._state.store.reserve_pruning
        done: bool = self._effect("reserve_pruning", lambda: reserve(account, seen, now))
        return done

    # Queue

    def send_jobs(self, messages: Sequence[JobsMessage], delay_seconds: int = 0) -> None:
        for message in messages:  # a request may take effect for some of its messages only
            self._effect("send_jobs", partial(self._put, "jobs", message, delay_seconds))

    def send_batch(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        self._effect("send_batch", lambda: self._put("batches", message, delay_seconds))

    def _put(self, queue: str, body: JobsMessage | BatchMessage, delay_seconds: int) -> None:
        visible_at = self._state.now + timedelta(seconds=delay_seconds)
        self._state.sent += 1
        self._state.queue.append(Message(self._state.sent, queue, body, visible_at))

    # Platform and receiver

    def prepare(self) -> None:
        """There is nothing to read."""

    def call(
        self, *, namespace: str, action: str, body: bytes, idempotency_key: str, key: Key
    ) -> Reply | NoReply:
        batch_id, _, number = idempotency_key.rpartition("-")
        if batch_id == RIVAL:
            return self._effect("call", lambda: Reply(status=200, body=b"{}"))  # type: ignore[no-any-return]
        index = int(number)
        done: Reply | NoReply = self._effect("call", lambda: self._called(index))
        return done

    def _called(self, index: int) -> Reply | NoReply:
        before = self._state.platform_calls[index]
        self._state.platform_calls[index] += 1
        reply = self._state.scenario.platform(index, before)
        if reply == "kill":
            raise Crash
        return reply

    def post(
        self, url: str, *, headers: Mapping[str, str], body: Sequence[bytes], timeout_seconds: float
    ) -> Reply | NoReply:
        done: Reply | NoReply = self._effect("post", lambda: self._posted(headers, b"".join(body)))
        return done

    def _posted(self, headers: Mapping[str, str], body: bytes) -> Reply | NoReply:
        if headers["webhook-id"].startswith(RIVAL):
            return Reply(status=200)
        reply = self._state.scenario.receiver(len(self._state.posts))
        webhook_id = headers["webhook-id"]
        self._state.posts.append((webhook_id, body))
        if reply == "kill":
            raise Crash
        if isinstance(reply, Reply) and reply.status == 200:
            self._state.posts_taken[webhook_id] += 1
        return reply


_KEYS = FakeKeyStore([DEMO_KEY], [DEMO_ACCOUNT])


def begin(scenario: Scenario) -> State:
    """The state before the caller submits, with somebody else's batch in it."""
    state = State(scenario=scenario)
    bystander = a_batch(2, batch_id=BYSTANDER, account="other", due_at=None, next_check_at=None)
    state.store.save_jobs(bystander, TERMS, some_jobs(2))
    state.store.commit(bystander, START)
    state.store.answers[(BYSTANDER, bystander.submission, 0, 1, 0)] = AnswersPart(
        round=1, number=0, answers={}
    )
    return state
