"""One batch from the caller's request to the callback, with different sizes and jobs."""

import json

import pytest

from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply
from tests.fakes.http import Call, echo
from tests.samples import without_life
from tests.stories.jobs import echoes, jobs
from tests.stories.on_moto import CALLBACK_URL, OnMoto


class TestSizes:
    @pytest.mark.parametrize("total", [1, 200])
    def test_every_job_runs_once_and_one_callback_equals_results(
        self, life: OnMoto, total: int
    ) -> None:
        async_id = life.submit(jobs(total))
        assert life.progress(async_id)["status"] == "running"
        life.work_off()
        assert sorted(call.params["n"] for call in life.platform.calls) == [*range(total)]
        assert life.responses(async_id) == echoes(total)
        [post] = life.receiver.posts
        assert (post.url, post.body) == (CALLBACK_URL, life.results(async_id))
        progress = life.progress(async_id)
        assert (progress["progress"], progress["status"]) == (100, "completed")
        done = {"total": total, "succeeded": total, "failed": 0, "waiting": 0, "unanswered": 0}
        assert progress["jobs"] == done
        assert progress["callback"]["status"] == "delivered"

    @pytest.mark.parametrize(("total", "per_message", "messages"), [(40, 1, 40), (200, 25, 8)])
    def test_a_batch_takes_as_many_messages_as_the_deployment_says(
        self, life: OnMoto, total: int, per_message: int, messages: int
    ) -> None:
        life.configure(JOBS_PER_MESSAGE=str(per_message))
        async_id = life.submit(jobs(total))
        waiting = life.receive()
        assert len(waiting) == messages
        for message in waiting:
            life.deliver(message)
            life.delete(message)
        life.work_off()
        assert life.responses(async_id) == echoes(total)
        assert life.posts_of(async_id) == [life.results(async_id)]

    def test_pages_of_results_add_up_to_the_whole(self, life: OnMoto) -> None:
        async_id = life.submit(jobs(200))
        life.work_off()
        whole = json.loads(life.results(async_id))["results"]
        pages = [
            json.loads(life.results(async_id, start=start, perPage=70))
            for start in range(0, 210, 70)
        ]
        assert [result for page in pages for result in page["results"]] == whole
        assert [page["meta"]["count"] for page in pages] == [70, 70, 60]


#: The platform's answers to each action, call by call; the last is repeated.
SAYS: dict[str, list[Reply | NoReply]] = {
    "refused": [Reply(status=400, body=b'{"errorCode":400,"message":"\'n\' is odd"}')],
    "hangs": [NoReply(reason="no answer within 30 seconds")],
    "recovers": [Reply(status=500), Reply(status=500), Reply(status=200, body=b'{"third":true}')],
    "html": [Reply(status=200, body=b"<html>Welcome</html>")],
    "large": [
        Reply(
            status=200,
            body=b"x" * MAX_ANSWER_BYTES,
            is_cut=True,
            declared_bytes=3_000_000,
        )
    ],
}
ODD_JOBS = [jobs(1, action)[0] for action in [*SAYS, "well"]]


def say(life: OnMoto, call: Call) -> Reply | NoReply:
    """Answer a call as the story says."""
    if call.action not in SAYS:
        return echo(call)
    replies: list[Reply | NoReply] = SAYS[call.action]
    said: int = sum(other.action == call.action for other in life.platform.calls)
    return replies[min(said, len(replies)) - 1]


class TestOddJobs:
    """One batch with every kind of trouble in it."""

    @pytest.fixture
    def life(self, life: OnMoto) -> OnMoto:
        life.platform.answer = lambda call: say(life, call)
        return life

    def test_each_job_gets_its_own_response_and_delays_no_other(self, life: OnMoto) -> None:
        async_id = life.submit(ODD_JOBS)
        life.work_off()
        refused, hangs, recovers, html, large, well = life.responses(async_id)
        assert refused == {"errorCode": 400, "message": "'n' is odd"}
        assert hangs["errorCode"] == 461
        assert "no answer within 30 seconds" in hangs["message"]
        assert recovers == {"third": True}
        assert (html["errorCode"], html["body"]) == (461, "<html>Welcome</html>")
        assert (
            large["message"] == f"response of 3000000 bytes is over the limit of {MAX_ANSWER_BYTES}"
        )
        assert well == {"echo": {"n": 0}}
        assert life.posts_of(async_id) == [life.results(async_id)]
        assert life.progress(async_id)["jobs"] == {
            "total": 6,
            "succeeded": 2,
            "failed": 4,
            "waiting": 0,
            "unanswered": 1,
        }

    def test_only_jobs_that_may_still_succeed_are_retried(self, life: OnMoto) -> None:
        life.submit(ODD_JOBS)
        life.work_off()
        tries = {job["action"]: 0 for job in ODD_JOBS}
        for call in life.platform.calls:
            tries[call.action] += 1
        in_an_outage = tries.pop("hangs")  # which costs no attempts for an hour
        assert 5 < in_an_outage < 20
        assert tries == {
            "refused": 1,
            "recovers": 3,
            "html": 1,
            "large": 1,
            "well": 1,
        }

    def test_every_attempt_at_a_job_carries_the_same_idempotency_key(self, life: OnMoto) -> None:
        async_id = life.submit(ODD_JOBS)
        life.work_off()
        keys = {(call.action, without_life(call.idempotency_key)) for call in life.platform.calls}
        assert keys == {
            (job["action"], f"{async_id}-{index}") for index, job in enumerate(ODD_JOBS)
        }
