"""The log of whole stories: every line names its batch and account, from the request to the
callback."""

import json
from typing import Any

import pytest

from chalicelib.adapters.journal import METRICS
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.errors import FunctionFailed
from tests.stories.jobs import jobs
from tests.stories.on_moto import CALLBACK_URL, OnMoto
from tests.stories.outages import failing


def platform(call: Any) -> Reply | NoReply:
    """Answers one job, rejects another, and is too busy for the rest."""
    return {0: Reply(status=200, body=b"{}"), 1: Reply(status=404)}.get(
        call.params["n"], Reply(status=503)
    )


def lines(life: OnMoto) -> list[dict[str, Any]]:
    return [dict(line) for line in life.journal.lines]


def events(life: OnMoto) -> set[str]:
    return {line["event"] for line in lines(life)}


def is_of_all_batches(line: dict[str, Any]) -> bool:
    """Whether an event is about an account's platform, not about a single batch."""
    return line["event"] in {"platform down", "platform back"}


def lose_all(life: OnMoto) -> None:
    """Delete all messages on the queues."""
    for message in life.receive():
        life.delete(message)


def test_every_line_of_a_story_names_its_batch_and_account(life: OnMoto) -> None:
    life.platform.answer = platform
    life.receiver.answers = [Reply(status=503), Reply(status=410)]
    async_id = life.submit(jobs(4))
    life.ask("progress", {"async": async_id})
    life.call("results", {"async": async_id})
    life.work_off()
    life.clock.advance(hours=1)
    life.sweep()
    life.work_off()
    for action in ("restart", "cancel"):
        life.ask(action, {"async": async_id})
    life.work_off()
    life.ask("repost", {"async": async_id})
    life.work_off()
    assert events(life) >= {
        "batch accepted",
        "batch cancelled",
        "batch completed",
        "batch reposted",
        "batch restarted",
        "callback attempted",
        "call failed",
        "jobs held up",
        "jobs run",
        "platform down",
        "request",
    }
    assert {line.get("account") for line in lines(life)} == {"demo"}
    assert {line.get("batch_id") for line in lines(life) if not is_of_all_batches(line)} == {
        async_id
    }


def test_the_lines_about_trouble_do_too(life: OnMoto) -> None:
    """Messages are lost, late and redelivered."""
    async_id = life.submit(jobs(16))
    first = life.receive()[0]
    again = {**first["Attributes"], "ApproximateReceiveCount": "2"}
    life.deliver({**first, "Attributes": again})
    lose_all(life)
    life.clock.advance(minutes=40)
    lose_all(life)
    life.sweep()
    life.work_off()
    life.deliver(first)
    assert events(life) >= {
        "message split",
        "message out of date",
        "chunks sent again",
        "batch swept",
    }
    assert {(line.get("batch_id"), line.get("account")) for line in lines(life)} == {
        (async_id, "demo")
    }


def test_a_request_without_a_batch_names_its_account(life: OnMoto) -> None:
    life.ask("ping", {}, namespace="test")
    life.ask("list", {})
    life.call("progress", {"async": "no id"})
    life.call("run", {"jobs": []})
    assert [line["account"] for line in lines(life)] == ["demo"] * 4
    assert [line["batch_id"] for line in lines(life)] == [None] * 4


def test_a_stranger_is_not_named(life: OnMoto) -> None:
    """The names that an unauthenticated caller gives are not ours to log."""
    life.call("progress", {"async": "0" * 32}, Authorization="Basic eA==")
    [line] = lines(life)
    assert (line["status"], line["account"], line["batch_id"]) == (401, None, None)


def test_a_function_that_fails_names_its_batch_and_account(
    life: OnMoto, capsys: pytest.CaptureFixture[str]
) -> None:
    async_id = life.submit(jobs(1))
    [message] = life.receive()
    life.replace(platform=None)
    with pytest.raises(FunctionFailed):
        life.deliver(message)
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["function"]) == ("function failed", "run_jobs")
    assert (line["batch_id"], line["account"]) == (async_id, "demo")


def test_every_metric_of_the_runbook_comes_from_lines_that_are_written(life: OnMoto) -> None:
    """The lines have the fields that the metric reads."""
    life.platform.answer = platform
    life.receiver.answers = [Reply(status=503), Reply(status=410)]
    life.submit(jobs(3))
    lose_all(life)
    life.clock.advance(minutes=40)
    life.sweep()
    life.work_off()
    life.configure(MAX_OPEN_BATCHES="1")
    life.submit(jobs(1))
    life.call("run", {"jobs": jobs(1), "callbackUrl": CALLBACK_URL})
    [message] = life.receive()
    with failing(life.dynamodb, "Query"):
        life.deliver(message)
    life.work_off()
    given = {
        metric.name
        for line in lines(life)
        for metric in METRICS
        if metric.event == line["event"] and metric.value(line) not in (None, [])
    }
    rest = {metric.name for metric in METRICS} - given
    # The story of a job that kills its workers writes one; the failing function writes the other.
    assert rest == {"JobsBuried", "FunctionsFailed"}
