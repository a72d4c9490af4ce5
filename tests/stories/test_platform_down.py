"""The platform goes away in the middle of a batch and comes back: jobs wait, and all succeed."""

import json
from datetime import timedelta

import pytest

from chalicelib.domain.outcome import NoReply, Reply
from tests.fakes.clock import START
from tests.fakes.http import Call, echo
from tests.stories.jobs import echoes, jobs
from tests.stories.on_moto import OnMoto

GONE_AT = START + timedelta(minutes=2)
BACK_AT = GONE_AT + timedelta(minutes=30)
GONE = NoReply(reason="no connection to the platform")


def deliver_all(life: OnMoto) -> None:
    """Deliver what is visible now, while no time passes."""
    for message in life.receive():
        life.deliver(message)
        life.delete(message)


@pytest.fixture
def down(life: OnMoto) -> OnMoto:
    def answer(call: Call) -> Reply | NoReply:
        return GONE if GONE_AT <= life.clock.now() < BACK_AT else echo(call)

    life.platform.answer = answer
    life.clock.set(GONE_AT)
    return life


def test_jobs_wait_for_half_an_hour_and_all_succeed(down: OnMoto) -> None:
    async_id = down.submit(jobs(40))
    down.work_off()
    assert down.responses(async_id) == echoes(40)
    progress = down.progress(async_id)
    assert (progress["jobs"]["failed"], progress["callback"]["status"]) == (0, "delivered")
    assert down.clock.now() < BACK_AT + timedelta(minutes=16)
    assert len(down.platform.calls) < 40 + 4 * (10 + 25) + 4 * len(down.journal.of("platform down"))
    [back] = down.journal.of("platform back")
    assert back["down_seconds"] >= 30 * 60
    assert down.journal.of("chunks sent again") == []


def test_the_caller_sees_what_they_wait_for_only_while_they_wait(down: OnMoto) -> None:
    async_id = down.submit(jobs(40))
    assert "waiting" not in down.progress(async_id)
    deliver_all(down)
    down.clock.advance(seconds=25)
    deliver_all(down)
    until = down.clock.now() + timedelta(minutes=1)
    waiting = {"for": "platform", "until": f"{until:%Y-%m-%d %H:%M:%S} UTC"}
    assert down.progress(async_id)["waiting"] == waiting
    down.work_off()
    assert "waiting" not in down.progress(async_id)


def test_a_lone_job_waits_too(down: OnMoto) -> None:
    async_id = down.submit(jobs(1))
    down.work_off()
    assert down.responses(async_id) == echoes(1)


def test_an_action_that_only_ever_answers_503_ends(life: OnMoto) -> None:
    life.platform.answer = lambda _: Reply(status=503)
    async_id = life.submit(jobs(1))
    life.work_off()
    [response] = life.responses(async_id)
    assert response["message"] == "Gave up after 5 attempts: HTTP 503"
    assert life.clock.now() > START + timedelta(hours=1)


def test_messages_of_a_release_that_knew_no_outages_wait_too(down: OnMoto) -> None:
    async_id = down.submit(jobs(40))
    for message in down.receive():
        fields = json.loads(message["Body"])
        for name in ("errors", "deadline", "away_since"):
            del fields[name]
        down.deliver({**message, "Body": json.dumps(fields)})
        down.delete(message)
    down.work_off()
    assert down.responses(async_id) == echoes(40)
