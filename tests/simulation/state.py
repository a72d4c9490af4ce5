"""What outlives a crash, as plain data: the tables, the queues, what platform and receiver saw."""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from chalicelib.domain.batch import AnswersPart, Batch
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.results import pieces, results_of, summary
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.samples import DEMO_CALLER, PLAIN_TERMS, a_batch, some_jobs
from tests.simulation.queues import QUEUES
from tests.simulation.scenario import Scenario, Step

#: Another account's batch, which nothing may touch.
BYSTANDER = "b" * 32
#: Another batch of the caller's, which competes with the first one for the account's limit.
RIVAL_KEY = "rival"
RIVAL = hashlib.sha256(f"{DEMO_CALLER.account}\n{RIVAL_KEY}".encode()).hexdigest()[:32]


class Message(NamedTuple):
    """A message in a queue."""

    number: int
    queue: str
    body: Body
    visible_at: datetime
    receives: int = 0


Body = JobsMessage | Sentinel | BatchMessage


@dataclass(frozen=True)
class Invocation:
    """One run of one function: for a message, for the schedule, or for the caller."""

    function: str
    message: Message | None = None
    #: What the caller requests.
    step: Step | None = None


class Call(NamedTuple):
    """What the platform saw and answered."""

    job: int
    round: int
    at: datetime
    #: When the job may be called again, according to the answer.
    not_before: datetime
    #: Whether the platform was away.
    is_away: bool
    #: None if no answer came.
    status: int | None
    #: How the call identified itself.
    idempotency_key: str
    traceparent: str | None


class Post(NamedTuple):
    """What the receiver saw, and whether it accepted it."""

    webhook_id: str
    body: bytes
    at: datetime
    #: When the next post may come, according to the answer.
    not_before: datetime
    is_accepted: bool


@dataclass
class State:
    """One moment of a simulated run."""

    scenario: Scenario
    now: datetime = START
    store: FakeBatchStore = field(default_factory=FakeBatchStore)
    queue: list[Message] = field(default_factory=list)
    #: How often each queue was sent to.
    sent: Counter[str] = field(default_factory=Counter)
    ids: int = 0
    #: How often each event was logged.
    logged: Counter[str] = field(default_factory=Counter)
    is_key_revoked: bool = False
    #: What the index of due times shows now, and what it will show next, if it lags.
    index: dict[str, datetime] = field(default_factory=dict)
    next_index: dict[str, datetime] = field(default_factory=dict)

    #: Until when each service is, or was, away.
    away: dict[str, datetime] = field(default_factory=dict)
    paused_at: datetime | None = None
    #: What a worker remembers about the platform of each account.
    known: dict[str, tuple[object, ...]] = field(default_factory=dict)

    #: How often each job was called, each call, and the calls of other batches.
    called: Counter[int] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    #: Deliveries under way now, and the highest number there ever was.
    posting: int = 0
    most_posting: int = 0
    #: The results of each round as they were when it was completed.
    completed: dict[int, bytes] = field(default_factory=dict)

    #: The answer that the caller got; None if there was none yet.
    batch_id: str | None = None
    submits: int = 0
    #: The caller's requests in order, and which of them were answered with success.
    acted: list[Step] = field(default_factory=list)
    granted: list[Step] = field(default_factory=list)
    reposted_at: datetime | None = None
    cancelled_at: datetime | None = None
    #: Which of the scenario's requests comes next, and whether the one at rest is still to come.
    asked: int = 0
    has_rested: bool = False
    #: How often anything was changed.
    writes: int = 0

    swept_at: datetime | None = None
    began_at: datetime = START
    #: How often the caller began again with this key after its batch had expired.
    lives: int = 1
    #: The ids of the calls and callbacks of earlier batches with this key.
    ids_before: frozenset[str] = frozenset()
    #: What the first batch with this key sent, which will arrive during the second.
    late: list[Message] = field(default_factory=list)
    #: Until when things may go wrong by chance.
    storm: timedelta = timedelta()
    #: The most batches of the caller that ever ran at the same time.
    most_open: int = 0
    #: Workers that died by accident; those killed by a poison job do not count.
    deaths: int = 0
    #: Calls of database and queue that failed by accident.
    errors: int = 0
    #: How often all unfinished chunks were sent, except by the submission.
    starts_over: int = 0
    #: Messages that were sent although the sender got an error.
    sent_unnoticed: int = 0
    #: Deliveries that ran concurrently.
    overlaps: int = 0
    #: Whether anything died, failed or got lost; afterwards, things may be late or done twice.
    losses: int = 0

    def copy(self) -> State:
        other = copy.copy(self)
        other.store = self.store.copy()
        other.queue = [*self.queue]
        other.sent = self.sent.copy()
        other.logged = self.logged.copy()
        other.away = dict(self.away)
        other.known = dict(self.known)
        other.index = dict(self.index)
        other.next_index = dict(self.next_index)
        other.called = self.called.copy()
        other.others = self.others.copy()
        other.calls = [*self.calls]
        other.posts = [*self.posts]
        other.completed = dict(self.completed)
        other.acted = [*self.acted]
        other.granted = [*self.granted]
        other.late = [*self.late]
        return other

    def put(self, queue: str, body: Body, delay_seconds: float = 0) -> None:
        """Put one message in the queue."""
        self.sent[queue] += 1
        visible_at = self.now + timedelta(seconds=delay_seconds)
        message = Message(self._number(), queue, body, visible_at)
        self.queue.append(message)
        if self.scenario.again_after_expiry and queue == "jobs" and self.lives == 1:
            self.late.append(message)

    def put_again(self, message: Message, delay_seconds: float = 0) -> None:
        """Let SQS deliver a message twice, which does not count as a receive."""
        visible_at = self.now + timedelta(seconds=delay_seconds)
        receives = max(0, message.receives - 1)
        again = message._replace(number=self._number(), visible_at=visible_at, receives=receives)
        self.queue.append(again)

    def receive(self, message: Message) -> Message | None:
        """Return the message with this delivery counted. None if it went to its dead letters."""
        kind = QUEUES[message.queue]
        self.queue.remove(message)
        if message.receives >= kind.max_receives:
            if kind.dead_letters:
                dead = message._replace(queue=kind.dead_letters, receives=0, visible_at=self.now)
                self.queue.append(dead)
            return None
        received = message._replace(
            receives=message.receives + 1, visible_at=self.now + kind.visibility
        )
        self.queue.append(received)
        return received

    def delete(self, message: Message | None) -> None:
        if message is not None:
            self.queue = [other for other in self.queue if other.number != message.number]

    def note_death(self) -> None:
        self.losses += 1
        self.deaths += 1

    def note_error(self) -> None:
        self.losses += 1
        self.errors += 1

    def is_away(self, what: str) -> bool:
        return what in self.away and self.now < self.away[what]

    def begin_again(self) -> None:
        """The batch has expired, and the caller submits again with the same key."""
        self.lives += 1
        self.now = max(self.now, self.began_at + self.scenario.expiry + timedelta(hours=1))
        self.began_at = self.now
        self.batch_id = None
        self.submits = 0
        self.ids_before |= {call.idempotency_key for call in self.calls}
        self.ids_before |= {post.webhook_id for post in self.posts}
        self.called = Counter()
        self.calls = []
        self.posts = []
        self.completed = {}
        self.queue = [message._replace(visible_at=self.now) for message in self.late]

    def note_index(self) -> None:
        """An invocation begins: the index has caught up with the one before."""
        self.index = self.next_index
        self.next_index = {
            head.batch_id: head.due_at for head in self.store.heads.values() if head.due_at
        }

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

    @property
    def head(self) -> Batch | None:
        return self.store.find(self.batch_id) if self.batch_id else self._only_head()

    @property
    def is_undisturbed(self) -> bool:
        """Whether nothing went wrong, and nobody interfered."""
        return not (self.losses or self.overlaps or self.acted or self.away or self.paused_at)

    def results(self, head: Batch) -> bytes:
        """The results, with what the callback adds after them."""
        terms = self.store.find_terms(head)
        more = summary(head, terms) if terms else {}
        texts = (
            result.text
            for chunk in self.store.read_chunks(head, head.chunks)
            for result in results_of(chunk, head.round)
        )
        return b"".join(pieces(head.batch_id, texts, more))

    def failed(self, head: Batch) -> int:
        """How many jobs failed, according to the record."""
        chunks = self.store.read_chunks(head, head.chunks)
        return sum(len(chunk.failed(head.round)) for chunk in chunks)

    def _only_head(self) -> Batch | None:
        others = (BYSTANDER, RIVAL)
        heads = [head for id, head in self.store.heads.items() if id not in others]
        return heads[0] if heads else None

    def _number(self) -> int:
        self.sent["all"] += 1
        return self.sent["all"]


def begin(scenario: Scenario) -> State:
    """The state before the caller submits, with another account's batch in it."""
    state = State(scenario=scenario)
    bystander = the_bystander()
    state.store.save_jobs(bystander, PLAIN_TERMS, some_jobs(2))
    state.store.commit(bystander, START)
    key = (BYSTANDER, bystander.submission, 0, 1, 0)
    state.store.answers[key] = AnswersPart(round=1, number=0, answers={})
    return state


@lru_cache
def the_bystander() -> Batch:
    """That batch as it is at first, and must be in the end."""
    return a_batch(2, batch_id=BYSTANDER, account="other", due_at=None, next_check_at=None)
