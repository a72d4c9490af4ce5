"""What an operator sees of a batch: everything of ours, and nothing of its caller's."""

import json
from datetime import timedelta
from typing import Any

import pytest

from batchback_ops.ops import batch_life
from chalicelib.domain.batch import (
    Answer,
    AnswersPart,
    Batch,
    CallbackAttempt,
    Chunk,
    Marker,
    SubmissionTerms,
    Verdict,
)
from chalicelib.domain.holds import Holds, Outage, Pause
from chalicelib.domain.states import CallbackState
from tests.fakes.clock import START
from tests.samples import a_batch, some_jobs, succeeded

FAILED = Answer(Verdict.FAILED, '{"errorCode":404,"message":"canary in an answer"}')
UNANSWERED = Answer(Verdict.UNANSWERED, '{"errorCode":461,"message":"HTTP 500"}')
NO_JSON = Answer(Verdict.FAILED, "canary")
HOLDS = Holds(
    outage=Outage.beginning(START), pause=Pause(until=START + timedelta(hours=1), reason="a move")
)
SECRET_URL = "https://me:canary@example.com:8443/canary/hook?token=canary"


def chunk(batch: Batch, number: int, answers: dict[int, Answer], **fields: Any) -> Chunk:
    indexes = batch.indexes(number)
    jobs = some_jobs(batch.total)[indexes.start : indexes.stop]
    part = AnswersPart(round=batch.round, number=0, answers=answers)
    return Chunk(**{"number": number, "indexes": indexes, "jobs": jobs, "parts": (part,), **fields})


@pytest.fixture
def told() -> dict[str, Any]:
    """Of eight jobs, two succeeded, three failed, one is unanswered, and two wait."""
    batch = a_batch(
        8,
        jobs_per_message=1,
        done=frozenset({0, 1, 2, 3, 4, 5}),
        attempts=2,
        history=(
            CallbackAttempt(at=START, status=503, error="HTTP 503", took_ms=12),
            CallbackAttempt(at=START),
        ),
        lease="token",
        next_try_at=START + timedelta(seconds=150),
    )
    answers = [succeeded(), succeeded(), FAILED, FAILED, NO_JSON, UNANSWERED]
    chunks = [chunk(batch, index, {index: answer}) for index, answer in enumerate(answers)]
    marker = Marker(round=1, hops=2, receive_count=3, deaths=1)
    chunks.append(chunk(batch, 6, {}, markers={6: marker}))
    chunks.append(chunk(batch, 7, {}, jobs=None))
    terms = SubmissionTerms(callback_url=SECRET_URL, request_hash="0" * 64)
    now = START + timedelta(seconds=1, milliseconds=5)
    return batch_life.life(batch, terms, chunks, HOLDS, now)


def test_jobs_are_counted_one_by_one_and_listed_if_they_failed_or_wait(
    told: dict[str, Any],
) -> None:
    assert told["jobs"] == {
        "total": 8,
        "succeeded": 2,
        "failed": 3,
        "unanswered": 1,
        "waiting": 2,
        "whichFailed": "2-4",
        "whichUnanswered": "5",
        "whichWait": "6-7",
        "errorCodes": {"404": 2, "none": 1, "461": 1},
        "unreadable": "7",
    }


def test_a_job_whose_worker_died_is_under_suspicion(told: dict[str, Any]) -> None:
    assert told["suspects"] == [{"index": 6, "chunk": 6, "round": 1, "deliveries": 3, "deaths": 1}]


def test_what_holds_up_its_jobs_is_shown(told: dict[str, Any]) -> None:
    assert (told["platformDown"], told["pause"]) == (
        {"since": "2026-11-23T14:49:07.000Z", "askedAgainAt": "2026-11-23T14:49:22.000Z"},
        {"until": "2026-11-23T15:49:07.000Z", "reason": "a move"},
    )


def test_the_callback_is_shown_with_only_the_host_of_its_address(
    told: dict[str, Any],
) -> None:
    assert told["callback"] == {
        "state": "waiting",
        "to": "https://example.com:8443",
        "series": 1,
        "attempts": 2,
        "attemptsLeft": 6,
        "lastStatus": 503,
        "lastError": "HTTP 503",
        "nextTryAt": "2026-11-02T10:02:30.000Z",
        "beingSentNow": True,
    } | {"nextTryAt": batch_life.time(START + timedelta(seconds=150))}


def test_nothing_that_callers_or_platforms_wrote_is_shown(told: dict[str, Any]) -> None:
    assert "canary" not in json.dumps(told)


def test_a_batch_without_a_callback_is_shown_too() -> None:
    batch = a_batch(callback=CallbackState.NONE)
    told = batch_life.life(batch, None, [], Holds(), START)
    assert (told["callback"]["to"], told["callback"]["state"]) == (None, "none")
    assert told["callback"]["beingSentNow"] is False


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([7], "7"), ([3, 1, 2], "1-3"), ([0, 1, 3, 5, 6], "0-1, 3, 5-6")],
)
def test_numbers_in_a_row_are_a_range(numbers: list[int], text: str) -> None:
    assert batch_life.ranges(numbers) == text


def test_times_are_as_the_log_has_them() -> None:
    assert batch_life.time(START.replace(microsecond=5_000)).endswith(".005Z")  # type: ignore[union-attr]
