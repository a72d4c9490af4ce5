"""The batches of a sample: how a service on moto gets into their states, and how they end."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import boto3

from batchback_ops.keys import credentials
from batchback_ops.keys.table import KeyTable
from chalicelib.domain.outcome import NoReply, Reply
from tests.fakes.http import Call, Post, echo
from tests.formats.sample import items_of
from tests.stories.on_moto import CALLBACK_URL, OnMoto
from tests.stories.outages import failing

#: Three sweeps are enough unless messages are lost.
_MOST_SWEEPS = 30
#: Every optional key of `run`.
_WORDS = {
    "label": "orders of May",
    "metadata": {"order": "77", "café": "☕"},
    "callbackResults": "failed",
    "callbackHeaders": {"Authorization": "Bearer canary"},
    "deadlineMinutes": 600,
    "maxFailed": 30,
}
_TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Submit = Callable[[Sequence[Any]], str]


class WorkerDied(BaseException):
    """Ends the whole invocation, because no handler catches it."""


class DeadlyReceiver:
    """Kills the function that sends the callback."""

    def post(self, *_: object, **__: object) -> Reply:
        raise WorkerDied


class NeverEnded(AssertionError):
    """Some batches of a sample are due again and again, and never end."""


def jobs(total: int, action: str = "echo") -> list[dict[str, Any]]:
    return [
        {"namespace": "event", "action": action, "params": {"n": n, "text": "\u00e9", "f": 1.0}}
        for n in range(total)
    ]


def configure(life: OnMoto) -> None:
    life.configure(
        CALLBACK_REQUIRED="false",
        JOBS_PER_MESSAGE="5",
        MAX_JOBS_PER_MINUTE="1000",
        MAX_OPEN_BATCHES="50",
    )


def begin(life: OnMoto) -> dict[str, str]:
    """Submit batches and bring them into every possible state. Return their ids by what each one is
    for. Batches whose messages keep coming back begin first, because each of them receives the
    messages of all the others too."""
    configure(life)
    standing = _lost(life)
    in_words = partial(_submit_in_words, life)
    begun = {
        "delivered, and gave up on all jobs": _gave_up(life),
        "a job that kills its workers, dead and not buried": _poisoned(life),
        "under a marker": _marked(life),
        "handed on, because the database failed": _handed_on(life),
        "completed, its callback to be tried again": _callback_waiting(life, life.submit),
        "the same, with all that its caller may say": _callback_waiting(life, in_words),
        "half its jobs answered, one of them to be called again": _half_done(life, life.submit),
        "the same, with every word of its caller": _half_done(life, in_words),
        "cancelled, and nobody has looked yet": _cancelled(life),
        "stopped, and nobody has looked yet": _stopped(life),
        "leased by a sender that died": _leased(life),
        "without a callback": life.ask("run", {"jobs": jobs(2)})["asyncId"],
        "just submitted": submitted(life),
        "its messages are lost, and a sentinel waits": _with_a_sentinel(life, standing),
        "held up, because the platform is away": _held_up(life),
    }
    _rotate_the_key(life)
    life.receiver.posts.clear()
    life.platform.calls.clear()
    return begun


def _rotate_the_key(life: OnMoto) -> None:
    """The old secret, which signs every call here, expires a day later."""
    now = life.clock.now()
    KeyTable(boto3.client("dynamodb"), life.names.keys_table).rotate_key(
        "demo", lambda key: credentials.rotated(key.secrets, "newer", now, timedelta(hours=24))
    )


def end(life: OnMoto, begun: dict[str, str]) -> dict[str, Any]:
    """Run every batch to its end, and return the outcome of each."""
    life.clock.advance(seconds=721)  # received messages are visible again
    _sweep_until_nothing_is_due(life, begun)
    unanswered = begun["delivered, and gave up on all jobs"]
    before = _outcome(life, unanswered)
    life.ask("restart", {"async": unanswered})
    life.work_off()
    ended = {name: {"id": id, **_outcome(life, id)} for name, id in begun.items()}
    return {**ended, "before it was restarted": {"id": unanswered, **before}}


def _sweep_until_nothing_is_due(life: OnMoto, begun: dict[str, str]) -> None:
    for _ in range(_MOST_SWEEPS):
        still_due = [name for name, id in begun.items() if life.head(id).due_at]
        if not still_due:
            return
        life.sweep()
        life.work_off()
        life.clock.advance(minutes=5)
    raise NeverEnded(f"After {_MOST_SWEEPS} sweeps these are still due: {'; '.join(still_due)}")


def _outcome(life: OnMoto, async_id: str) -> dict[str, Any]:
    progress = life.progress(async_id)
    calls = [call for call in life.platform.calls if async_id in call.idempotency_key]
    posts = [post for post in life.receiver.posts if async_id.encode() in post.body]
    return {
        **{name: progress.get(name) for name in ("status", "jobs", "label", "metadata")},
        "callback": progress["callback"]["status"],
        "attempts": [_attempt(each) for each in progress["callback"]["history"]],
        "results": life.results(async_id).decode(),
        "details": [_details(each) for each in life.ask("results", _detailed(async_id))["results"]],
        "calls": sorted({f"{call.idempotency_key} {call.traceparent}" for call in calls}),
        "posts": [_post(each) for each in posts],
    }


def _attempt(attempt: Any) -> list[Any]:
    """An attempt without its time, which is random."""
    return [attempt[name] for name in ("status", "error", "tookMs")]


def _detailed(async_id: str) -> dict[str, Any]:
    return {"async": async_id, "detail": True}


def _details(result: Any) -> list[Any]:
    return [result.get(name) for name in ("id", "outcome", "httpStatus", "attempts", "tookMs")]


def _post(post: Post) -> dict[str, Any]:
    return {
        "webhook-id": post.headers["webhook-id"],
        "traceparent": post.headers.get("traceparent"),
        "private headers": dict(post.private_headers),
        "body": post.body.decode(),
    }


def _submit_in_words(life: OnMoto, jobs: Sequence[Any]) -> str:
    named = [{"id": f"job-{n}", **job} for n, job in enumerate(jobs)]
    body = {"jobs": named, "callbackUrl": CALLBACK_URL, **_WORDS}
    async_id: str = life.ask("run", body, traceparent=_TRACEPARENT)["asyncId"]
    return async_id


def _gave_up(life: OnMoto) -> str:
    life.platform.answer = lambda _: Reply(status=500)
    async_id = life.submit(jobs(3))
    life.work_off()
    life.platform.answer = echo
    return async_id


def _poisoned(life: OnMoto) -> str:
    def deadly(call: Call) -> Reply | NoReply:
        if call.action == "poison":
            raise WorkerDied
        return echo(call)

    life.platform.answer = deadly
    async_id = life.submit([*jobs(1), *jobs(1, "poison")])
    for _ in range(3):
        for message in life.receive():
            _deliver(life, message)
        life.clock.advance(seconds=361)
    life.receive()  # this moves it to the dead-letter queue
    life.platform.answer = echo
    return async_id


def _half_done(life: OnMoto, submit: Submit) -> str:
    """One chunk's message was sent on with a delay, for its one job that failed temporarily."""
    life.platform.answer = lambda call: (
        echo(call) if call.params["n"] else Reply(status=503, retry_after="600")
    )
    async_id = submit(jobs(40))
    mine = [message for message in life.receive() if async_id in message["Body"]]
    for message in mine[:4]:
        life.deliver(message)
        life.delete(message)
    life.platform.answer = echo
    return async_id


def _handed_on(life: OnMoto) -> str:
    """Its message met two errors: it waits for half a minute, and counts them."""
    async_id = life.submit(jobs(1))
    for _ in range(2):
        for message in life.receive():
            if async_id in message["Body"]:
                with failing(life.dynamodb, "Query"):
                    life.deliver(message)
                life.delete(message)
        life.clock.advance(seconds=10)
    return async_id


def _lost(life: OnMoto) -> str:
    async_id = life.submit(jobs(2))
    for message in life.receive():
        life.delete(message)
    return async_id


def _with_a_sentinel(life: OnMoto, async_id: str) -> str:
    """Its owner has it checked, minutes after the last check."""
    life.ask("restart", {"async": async_id})
    for message in life.receive():
        if async_id in message["Body"]:
            life.deliver(message)
            life.delete(message)
    assert life.head(async_id).sentinel_at
    return async_id


def _marked(life: OnMoto) -> str:
    """Its worker died twice, the second time under the marker."""
    life.platform.answer = _die
    async_id = life.submit(jobs(1))
    for _ in range(2):
        for message in life.receive():
            if async_id in message["Body"]:
                _deliver(life, message)
        life.clock.advance(seconds=361)
    life.platform.answer = echo
    return async_id


def _die(_: Call) -> Reply:
    raise WorkerDied


def _deliver(life: OnMoto, message: Any) -> None:
    try:
        life.deliver(message)
    except WorkerDied:
        return  # so it comes back
    life.delete(message)


def _cancelled(life: OnMoto) -> str:
    async_id = life.submit(jobs(40))
    first, *_ = [message for message in life.receive() if async_id in message["Body"]]
    life.deliver(first)
    life.delete(first)
    life.ask("cancel", {"async": async_id})
    return async_id


def _stopped(life: OnMoto) -> str:
    """More jobs failed than its caller allows, and most were not called."""
    life.platform.answer = lambda _: Reply(status=400)
    body = {"jobs": jobs(40), "callbackUrl": CALLBACK_URL, "maxFailed": 2}
    async_id: str = life.ask("run", body)["asyncId"]
    first, *_ = [message for message in life.receive() if async_id in message["Body"]]
    life.deliver(first)
    life.delete(first)
    life.platform.answer = echo
    assert life.head(async_id).stopped
    return async_id


def _leased(life: OnMoto) -> str:
    """Its callback may or may not have arrived."""
    async_id = life.submit(jobs(2))
    while not life.head(async_id).is_completed:
        _deliver_of(life, async_id)
    receiver = life.receiver
    life.replace(receiver=DeadlyReceiver())
    _deliver_of(life, async_id)
    life.replace(receiver=receiver)
    assert life.head(async_id).lease
    return async_id


def _deliver_of(life: OnMoto, async_id: str) -> None:
    for message in life.receive():
        if async_id in message["Body"]:
            _deliver(life, message)


def _held_up(life: OnMoto) -> str:
    life.clock.advance(minutes=2)  # so that the last answer does not prevent an outage
    life.platform.answer = lambda _: Reply(status=503)
    async_id = life.submit(jobs(40))
    _deliver_of(life, async_id)
    life.platform.answer = echo
    assert any("0#outage" in item["part"]["S"] for item in items_of(life.names.batches_table))
    return async_id


def _callback_waiting(life: OnMoto, submit: Submit) -> str:
    def slow(call: Call) -> Reply | NoReply:
        life.clock.advance(seconds=0.125)
        return echo(call)

    life.platform.answer = slow
    async_id = submit(jobs(2))
    life.receiver.answers = [Reply(status=500)] * 2
    while life.progress(async_id)["callback"]["attempts"] < 2:
        for message in life.receive():
            if json.loads(message["Body"])["batch"] == async_id:
                life.deliver(message)
                life.delete(message)
        life.clock.advance(seconds=5)
    life.platform.answer = echo
    return async_id


def submitted(life: OnMoto) -> str:
    """Submit a batch. Repeating this finds the same batch."""
    return life.submit(jobs(40), Idempotency_Key="frozen")
