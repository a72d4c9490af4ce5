"""What a client that knows none of the optional keys of `run` does, and what others see of it."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NoReturn

from chalicelib.domain import signing
from chalicelib.domain.account import Header, PlatformAuth
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply
from chalicelib.errors import Unavailable
from tests.adapters.http_servers import OK, Seen, Server, a_platform, a_receiver, answering
from tests.app.conftest import Answer, Context, Front, basic
from tests.app.events import batch_event, jobs_event
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore, FakeKeyStore
from tests.fakes.http import Call
from tests.recordings.recording import Recorded, called, grown, posted, same, without_ids
from tests.samples import DEMO_KEY

#: Makes a service with these settings.
Serve = Callable[..., Front]
Story = Callable[[Serve], Iterator[Recorded]]

URL = "https://example.com/callback"
UNKNOWN = "0" * 32
JOB = {"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}
#: When callbacks are sent, no matter how long the jobs waited before.
_CALLED_BACK_AT = START + timedelta(hours=6)
_FOUR_CHUNKS = {"JOBS_PER_MESSAGE": "2"}


# --- what a caller sees of whole batches -------------------------------------------------------


def one_job(serve: Serve) -> Iterator[Recorded]:
    front = serve()
    yield grown("ping", front.call("test?action=ping", {}))
    ran, async_id = _run(front, [JOB])
    yield ran
    yield grown("progress before", _ask(front, "progress", async_id))
    yield same("results before", _ask(front, "results", async_id))
    yield grown("partial before", _ask(front, "results", async_id, partial=True))
    yield same("repost before", _ask(front, "repost", async_id))
    yield grown("list before", front.call("list", {}))
    _work_off(front, callbacks_at=None)
    yield from _end(front, async_id)
    yield grown("partial after", _ask(front, "results", async_id, partial=True))
    yield grown("page after", _ask(front, "results", async_id, start=0, perPage=10))
    yield grown("list after", front.call("list", {"start": 0, "perPage": 5}))
    yield same("cancel after", _ask(front, "cancel", async_id))


def one_job_without_an_idempotency_key(serve: Serve) -> Iterator[Recorded]:
    """Its id is random."""
    front = serve()
    answer = front.call("run", {"jobs": [JOB], "callbackUrl": URL})
    async_id: str = answer.json["asyncId"]
    _work_off(front)
    for name, body in [
        ("run", answer.body),
        ("callback", front.receiver.posts[0].body),
        ("results", _ask(front, "results", async_id).body),
    ]:
        drawn = body.replace(async_id.encode(), b"{drawn}")
        yield same(name, replace(answer, body=drawn))


def the_same_again(serve: Serve) -> Iterator[Recorded]:
    front = serve()
    ran, _ = _run(front, [JOB])
    yield ran
    again, _ = _run(front, [JOB])
    yield {**again, "may_grow": True}
    yield same("run with another body", _send(front, {"jobs": [JOB], "callbackUrl": URL + "2"}))


def without_a_callback(serve: Serve) -> Iterator[Recorded]:
    front = serve(CALLBACK_REQUIRED="false")
    answer = _send(front, {"jobs": [JOB], "callbackUrl": None})
    yield same("run", answer)
    _work_off(front, callbacks_at=None)
    yield from _end(front, answer.json["asyncId"])


def two_hundred_jobs(serve: Serve) -> Iterator[Recorded]:
    front = serve(JOBS_PER_MESSAGE="25")
    front.platform.answer = _echo
    jobs = [{"namespace": "story", "action": "work", "params": {"n": n}} for n in range(200)]
    ran, async_id = _run(front, jobs)
    yield ran
    _deliver_next(front, 2)
    yield grown("progress after two messages of eight", _ask(front, "progress", async_id))
    page = _ask(front, "results", async_id, partial=True, start=48, perPage=4)
    yield grown("partial page", page)
    _work_off(front)
    yield posted(front.receiver.posts[0])
    yield same("results", _ask(front, "results", async_id))
    for start in (0, 98, 197, 300):
        yield grown(f"page {start}", _ask(front, "results", async_id, start=start, perPage=3))


def values_that_are_hard_to_keep(serve: Serve) -> Iterator[Recorded]:
    front = serve(**_FOUR_CHUNKS)
    front.platform.answer = _echo
    jobs = ",".join(f'{{"namespace":"hard","action":"keep"{params}}}' for params in _hard_params())
    body = f'{{"jobs" : [{jobs}],"later":[1],"callbackUrl":"{URL}"}}'.encode()
    answer = _send(front, b"\xef\xbb\xbf" + body)
    yield same("run", answer)
    _work_off(front, callbacks_at=None)
    yield from _end(front, answer.json["asyncId"])


def answers_that_are_hard_to_keep(serve: Serve) -> Iterator[Recorded]:
    front = serve(**_FOUR_CHUNKS)
    bodies = _hard_answers()
    front.platform.answer = lambda call: Reply(status=200, body=bodies[call.params["n"]])
    jobs = [{"namespace": "hard", "action": "say", "params": {"n": n}} for n in range(len(bodies))]
    ran, async_id = _run(front, jobs)
    yield ran
    _work_off(front, callbacks_at=None)
    yield from _end(front, async_id)


def every_outcome(serve: Serve) -> Iterator[Recorded]:
    """Includes a restart, which runs only the jobs that got no answer."""
    front = serve(**_FOUR_CHUNKS)
    front.platform.answer = _say
    ran, async_id = _run(front, [{"namespace": "story", "action": action} for action in _SAYS])
    yield ran
    _work_off(front)
    yield from _each_once(front.platform.calls)
    yield posted(front.receiver.posts[0])
    yield same("results", _ask(front, "results", async_id))
    yield grown("page", _ask(front, "results", async_id, start=2, perPage=3))
    front.platform.calls.clear()
    front.platform.answer = _echo
    yield same("restart", _ask(front, "restart", async_id))
    yield same("results while it runs again", _ask(front, "results", async_id))
    _work_off(front)
    yield from _each_once(front.platform.calls)
    yield posted(front.receiver.posts[1])
    yield same("results of round 2", _ask(front, "results", async_id))


def a_cancelled_batch(serve: Serve) -> Iterator[Recorded]:
    """It is cancelled after one of three chunks, and restarted later."""
    front = serve(**_FOUR_CHUNKS)
    front.platform.answer = _echo
    ran, async_id = _run(front, [{**JOB, "params": {"n": n}} for n in range(6)])
    yield ran
    _deliver_next(front, 1)
    yield same("cancel", _ask(front, "cancel", async_id))
    _work_off(front, callbacks_at=None)
    yield from _end(front, async_id)
    yield same("restart", _ask(front, "restart", async_id))
    _work_off(front)
    yield posted(front.receiver.posts[1])
    yield same("results of round 2", _ask(front, "results", async_id))


def a_batch_past_its_deadline(serve: Serve) -> Iterator[Recorded]:
    front = serve(**_FOUR_CHUNKS)
    ran, async_id = _run(front, [{**JOB, "params": {"n": n}} for n in range(3)])
    yield ran
    _deliver_next(front, 1)
    front.queue.jobs.clear()
    front.clock.advance(hours=13)
    front.service.sweeper.sweep(lambda: 60.0)
    _work_off(front, callbacks_at=None)
    yield from _end(front, async_id)


def a_revoked_key(serve: Serve) -> Iterator[Recorded]:
    front = serve()
    ran, async_id = _run(front, [JOB, JOB])
    yield ran
    front.keys.keys["demo"] = replace(DEMO_KEY, is_revoked=True)
    _work_off(front, callbacks_at=None)
    yield same("run", _send(front, {"jobs": [JOB], "callbackUrl": URL}))
    front.keys.keys["demo"] = DEMO_KEY
    yield from _end(front, async_id)


def callbacks_that_fail(serve: Serve) -> Iterator[Recorded]:
    """Retries send the same bytes, and a callback that failed for good can be reposted."""
    front = serve()
    ran, async_id = _run(front, [JOB])
    yield ran
    front.receiver.answers = [Reply(status=500), Reply(status=410)]
    _work_off(front)
    front.clock.set(_CALLED_BACK_AT + timedelta(hours=1))
    _work_off(front)
    yield from map(posted, front.receiver.posts)
    yield same("repost", _ask(front, "repost", async_id))
    front.receiver.posts.clear()
    _work_off(front, callbacks_at=_CALLED_BACK_AT + timedelta(hours=2))
    yield from map(posted, front.receiver.posts)
    yield same("results", _ask(front, "results", async_id))


# --- what is refused ---------------------------------------------------------------------------


def refused_submissions(serve: Serve) -> Iterator[Recorded]:
    front = serve()
    for name, body in _bad_submissions().items():
        yield same(name, front.call("run", body))
    answer = _send(front, {"jobs": [JOB], "callbackUrl": URL}, key=" ")
    yield same("an Idempotency-Key that is none", answer)
    front = serve(MAX_JOBS_PER_BATCH="1000")
    jobs = [JOB] * 1001
    yield same("1001 jobs of 1000", front.call("run", {"jobs": jobs, "callbackUrl": URL}))


def refused_calls(serve: Serve) -> Iterator[Recorded]:
    front = serve()
    for name, (action, body) in _bad_calls().items():
        yield same(name, front.call(action, body))
    yield same("another method", front.send("/api/1.0/batch?action=run", method="PUT"))
    for name, headers in _bad_headers().items():
        yield same(name, front.send("/api/1.0/batch?action=run", b"{}", headers=headers))
    front = serve(BASIC_AUTH="false")
    yield same("Basic where it is switched off", front.call("run", {}))


def refused_for_now(serve: Serve) -> Iterator[Recorded]:
    request = {"jobs": [JOB], "callbackUrl": URL}
    for setting in ("MAX_OPEN_BATCHES", "MAX_JOBS_PER_MINUTE"):
        front = serve(**{setting: "1"})
        front.call("run", request)
        yield same(setting, front.call("run", request))
    front = serve()
    front.replace(store=_Full())
    yield same("not saved", front.call("run", request))
    front.replace(keys=_Broken())
    yield same("an error of ours", front.call("run", request))
    yield from _too_late(serve)


def _too_late(serve: Serve) -> Iterator[Recorded]:
    front = serve()
    _, async_id = _run(front, [JOB])
    _work_off(front)
    front.clock.set(START + timedelta(hours=59))
    yield same("restart in the last hours", _ask(front, "restart", async_id))
    front.clock.set(START + timedelta(hours=61))
    for action in ("progress", "results", "restart", "repost", "cancel"):
        yield same(f"{action} of an expired batch", _ask(front, action, async_id))


# --- what goes over the wire -------------------------------------------------------------------


def on_the_wire(serve: Serve) -> Iterator[Recorded]:
    """Uses the adapters of production, with each way to authenticate."""
    for auth, header in [
        (PlatformAuth.NONE, None),
        (PlatformAuth.HEADER, ("X-Platform-Token", "t0ken")),
        (PlatformAuth.IWS, None),
    ]:
        front = serve(ALLOWED_CALLBACK_NETWORKS="127.0.0.1/32")
        with Server(answering(OK)) as server:
            yield from _over(server, front, auth, header)


def _over(
    server: Server, front: Front, auth: PlatformAuth, header: Header | None
) -> Iterator[Recorded]:
    platform = a_platform(server.address, auth=auth, header=lambda: header)
    platform.prepare()
    front.replace(platform=platform, receiver=a_receiver())
    url = f"{server.address}/hook?token=1"
    async_id = _send(front, {"jobs": [JOB], "callbackUrl": url}).json["asyncId"]
    _work_off(front)
    call, post = server.seen
    yield _seen(f"call ({auth.value})", call, server)
    yield _seen("callback", post, server)
    yield same("results", _ask(front, "results", async_id))


def _seen(name: str, seen: Seen, server: Server) -> Recorded:
    host = seen.headers["host"].replace(str(server.port), "port")
    return {
        "name": name,
        "target": seen.target,
        "headers": without_ids({**seen.headers, "host": host}),
        "body": seen.body.decode(),
    }


# --- how a story goes on -----------------------------------------------------------------------


def _send(front: Front, body: object, key: str = "story") -> Answer:
    """Submit with an Idempotency-Key, so that the id is always the same."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {**basic("demo", "demo-secret"), "Idempotency-Key": key}
    return front.send("/api/1.0/batch?action=run", raw, headers=headers)


def _run(front: Front, jobs: Sequence[object]) -> tuple[Recorded, str]:
    answer = _send(front, {"jobs": jobs, "callbackUrl": URL})
    return same("run", answer), answer.json["asyncId"]


def _ask(front: Front, action: str, async_id: str, **more: object) -> Answer:
    return front.call(action, {"async": async_id, **more})


def _end(front: Front, async_id: str) -> Iterator[Recorded]:
    """What everybody sees of a batch that has ended."""
    yield from map(called, front.platform.calls)
    yield from map(posted, front.receiver.posts)
    yield grown("progress", _ask(front, "progress", async_id))
    yield same("results", _ask(front, "results", async_id))


def _each_once(calls: Sequence[Call]) -> Iterator[Recorded]:
    """The calls without repetitions: all calls of a job are the same."""
    return map(called, dict.fromkeys(calls))


def _work_off(front: Front, callbacks_at: datetime | None = _CALLED_BACK_AT) -> None:
    """Run all jobs to their end, however long they wait. Then make one attempt at the callback, at
    the given time or later."""
    import app

    while front.queue.jobs or front.queue.batches:
        for message, delay in front.queue.take_jobs():
            front.clock.advance(seconds=delay)
            _deliver(message)
        for check, _ in front.queue.take_batches():
            app.advance_batch(batch_event(check), Context(120))
    if callbacks_at:
        front.clock.set(max(callbacks_at, front.clock.now()))
    for callback, _ in front.queue.take_callbacks():
        app.call_back(batch_event(callback), Context(120))


def _deliver_next(front: Front, count: int) -> None:
    waiting = front.queue.take_jobs()
    for message, _ in waiting[:count]:
        _deliver(message)
    front.queue.jobs += waiting[count:]


def _deliver(message: JobsMessage) -> None:
    import app

    app.run_jobs(jobs_event(message), Context(60))


# --- what is sent and said ---------------------------------------------------------------------


def _echo(call: Call) -> Reply:
    """Answer with the bytes of the request."""
    return Reply(status=200, body=b'{"echo": ' + call.body + b"}")


#: What the platform answers to each action, at every call.
_SAYS: dict[str, Reply | NoReply] = {
    "succeeds": Reply(status=200, body=b'{"ok": true}'),
    "saysNothing": Reply(status=204),
    "isRefused": Reply(status=400, body=b'{"errorCode": 24004, "message": "No such event"}'),
    "isRefusedWith200": Reply(status=200, body=b'{"errorCode": 24004}'),
    "isNotFound": Reply(status=404, body=b"<html>Not found</html>"),
    "isNotJson": Reply(status=200, body=b'<html>"Welcome"\r\n\xff</html>'),
    "isTooLarge": Reply(
        status=200, body=b"x" * MAX_ANSWER_BYTES, is_cut=True, declared_bytes=3_000_000
    ),
    "breaks": Reply(status=500, body=b"{}"),
    "asksToWait": Reply(status=429, retry_after="3"),
    "mayNotBeCalled": NoReply(reason="the key has no secret to sign with", is_final=True),
    "hangs": NoReply(reason="no answer within 30 seconds"),
}


def _say(call: Call) -> Reply | NoReply:
    return _SAYS[call.action]


def _hard_params() -> list[str]:
    return [
        "",
        ',"params":null',
        ',"params":[]',
        ',"params":{}',
        ',"params": { "b" : 1.0 , "a" : -0.0 , "c" : 1E300, "d": 1e-7, "e": 0.1 }',
        ',"params":{"big":' + "9" * 60 + ',"small":-9007199254740993}',
        ',"params":{"\u00e9":"\u00fc\u20ac\U0001f600","escaped":"\\u00e9\\ud83d\\ude00\\/"}',
        ',"params":{"lone":"\\ud83d","control":"\\u0000\\u001f\\u007f","line":"\\u2028\u2029"}',
        ',"params":{"quoted":"\\"\\\\","tab":"\\t","":""},"comment":"ignored"',
        ',"params":{"deep":[[[[{"a":[{}]}]]]],"null":null,"yes":true,"no":false}',
    ]


def _hard_answers() -> list[bytes]:
    return [
        b'{"b": 1.0, "a": 1E400, "c": -0.0}',
        b" [ 1 , 2.50 ]\r\n",
        b'"\\ud83d \\u00e9 \xc3\xa9"',
        b"null",
        b"\xef\xbb\xbf{}",
        b"9" * 60,
        b'{"a": 1, "a": 2}',
        b'{"n": NaN}',
        b'{"cut": ',
    ]


def _bad_submissions() -> dict[str, object]:
    def with_job(**fields: object) -> object:
        return {"jobs": [JOB, {**JOB, **fields}], "callbackUrl": URL}

    return {
        "no JSON": b"{",
        "NaN": b'{"jobs": [NaN]}',
        "a number that no double holds": b'{"jobs": [1E400]}',
        "a name twice": b'{"jobs": [], "jobs": []}',
        "no UTF-8": b"\xff\xfe",
        "too deep": b"[" * 100_000,
        "a text": b'"text"',
        "nothing": b"",
        "an empty array": b"[]",
        "no jobs": {"callbackUrl": URL},
        "empty jobs": {"jobs": [], "callbackUrl": URL},
        "jobs that are a text": {"jobs": "all", "callbackUrl": URL},
        "jobs that are an object": {"jobs": {"0": JOB}, "callbackUrl": URL},
        "201 jobs": {"jobs": [JOB] * 201, "callbackUrl": URL},
        "a job that is a text": {"jobs": ["a"], "callbackUrl": URL},
        "no namespace": {"jobs": [{"action": "a"}], "callbackUrl": URL},
        "an empty action": with_job(action=""),
        "an action that is a number": with_job(action=1),
        "an action that is no name": with_job(action="a b"),
        "a long namespace": with_job(namespace="n" * 65),
        "the namespace batch": with_job(namespace="Batch"),
        "params that are a text": with_job(params="a=b"),
        "params that are an array": with_job(params=[1]),
        "large params": with_job(params={"a": "x" * 200_000}),
        "a lone surrogate as a name": with_job(action="\ud83d"),
        "more than 20 faults": {"jobs": [{}] * 30},
        "faults of several kinds": {"jobs": [{**JOB, "action": ""}, 5], "callbackUrl": "ftp://a"},
        "no callbackUrl": {"jobs": [JOB]},
        **{f"callbackUrl {url!r}": {"jobs": [JOB], "callbackUrl": url} for url in _bad_urls()},
        "a long callbackUrl": {"jobs": [JOB], "callbackUrl": f"https://example.com/{'x' * 2048}"},
        "over the limit": b" " * 3_500_001,
    }


def _bad_urls() -> list[object]:
    return [
        5,
        "",
        "callback",
        "ftp://example.com",
        "http://10.0.0.1/",
        "http://localhost/",
        "https://user:password@example.com/",
        "https://example.com/#part",
        "https://example.com:22/",
    ]


def _bad_calls() -> dict[str, tuple[str, object]]:
    return {
        "progress without an id": ("progress", {}),
        "an id that is a number": ("progress", {"async": 5}),
        "progress of an unknown batch": ("progress", {"async": UNKNOWN}),
        "results of an unknown batch": ("results", {"async": UNKNOWN}),
        "results of what is no id": ("results", {"async": "../../etc"}),
        "restart of an unknown batch": ("restart", {"async": UNKNOWN}),
        "repost of an unknown batch": ("repost", {"async": UNKNOWN}),
        "cancel of an unknown batch": ("cancel", {"async": UNKNOWN}),
        "start below 0": ("results", {"async": UNKNOWN, "start": -1}),
        "start that is true": ("results", {"async": UNKNOWN, "start": True}),
        "perPage over 1000": ("results", {"async": UNKNOWN, "perPage": 1001}),
        "perPage that is a text": ("results", {"async": UNKNOWN, "perPage": "10"}),
        "partial that is a number": ("results", {"async": UNKNOWN, "partial": 1}),
        "an unknown action": ("nonsense", {}),
        "no action": ("", {}),
        "an unknown namespace": ("event?action=run", {}),
    }


def _bad_headers() -> dict[str, dict[str, str]]:
    good = basic("demo", "demo-secret")
    return {
        "no credentials": {},
        "a wrong secret": basic("demo", "wrong"),
        "an unknown key": basic("nobody", "demo-secret"),
        "a stale signature": signing.iws_headers(
            key="demo",
            secret="demo-secret",
            target="/api/1.0/batch?action=run",
            body=b"{}",
            now=START - timedelta(minutes=6),
            content_type="application/json",
        ),
        "another media type": {**good, "Content-Type": "text/plain"},
        "another charset": {**good, "Content-Type": "application/json; charset=latin-1"},
        "a compressed body": {**good, "Content-Encoding": "gzip"},
    }


class _Full(FakeBatchStore):
    def save_jobs(self, *_: object) -> NoReturn:
        raise Unavailable("down")


class _Broken(FakeKeyStore):
    def find_key(self, key: str) -> NoReturn:
        raise RuntimeError(key)


STORIES: tuple[Story, ...] = (
    one_job,
    one_job_without_an_idempotency_key,
    the_same_again,
    without_a_callback,
    two_hundred_jobs,
    values_that_are_hard_to_keep,
    answers_that_are_hard_to_keep,
    every_outcome,
    a_cancelled_batch,
    a_batch_past_its_deadline,
    a_revoked_key,
    callbacks_that_fail,
    refused_submissions,
    refused_calls,
    refused_for_now,
    on_the_wire,
)
