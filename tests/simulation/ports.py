"""Every port of the service over a state, with the world's hooks around each call.

A call is an effect unless it is named among the reads: what an invocation read dies with it, what
it effected stays. So a new method of a port needs no line here, or one line if it only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.domain.account import Account, Key
from chalicelib.domain.batch import Batch, Chunk, Due
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.outcome import NoReply, Reply, is_away, retry_after
from chalicelib.operations.ports import Ports
from tests.fakes.dynamodb import FakeKeyStore
from tests.fakes.threads import FakeConcurrent
from tests.samples import DEMO_ACCOUNT, DEMO_KEY
from tests.simulation.behavior import Outcome
from tests.simulation.state import Body, Call, Post, State
from tests.simulation.witness import insist_on_a_new_id, insist_on_the_pause

if TYPE_CHECKING:
    from tests.simulation.world import World

READS = frozenset(
    {
        "find",
        "find_with_holds",
        "find_holds",
        "find_pause",
        "find_all",
        "find_terms",
        "find_due",
        "find_of_account",
        "find_key",
        "find_account",
        "load_chunk",
        "read_chunks",
    }
)
#: Writes that change nothing if their condition fails; they then return None or False.
CONDITIONAL = frozenset(
    {"change", "record", "reserve", "reserve_pruning", "begin_outage", "move_outage", "end_outage"}
)
#: What happens outside: a call may take time, and may kill, but never raises Unavailable.
OUTSIDE = frozenset({"call", "post"})
#: Which port a call belongs to; all others belong to the database.
_SERVICES = {"call": "platform", "post": "receiver", "find_key": "keys", "find_account": "keys"}


def service_of(name: str) -> str:
    return "queue" if name.startswith("send to ") else _SERVICES.get(name, "database")


class Crash(BaseException):
    """The process is gone."""


def ports_of(world: World) -> Ports:
    keys = Hooked(world, SimulatedKeys(world.state))
    return Ports(
        store=Hooked(world, SimulatedTables(world)),
        keys=keys,
        cached_keys=keys,
        queue=SimulatedQueue(world),
        platform=SimulatedPlatform(world),
        receiver=SimulatedReceiver(world),
        concurrent=FakeConcurrent(world.state.scenario.per_flush),
        concurrent_requests=FakeConcurrent(1_000),
        clock=world,
        journal=SimulatedJournal(world.state),
        new_id=world.new_id,
        random_unit=lambda: 1.0,
    )


class Hooked:
    """A port in memory whose every call passes the hooks."""

    def __init__(self, world: World, port: object) -> None:
        self._world = world
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return partial(self._world.pass_through, name, getattr(self._port, name))


class SimulatedTables:
    """The tables, plus what a real one adds: an index that lags, and reads of several pages."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._state = world.state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state.store, name)

    def find_due(self, now: datetime) -> Iterator[Due]:
        if not self._state.scenario.index_lags:
            return self._state.store.find_due(now)
        told = [Due(batch_id=id, due_at=at) for id, at in self._state.index.items() if at <= now]
        return iter(sorted(told, key=lambda due: due.due_at))

    def load_chunk(self, batch: Batch, chunk: int) -> Chunk:
        first_page = self._state.store.load_chunk(batch, chunk)
        if not self._state.scenario.reads_are_torn:
            return first_page
        self._world.hooks.between()
        return _and_then(first_page, self._state.store.load_chunk(batch, chunk))

    def read_chunks(self, batch: Batch, chunks: range) -> Iterator[Chunk]:
        for chunk in chunks:
            yield self.load_chunk(batch, chunk)


def _and_then(first_page: Chunk, second_page: Chunk) -> Chunk:
    """Read a chunk in two pages, the first of which ended after its last answers. Of what was put
    between the pages, the chunk holds only what sorts after them."""
    ends_at = max(((part.round, part.number) for part in first_page.parts), default=(0, 0))
    later = [part for part in second_page.parts if (part.round, part.number) > ends_at]
    return replace(second_page, parts=(*first_page.parts, *later))


class SimulatedKeys:
    """The demo key and its account, until the key is revoked."""

    def __init__(self, state: State) -> None:
        self._state = state

    def find_key(self, key: str) -> Key | None:
        found = _KEYS.find_key(key)
        return replace(found, is_revoked=True) if found and self._state.is_key_revoked else found

    def find_account(self, account: str) -> Account | None:
        return _KEYS.find_account(account)


class SimulatedQueue:
    """The queues. A request may take effect for only some of its messages, so each message is an
    effect."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send_jobs(self, messages: Sequence[JobsMessage], delay_seconds: int = 0) -> None:
        for message in messages:
            self._send("jobs", message, delay_seconds)

    def send_batch(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        self._send("batches", message, delay_seconds)

    def send_sentinel(self, sentinel: Sentinel, delay_seconds: int) -> None:
        self._send("jobs", sentinel, delay_seconds)

    def send_callback(self, message: BatchMessage, delay_seconds: int = 0) -> None:
        self._send("callbacks", message, delay_seconds)

    def _send(self, queue: str, body: Body, delay_seconds: int) -> None:
        name = f"send to {queue}"
        self._world.pass_through(name, self._world.state.put, queue, body, delay_seconds)


class SimulatedPlatform:
    """Answers as the scenario says, and records who called."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._state = world.state

    def prepare(self) -> None:
        """There is nothing to read."""

    def call(
        self,
        *,
        namespace: str,
        action: str,
        body: bytes,
        idempotency_key: str,
        traceparent: str | None,
        key: Key,
    ) -> Reply | NoReply:
        answer = partial(self._answer, idempotency_key, traceparent)
        answered: Reply | NoReply = self._world.pass_through("call", answer)
        return answered

    def _answer(self, idempotency_key: str, traceparent: str | None) -> Reply | NoReply:
        batch_id, _, number = idempotency_key.split("-")
        index = int(number)
        if not self._world.is_about(batch_id):
            self._state.others[f"call {batch_id}-{index}"] += 1
            self._world.wait(self._state.scenario.call_seconds)
            return Reply(status=200, body=b"{}")
        self._world.insist_on_being_in_date()
        insist_on_the_pause(self._state)
        insist_on_a_new_id(self._state, idempotency_key)
        state, began_at = self._state, self._state.now
        before = state.called[index]
        state.called[index] += 1
        if state.is_away("platform"):
            reply: Outcome = NoReply(reason="no connection")
        else:
            reply = state.scenario.platform(index, before)
        self._world.wait(state.scenario.call_seconds)
        state.calls.append(
            Call(
                job=index,
                round=self._world.round_in_hand,
                at=began_at,
                not_before=_not_before(reply, state.now),
                is_away=reply != "kill" and is_away(reply),
                status=reply.status if isinstance(reply, Reply) else None,
                idempotency_key=idempotency_key,
                traceparent=traceparent,
            )
        )
        if reply == "kill":
            raise Crash
        return reply


class SimulatedReceiver:
    """Answers as the scenario says, and records what it got."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._state = world.state

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        private_headers: Mapping[str, str],
        body: Sequence[bytes],
        timeout_seconds: float,
    ) -> Reply | NoReply:
        answer = partial(self._answer, headers["webhook-id"], b"".join(body))
        answered: Reply | NoReply = self._world.pass_through("post", answer)
        return answered

    def _answer(self, webhook_id: str, body: bytes) -> Reply | NoReply:
        batch_id, _, _ = webhook_id.split("-")
        if not self._world.is_about(batch_id):
            self._state.others[f"post {batch_id}"] += 1
            return Reply(status=200)
        insist_on_a_new_id(self._state, webhook_id)
        state, began_at = self._state, self._state.now
        number = len(state.posts)
        reply = state.scenario.receiver(number)
        is_accepted = isinstance(reply, Reply) and reply.status == 200
        takes = state.scenario.post_seconds[number : number + 1] or (0,)
        told = _not_before(reply, began_at + timedelta(seconds=takes[0]))
        state.posts.append(Post(webhook_id, body, began_at, told, is_accepted))
        state.posting += 1
        state.most_posting = max(state.most_posting, state.posting)
        try:
            self._world.wait(takes[0])
        finally:
            state.posting -= 1
        if reply == "kill":
            raise Crash
        return reply


def _not_before(reply: Outcome, now: datetime) -> datetime:
    """When the next attempt may come, according to the answer."""
    asked = retry_after(reply.retry_after, now) if isinstance(reply, Reply) else None
    return now + timedelta(seconds=asked or 0)


class SimulatedJournal:
    """Counts events."""

    def __init__(self, state: State) -> None:
        self._state = state

    def write(self, event: str, **fields: object) -> None:
        self._state.logged[event] += 1
        self._state.starts_over += event in ("chunks sent", "chunks sent again")


_KEYS = FakeKeyStore([DEMO_KEY], [DEMO_ACCOUNT])
