"""Batches that are cancelled, restarted, reposted, or submitted again."""

import json

from chalicelib.domain.outcome import Reply
from tests.fakes.http import echo
from tests.samples import without_life
from tests.stories.jobs import echoes, jobs
from tests.stories.on_moto import CALLBACK_URL, OnMoto

CANCELLED = {"errorCode": 461, "message": "Cancelled"}
STOPPED = {"errorCode": 461, "message": "Stopped: more than 7 jobs failed"}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
KEY = {"Idempotency_Key": "order-4711"}


def webhook_ids(life: OnMoto) -> list[str]:
    return [without_life(post.headers["webhook-id"]) for post in life.receiver.posts]


def test_a_batch_is_cancelled_restarted_and_reposted(life: OnMoto) -> None:
    """Half of it runs, it is cancelled, the other half runs after a restart, and the callback,
    which could not be delivered, is sent again."""
    life.configure(JOBS_PER_MESSAGE="5")
    async_id = life.submit(jobs(40))
    for message in life.receive()[:4]:
        life.deliver(message)
        life.delete(message)
    life.ask("cancel", {"async": async_id})
    life.work_off()
    assert len(life.platform.calls) == 20
    assert life.progress(async_id)["status"] == "cancelled"
    assert life.responses(async_id) == [*echoes(40)[:20], *[CANCELLED] * 20]
    first_results = life.results(async_id)
    assert life.posts_of(async_id) == [first_results]
    assert webhook_ids(life) == [f"{async_id}-1"]

    life.receiver.answers = [Reply(status=410)]
    life.ask("restart", {"async": async_id})
    status, answer = life.call("results", {"async": async_id})
    assert (status, json.loads(answer)["specificCode"]) == (400, 24114)
    life.work_off()
    assert sorted(call.params["n"] for call in life.platform.calls) == [*range(40)]
    progress = life.progress(async_id)
    assert (progress["status"], progress["jobs"]["succeeded"]) == ("completed", 40)
    assert (progress["callback"]["status"], progress["callback"]["lastStatus"]) == ("failed", 410)
    assert life.responses(async_id) == echoes(40)
    second_results = life.results(async_id)

    life.ask("repost", {"async": async_id})
    life.work_off()
    assert life.progress(async_id)["callback"]["status"] == "delivered"
    assert life.posts_of(async_id) == [first_results, second_results, second_results]
    assert webhook_ids(life) == [f"{async_id}-1", f"{async_id}-2", f"{async_id}-2"]
    assert len(life.platform.calls) == 40
    [listed] = [batch for batch in life.ask("list", {})["results"] if batch["asyncId"] == async_id]
    assert (listed["status"], listed["progress"]) == ("completed", 100)


def test_a_batch_with_too_many_failed_jobs_is_stopped_and_then_restarted(life: OnMoto) -> None:
    """The first chunk may fail as a whole. All jobs of the second are called at the same time."""
    life.configure(JOBS_PER_MESSAGE="5")
    life.platform.answer = lambda _: Reply(status=404, body=b'{"errorCode":404}')
    run = {"jobs": jobs(40), "callbackUrl": CALLBACK_URL, "maxFailed": 7}
    async_id = life.ask("run", run, traceparent=TRACEPARENT)["asyncId"]
    life.work_off()
    called = len(life.platform.calls)
    assert 8 <= called <= 10
    assert life.progress(async_id)["status"] == "stopped"
    responses = life.responses(async_id)
    assert responses.count(STOPPED) == 40 - called
    assert responses.count({"errorCode": 404}) == called
    [post] = life.posts_of(async_id)
    counts = {"total": 40, "succeeded": 0, "failed": 40}
    assert (json.loads(post)["status"], json.loads(post)["jobs"]) == ("stopped", counts)

    life.ask("restart", {"async": async_id})
    life.work_off()
    assert sorted(call.params["n"] for call in life.platform.calls) == [*range(40)]
    assert life.progress(async_id)["status"] == "completed"
    assert life.responses(async_id) == [{"errorCode": 404}] * 40
    made = [call.traceparent for call in life.platform.calls]
    assert {each[:36] for each in made if each} == {TRACEPARENT[:36]}
    assert len({*made}) == 40


def test_a_restart_runs_only_the_jobs_whose_calls_never_got_an_answer(life: OnMoto) -> None:
    def half_down(call: object) -> Reply:
        answered = echo(call)  # type: ignore[arg-type]
        is_even = call.params["n"] % 2 == 0  # type: ignore[attr-defined]
        return answered if is_even and isinstance(answered, Reply) else Reply(status=503)

    life.platform.answer = half_down
    async_id = life.submit(jobs(10))
    life.work_off()
    assert life.progress(async_id)["jobs"]["failed"] == 5
    life.platform.calls.clear()
    life.platform.answer = echo
    life.ask("restart", {"async": async_id})
    life.work_off()
    assert sorted(call.params["n"] for call in life.platform.calls) == [1, 3, 5, 7, 9]
    assert life.responses(async_id) == echoes(10)
    assert webhook_ids(life) == [f"{async_id}-1", f"{async_id}-2"]


def test_a_receiver_that_was_down_later_gets_the_same_bytes_with_the_same_id(
    life: OnMoto,
) -> None:
    life.receiver.answers = [Reply(status=503), Reply(status=500)]
    async_id = life.submit(jobs(3))
    life.work_off()
    assert life.posts_of(async_id) == [life.results(async_id)] * 3
    assert set(webhook_ids(life)) == {f"{async_id}-1"}
    callback = life.progress(async_id)["callback"]
    assert (callback["status"], callback["attempts"]) == ("delivered", 3)


class TestIdempotencyKey:
    def test_the_same_request_again_is_the_same_batch_and_runs_once(self, life: OnMoto) -> None:
        async_id = life.submit(jobs(3), **KEY)
        assert life.submit(jobs(3), **KEY) == async_id
        life.work_off()
        assert life.submit(jobs(3), **KEY) == async_id
        life.work_off()
        assert len(life.platform.calls) == 3
        assert life.posts_of(async_id) == [life.results(async_id)]

    def test_another_request_under_the_same_key_is_refused_and_changes_nothing(
        self, life: OnMoto
    ) -> None:
        async_id = life.submit(jobs(3), **KEY)
        order = {"jobs": jobs(4), "callbackUrl": CALLBACK_URL}
        status, answer = life.call("run", order, **KEY)
        assert (status, json.loads(answer)["errorCode"]) == (409, 409)
        life.work_off()
        assert life.responses(async_id) == echoes(3)
        assert len(life.platform.calls) == 3

    def test_after_the_batch_expired_the_key_makes_a_new_batch_with_the_same_id(
        self, life: OnMoto
    ) -> None:
        async_id = life.submit(jobs(3), **KEY)
        life.work_off()
        life.clock.advance(hours=61)
        assert life.call("progress", {"async": async_id})[0] == 404
        assert life.submit(jobs(5, "anew"), **KEY) == async_id
        assert life.progress(async_id)["status"] == "running"
        life.work_off()
        assert life.responses(async_id) == echoes(5)
        assert len(life.platform.calls) == 8
        assert life.posts_of(async_id)[-1] == life.results(async_id)
