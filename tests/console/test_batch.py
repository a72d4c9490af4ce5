"""One batch: its terms, its grid and its counts, even if the stored data is damaged."""

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.batch import Answer, AnswersPart, Batch, LastCall, SubmissionTerms, Verdict
from chalicelib.domain.trace import TraceContext
from tests.console.asking import Page, console_of
from tests.console.local_service import local_tools
from tests.operations.world import World
from tests.samples import TERMS, succeeded, unanswered

SECRET_URL = "https://me:canary@example.com:8443/canary/hook?token=canary"


def failed(text: str, status: int) -> Answer:
    return Answer(Verdict.FAILED, text, LastCall(http_status=status, attempts=1, took_ms=5))


def show(page: Page, batch: Batch) -> dict[str, Any]:
    answer: dict[str, Any] = page.gets(f"/batches/{batch.batch_id}")
    return answer


def answer_all(world: World, batch: Batch, *answers: Answer) -> None:
    """Answer one job per chunk."""
    for index, answer in enumerate(answers):
        part = AnswersPart(round=1, number=0, answers={index: answer})
        world.store.record(batch, index, part)


def test_it_has_what_the_row_has_and_its_terms(world: World, local: Page) -> None:
    trace = TraceContext(trace_id="ab" * 16, flags="01")
    batch = world.submitted(8, terms=TERMS, label="nightly", max_failed=3, trace=trace)
    shown = show(local, batch)
    (row,) = local.gets("/batches")["batches"]
    assert row.items() <= shown.items()
    told = {
        "key": "demo",
        "isCancelled": False,
        "isStopped": False,
        "maxFailed": 3,
        "submittedDeadlineMinutes": 90,
        "callbackUrl": "https://example.com/callback",
        "callbackResults": "failed",
        "callbackHeaderNames": ["Authorization"],
        "metadata": {"order": "77"},
        "traceId": "ab" * 16,
        "roundBeganAt": "2026-11-23T14:49:07.000Z",
        "dueAt": "2026-11-23T14:50:07.000Z",
        "nextCheckAt": "2026-11-23T14:50:07.000Z",
        "damage": None,
        "exact": {"succeeded": 0, "failed": 0, "unanswered": 0, "waiting": 8},
        "grid": "wwwwwwww",
        "byStatus": [],
        "byError": [],
    }
    assert told.items() <= shown.items()
    assert [action["name"] for action in shown["actions"]] == [
        *("restart", "repost", "cancel", "rerunFailed")
    ]


def test_jobs_are_counted_one_by_one(world: World, local: Page) -> None:
    """The list counts only jobs of finished chunks."""
    batch = world.submitted(8, jobs_per_message=1)
    gone = failed('{"errorCode":404,"message":"No such contact"}', 404)
    answer_all(world, batch, succeeded(), gone, gone, unanswered(), failed("no", 400))
    shown = show(local, batch)
    assert shown["grid"] == "sffufwww"
    assert shown["exact"] == {"succeeded": 1, "failed": 3, "unanswered": 1, "waiting": 3}
    assert shown["byStatus"] == [
        {"status": None, "count": 2},
        {"status": 404, "count": 2},
        {"status": 400, "count": 1},
    ]
    assert shown["byError"] == [
        {"error": "404 No such contact", "outcome": "f", "count": 2},
        {"error": "461 HTTP 500", "outcome": "u", "count": 1},
        {"error": "400 no", "outcome": "f", "count": 1},
    ]


def test_of_many_different_errors_the_twenty_most_frequent_are_shown(
    world: World, local: Page
) -> None:
    batch = world.submitted(30, jobs_per_message=1)
    answer_all(world, batch, *(failed(f"error {index}", 400) for index in range(30)))
    assert len(show(local, batch)["byError"]) == 20


def test_of_a_stages_receiver_only_the_host_is_shown(
    world: World, local: Page, stage: Page
) -> None:
    terms = SubmissionTerms(callback_url=SECRET_URL, request_hash="0" * 64)
    batch = world.submitted(terms=terms)
    assert show(stage, batch)["callbackUrl"] == "https://example.com:8443"
    assert show(local, batch)["callbackUrl"] == SECRET_URL


@pytest.mark.parametrize("id", ["0" * 32, "nothing", "../../etc/passwd", "0" * 31 + "G", "é" * 32])
def test_a_batch_that_does_not_exist_is_not_found(stage: Page, id: str) -> None:
    answer = stage.asks("GET", f"/batches/{id}")
    assert answer.status == 404
    assert set(answer.body) == {"error"}


def test_an_expired_batch_is_not_found(world: World, stage: Page) -> None:
    batch = world.submitted()
    world.clock.set(batch.expires_at)
    assert stage.asks("GET", f"/batches/{batch.batch_id}").status == 404


class TestDamagedTerms:
    @pytest.fixture(
        params=[
            ValueError("Expecting value"),
            KeyError("request_hash"),
            TypeError("'NoneType' object is not subscriptable"),
            None,
        ]
    )
    def batch(
        self, world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Batch:
        """A batch whose stored terms cannot be read, hold something else, or are gone."""

        def find_terms(_: Batch) -> SubmissionTerms | None:
            if isinstance(request.param, Exception):
                raise request.param
            return request.param  # type: ignore[no-any-return]

        batch = world.submitted(terms=TERMS)
        monkeypatch.setattr(world.store, "find_terms", find_terms)
        return batch

    def test_the_batch_is_shown_and_says_what_is_missing(self, stage: Page, batch: Batch) -> None:
        shown = show(stage, batch)
        assert "damaged" in shown["damage"]
        assert shown["grid"] == "www"
        assert (shown["callbackUrl"], shown["metadata"]) == (None, {})
        assert shown["callbackHeaderNames"] == []

    def test_its_callback_is_shown_too(self, stage: Page, batch: Batch) -> None:
        shown = stage.gets(f"/batches/{batch.batch_id}/callback")
        assert "damaged" in shown["damage"]
        assert (shown["url"], shown["headers"]) == (None, [])

    def test_its_jobs_are_shown_too(self, local: Page, batch: Batch) -> None:
        shown = local.gets(f"/batches/{batch.batch_id}/jobs/0")
        assert shown["request"] == '{"n":0}'
        assert "callbackUrl" not in shown["curl"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"callback_headers": None}, "callbackHeaders are damaged"), ({}, "metadata is damaged")],
)
def test_terms_are_shown_without_their_damaged_part(
    world: World, stage: Page, fields: dict[str, Any], says: str
) -> None:
    terms = SubmissionTerms(callback_url="https://example.com/", request_hash="", **fields)
    batch = world.submitted(terms=terms, has_metadata=True)
    shown = show(stage, batch)
    assert says in shown["damage"]
    assert (shown["callbackUrl"], shown["metadata"]) == ("https://example.com", {})


class TestHostileData:
    HOSTILE = "\0\ud800<script>alert(1)</script>\u202e\u2028'\"&\\"

    def test_an_answer_is_always_json_in_ascii(self, world: World) -> None:
        """So a lone surrogate, which is not valid UTF-8, stays escaped."""
        terms = SubmissionTerms(
            callback_url=None, request_hash="", metadata={self.HOSTILE: self.HOSTILE}
        )
        batch = world.submitted(4, jobs_per_message=1, terms=terms, label=self.HOSTILE)
        answer_all(world, batch, failed(self.HOSTILE, 500), failed(json.dumps(self.HOSTILE), 500))
        page = Page(console_of(world, local=local_tools()))
        for path in ("", "/jobs", "/jobs/0", "/callback"):
            said = page.raw(f"/batches/{batch.batch_id}{path}")
            assert said.isascii(), path
            assert json.loads(said)
        assert show(page, batch)["metadata"] == {self.HOSTILE: self.HOSTILE}

    def test_an_answer_of_350_kb_comes_whole_with_its_job_alone(
        self, world: World, local: Page
    ) -> None:
        batch = world.submitted(4, jobs_per_message=1)
        text = '{"message":"' + "\u202e" * 116_000 + '"}'
        assert 348_000 < len(text.encode()) <= 350_000
        answer_all(world, batch, failed(text, 500))
        shown = local.gets(f"/batches/{batch.batch_id}/jobs/0")
        assert shown["response"] == text
        assert shown["responseBytes"] == len(text.encode())
        assert len(local.raw(f"/batches/{batch.batch_id}")) < 10_000
        assert len(local.raw(f"/batches/{batch.batch_id}/jobs")) < 10_000


def test_a_batch_whose_jobs_wait_says_for_what(world: World, local: Page) -> None:
    batch = world.submitted(waits_until=world.clock.now() + timedelta(minutes=5))
    assert show(local, batch)["waits"]["until"] == "2026-11-23T14:54:07.000Z"
