"""Every action through the real app.py, with batches that the real functions run."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from chalice.test import Client

from benchmarks.counting import NOBODY, RequestCounter
from chalicelib.adapters import items
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain import signing
from chalicelib.domain.account import Key, Secret
from chalicelib.domain.batch import Batch, Counts
from chalicelib.domain.holds import Outage, Pause
from chalicelib.domain.outcome import Reply
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.settings import Names
from chalicelib.version import VERSION
from tests.app.conftest import Front, basic, serve
from tests.fakes.clock import START
from tests.leaks import found_in
from tests.samples import DEMO_KEY, a_batch

URL = "https://example.com/callback"
JOBS = [
    {"namespace": "event", "action": "inviteContacts", "params": {"event": 1, "contacts": [1, 2]}},
    {"namespace": "event", "action": "inviteContacts", "params": {"event": 2, "contacts": [3]}},
]


def submit(front: Front, jobs: list[Any] | None = None, **more: object) -> str:
    answer = front.call("run", {"jobs": jobs or JOBS, "callbackUrl": URL, **more})
    assert answer.status == 200, answer.body
    assert set(answer.json) == {"asyncId"}
    async_id: str = answer.json["asyncId"]
    return async_id


def many_jobs(total: int) -> list[Any]:
    return [{"namespace": "a", "action": "b", "params": {"n": n}} for n in range(total)]


def run_jobs(front: Front) -> None:
    """Run each waiting message once."""
    for message, _ in front.queue.take_jobs():
        front.service.runner.run_jobs(message, receive_count=1, seconds_left=lambda: 60.0)


def completed(batch: Batch) -> Batch:
    return replace(
        batch,
        state=BatchState.COMPLETED,
        completed_at=START,
        done=frozenset(batch.chunks),
        counts=Counts(succeeded=batch.total),
        callback=CallbackState.DELIVERED,
        next_check_at=None,
        due_at=None,
    )


class TestPing:
    @pytest.mark.parametrize("body", [b"", b"{}", b"[]"])
    def test_ping_answers_with_the_time(self, front: Front, body: bytes) -> None:
        answer = front.call("test?action=ping", body)
        assert answer.json == {"ack": "2026-11-23 14:49:07 UTC", "version": VERSION}

    def test_answers_must_not_be_cached_or_sniffed(self, front: Front) -> None:
        headers = front.call("test?action=ping").headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


class TestRun:
    def test_a_batch_runs_and_calls_back(self, front: Front) -> None:
        async_id = submit(front)
        front.work_off()
        [post] = front.receiver.posts
        assert post.url == URL
        results = [
            {
                "namespace": job["namespace"],
                "action": job["action"],
                "request": job["params"],
                "response": {"echo": job["params"]},
            }
            for job in JOBS
        ]
        assert json.loads(post.body) == {"asyncId": async_id, "results": results}

    def test_callback_and_results_are_the_same_bytes(self, front: Front) -> None:
        async_id = submit(front, many_jobs(200))
        front.work_off()
        assert front.call("results", {"async": async_id}).body == front.receiver.posts[0].body

    def test_values_come_back_as_they_were_sent(self, front: Front) -> None:
        sent = (
            b'{"jobs":[{"namespace":"a","action":"b","params":{"big":'
            + b"9" * 4300
            + b',"one":1.0,"text":"\xc3\xa9\\ud83d\\ude00","lone":"\\ud83d","neg":-0.0}}],'
            b'"callbackUrl":"https://example.com/","unknown":[1]}'
        )
        async_id = front.call("run", sent).json["asyncId"]
        front.work_off()
        [result] = front.call("results", {"async": async_id}).json["results"]
        assert result["request"] == json.loads(sent)["jobs"][0]["params"]
        assert json.loads(front.platform.calls[0].body) == result["request"]

    def test_params_may_be_missing_null_or_an_empty_array(self, front: Front) -> None:
        job = {"namespace": "a", "action": "b"}
        async_id = submit(front, [job, {**job, "params": None}, {**job, "params": []}])
        front.work_off()
        results = front.call("results", {"async": async_id}).json["results"]
        assert [result["request"] for result in results] == [{}, {}, {}]

    def test_the_callback_url_can_be_made_optional(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        front = serve(client, monkeypatch, CALLBACK_REQUIRED="false")
        async_id = front.call("run", {"jobs": JOBS}).json["asyncId"]
        front.work_off()
        assert front.receiver.posts == []
        progress = front.call("progress", {"async": async_id}).json
        assert progress["callback"]["status"] == "none"
        assert progress["progress"] == 100

    def test_the_maximum_number_of_jobs_can_be_raised(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        front = serve(client, monkeypatch, MAX_JOBS_PER_BATCH="1000")
        submit(front, many_jobs(1000))


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class TestOptionsOfRun:
    def test_a_trace_is_taken_from_the_header(self, front: Front) -> None:
        for sent, trace_id in (
            (TRACEPARENT, "4bf92f3577b34da6a3ce929d0e0e4736"),
            (f"{TRACEPARENT},{TRACEPARENT}", None),
            ("nonsense", None),
        ):
            headers = {**basic("demo", "demo-secret"), "Traceparent": sent}
            body = json.dumps({"jobs": JOBS, "callbackUrl": URL}).encode()
            answer = front.send("/api/1.0/batch?action=run", body, headers=headers)
            trace = front.store.heads[answer.json["asyncId"]].trace
            assert (trace.trace_id if trace else None) == trace_id

    def test_a_repeated_run_says_that_the_batch_existed(self, front: Front) -> None:
        headers = {**basic("demo", "demo-secret"), "Idempotency-Key": "k"}
        body = json.dumps({"jobs": JOBS, "callbackUrl": URL}).encode()
        first, *again = (
            front.send("/api/1.0/batch?action=run", body, headers=headers) for _ in range(3)
        )
        assert "Idempotent-Replayed" not in first.headers
        assert {answer.headers["Idempotent-Replayed"] for answer in again} == {"true"}
        assert {answer.body for answer in again} == {first.body}

    @pytest.mark.parametrize("wrong", ["canary\n", "\u043aanary-canary", " canary"])
    def test_no_fault_repeats_a_value(
        self, front: Front, capsys: pytest.CaptureFixture[str], wrong: str
    ) -> None:
        answer = front.call(
            "run",
            {
                "jobs": [{**JOBS[0], "id": wrong}, {**JOBS[0], "id": "canary"}] * 2,
                "callbackUrl": URL,
                "label": f"{wrong}\n",
                "metadata": {"a": f"{wrong}\n", f"canary{wrong}\n": "canary"},
                "callbackResults": wrong,
                "callbackHeaders": {"X-A": wrong, f"{wrong} canary": "canary", "Host": "canary"},
                "deadlineMinutes": wrong,
                "maxFailed": wrong,
            },
        )
        assert (answer.status, len(answer.json["additionalMessages"])) == (400, 12)
        assert found_in(answer.body.decode() + capsys.readouterr().out) == []

    def test_no_answer_log_line_or_message_repeats_a_value(self, front: Front) -> None:
        """This test reads the same output as the guard over all tests."""
        front.platform.answer = lambda _: Reply(status=500)
        async_id = submit(
            front,
            [{**JOBS[0], "id": "canary-id"}],
            metadata={"a": "canary-metadata"},
            callbackHeaders={"X-A": "canary-header"},
        )
        messages = repr(front.queue.jobs)
        front.work_off()
        told = [front.call(action, {"async": async_id}).body for action in ("progress", "list")]
        assert "canary-header" not in messages + repr(told)
        assert found_in(messages) == []


class TestProgress:
    def test_progress_counts_finished_chunks_and_is_100_only_at_the_end(self, front: Front) -> None:
        async_id = submit(front, many_jobs(3))
        assert front.call("progress", {"async": async_id}).json == {
            "progress": 0,
            "status": "running",
            "jobs": {"total": 3, "succeeded": 0, "failed": 0, "waiting": 3, "unanswered": 0},
            "createdAt": "2026-11-23 14:49:07 UTC",
            "completedAt": None,
            "callback": {
                "status": "waiting",
                "attempts": 0,
                "lastStatus": None,
                "lastError": None,
                "nextAttemptAt": None,
                "history": [],
            },
            "deadlineAt": "2026-11-24 02:49:07 UTC",
            "expiresAt": "2026-11-26 02:49:07 UTC",
            "label": None,
            "metadata": None,
        }
        front.work_off()
        progress = front.call("progress", {"asyncId": async_id}).json
        assert (progress["progress"], progress["status"]) == (100, "completed")
        assert progress["callback"]["status"] == "delivered"
        assert progress["callback"]["lastStatus"] == 200
        [made] = progress["callback"]["history"]
        assert made == {
            "at": "2026-11-23 14:49:07 UTC",
            "status": 200,
            "error": None,
            "tookMs": 0,
        }

    def test_progress_returns_the_label_and_the_metadata(self, front: Front) -> None:
        said: dict[str, Any] = {"label": "Nightly 🌙", "metadata": {"order": "77", "é": '"'}}
        async_id = submit(front, **said, deadlineMinutes=5)
        progress = front.call("progress", {"async": async_id}).json
        assert {name: progress[name] for name in said} == said
        assert progress["deadlineAt"] == "2026-11-23 14:54:07 UTC"

    def test_progress_says_how_many_jobs_a_restart_runs(self, front: Front) -> None:
        front.platform.answer = lambda call: Reply(status=400 if call.params["n"] else 500)
        async_id = submit(front, many_jobs(3))
        front.work_off()
        jobs = front.call("progress", {"async": async_id}).json["jobs"]
        assert jobs == {"total": 3, "succeeded": 0, "failed": 3, "waiting": 0, "unanswered": 1}

    def test_the_terms_are_not_read_if_there_is_no_metadata(
        self, front: Front, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async_id = submit(front, label="nightly", callbackHeaders={"X-A": "canary"})
        monkeypatch.setattr(front.store, "find_terms", None)
        assert front.call("progress", {"async": async_id}).json["metadata"] is None

    @pytest.mark.parametrize("reason", ["platform", "pause"])
    def test_progress_says_why_and_until_when_jobs_are_held_up(
        self, front: Front, reason: str
    ) -> None:
        async_id = submit(front, many_jobs(3))
        before = front.call("progress", {"async": async_id}).json
        account, until = front.store.heads[async_id].account, START + timedelta(minutes=4)
        if reason == "pause":
            front.store.pause(Pause(until=until, reason="the API moves"))
        else:
            front.store.begin_outage(account, Outage(began_at=START, until=until))
        run_jobs(front)
        waiting = {"for": reason, "until": "2026-11-23 14:53:07 UTC"}
        assert front.call("progress", {"async": async_id}).json == {**before, "waiting": waiting}
        front.call("cancel", {"async": async_id})
        assert "waiting" not in front.call("progress", {"async": async_id}).json

    def test_only_the_head_is_read_if_nothing_waits(
        self, front: Front, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async_id = submit(front, many_jobs(3))
        front.store.pause(Pause(until=START + timedelta(hours=1), reason="the API moves"))
        monkeypatch.setattr(front.store, "find_holds", None)
        assert "waiting" not in front.call("progress", {"async": async_id}).json

    def test_a_wait_that_the_platform_asked_for_is_not_a_hold(self, front: Front) -> None:
        async_id = submit(front, many_jobs(1))
        front.platform.answer = lambda _: Reply(status=429, retry_after="600")
        run_jobs(front)
        assert front.store.heads[async_id].waits(START + timedelta(minutes=9))
        assert "waiting" not in front.call("progress", {"async": async_id}).json

    def test_progress_is_rounded_down(self, front: Front) -> None:
        async_id = submit(front, many_jobs(3))
        front.queue.jobs = front.queue.jobs[:2]
        front.work_off()
        assert front.call("progress", {"async": async_id}).json["progress"] == 66

    @pytest.mark.parametrize(
        "batch", [a_batch(1), a_batch(10_000, done=frozenset(range(200))), completed(a_batch())]
    )
    def test_progress_reads_one_record_of_a_batch_that_does_not_wait(
        self,
        front: Front,
        batch: Batch,
        aws: None,  # noqa: ARG002 - moto must be up
    ) -> None:
        dynamodb, counter = boto3.client("dynamodb"), RequestCounter()
        table = Names("local").batches_table
        dynamodb.put_item(TableName=table, Item=items.head_item(batch))
        counter.watch(dynamodb)
        front.replace(store=DynamoBatchStore(dynamodb, table, sleep=lambda _: None))
        answer = front.call("progress", {"async": batch.batch_id})
        assert answer.json["status"] == batch.status
        assert counter.tallies[NOBODY].requests == {"GetItem": 1}
        dynamodb.delete_item(TableName=table, Key=items.key(batch.batch_id, items.HEAD))


class TestResults:
    def test_a_running_batch_has_no_results_yet(self, front: Front) -> None:
        answer = front.call("results", {"async": submit(front)})
        assert (answer.status, answer.json["specificCode"]) == (400, 24114)

    def test_partial_shows_the_results_so_far_and_their_jobs(self, front: Front) -> None:
        async_id = submit(front, many_jobs(3))
        del front.queue.jobs[1]
        front.work_off()
        answer = front.call("results", {"async": async_id, "partial": True}).json
        assert [result["index"] for result in answer["results"]] == [0, 2]
        assert set(answer) == {"asyncId", "results"}

    def test_failed_results_can_be_shown_alone_and_in_detail(self, front: Front) -> None:
        front.platform.answer = lambda call: Reply(
            status=404 if call.params["n"] % 2 else 200, body=b"{}"
        )
        named = [{**job, "id": f"job-{n}"} for n, job in enumerate(many_jobs(4))]
        async_id = submit(front, named)
        front.work_off()
        answer = front.call("results", {"async": async_id, "only": "failed", "detail": True})
        [first, second] = answer.json["results"]
        assert list(first.items())[:6] == [
            ("id", "job-1"),
            ("index", 1),
            ("outcome", "failed"),
            ("httpStatus", 404),
            ("attempts", 1),
            ("tookMs", 0),
        ]
        assert list(first)[6:] == ["namespace", "action", "request", "response"]
        assert second["id"] == "job-3"
        others = front.call("results", {"async": async_id, "only": "succeeded", "start": 1}).json
        assert [result["id"] for result in others["results"]] == ["job-2"]
        meta = {"totalResults": 4, "start": 1, "perPage": 1000, "count": 1, "next": None}
        assert others["meta"] == meta

    @pytest.mark.parametrize(
        ("given", "fault"),
        [
            ({"only": "unanswered"}, "must be 'failed' or 'succeeded'"),
            ({"only": ["failed"]}, "must be 'failed' or 'succeeded'"),
            ({"only": True}, "must be 'failed' or 'succeeded'"),
            ({"detail": "yes"}, "must be true or false"),
            ({"detail": 1}, "must be true or false"),
        ],
    )
    def test_an_invalid_value_is_refused_with_the_valid_ones(
        self, front: Front, given: dict[str, object], fault: str
    ) -> None:
        answer = front.call("results", {"async": submit(front), **given})
        assert (answer.status, answer.json["specificCode"]) == (400, 23016)
        assert answer.json["message"] == f"'{next(iter(given))}' does not validate"
        assert answer.json["additionalMessages"] == [fault]

    def test_null_is_the_same_as_missing(self, front: Front) -> None:
        async_id = submit(front)
        front.work_off()
        without = front.call("results", {"async": async_id})
        nulls = {"only": None, "detail": None, "partial": None}
        assert front.call("results", {"async": async_id, **nulls}).body == without.body

    def test_pages_cover_the_whole_in_order(self, front: Front) -> None:
        async_id = submit(front, many_jobs(100))
        front.work_off()
        whole = front.call("results", {"async": async_id}).json["results"]
        pages = [
            front.call("results", {"async": async_id, "start": start, "perPage": 30}).json
            for start in (0, 30, 60, 90, 120)
        ]
        assert [result for page in pages for result in page["results"]] == whole
        assert [page["meta"] for page in pages] == [
            {"totalResults": 100, "start": start, "perPage": 30, "count": count, "next": following}
            for start, count, following in [
                (0, 30, 30),
                (30, 30, 60),
                (60, 30, 90),
                (90, 10, None),
                (120, 0, None),
            ]
        ]

    def test_results_too_large_for_one_answer_are_refused_and_can_be_paged(
        self, front: Front
    ) -> None:
        front.platform.answer = lambda _: Reply(status=200, body=b'"' + b"x" * 300_000 + b'"')
        async_id = submit(front, many_jobs(20))
        front.work_off()
        refused = front.call("results", {"async": async_id})
        assert refused.status == 413
        assert "6001" in refused.json["message"]
        assert "'start'" in refused.json["message"]
        got: list[Any] = []
        while len(got) < 20:
            page = front.call("results", {"async": async_id, "start": len(got), "perPage": 1000})
            assert len(page.body) <= 3_500_000
            assert page.json["meta"]["count"] == len(page.json["results"]) == min(11, 20 - len(got))
            got += page.json["results"]
        assert [result["request"]["n"] for result in got] == [*range(20)]

    def test_a_page_of_quotes_still_fits_lambdas_answer(self, front: Front) -> None:
        front.platform.answer = lambda _: Reply(status=200, body=b'"' + b'\\"' * 150_000 + b'"')
        async_id = submit(front, many_jobs(20))
        front.work_off()
        page = front.call("results", {"async": async_id, "start": 0})
        assert len(json.dumps(page.body.decode())) <= 6_000_000


def pages_of_list(front: Front, per_page: int, **caller: str) -> list[Any]:
    """Yield the pages that `next` leads to, starting with the first."""
    pages = [front.call("list", {"perPage": per_page}, **caller).json]
    while following := pages[-1]["meta"]["next"]:
        asked = {"start": following, "perPage": per_page}
        pages.append(front.call("list", asked, **caller).json)
    return pages


class TestList:
    def test_a_row_has_the_state_of_a_batch(self, front: Front) -> None:
        front.platform.answer = lambda call: Reply(status=400 if call.params["n"] else 200)
        async_id = submit(front, many_jobs(3))
        front.work_off()
        [row] = front.call("list").json["results"]
        assert row == {
            "asyncId": async_id,
            "status": "completed",
            "progress": 100,
            "createdAt": "2026-11-23 14:49:07 UTC",
            "jobs": {"total": 3, "succeeded": 1, "failed": 2, "waiting": 0, "unanswered": 0},
            "callback": {"status": "delivered"},
            "label": None,
        }

    def test_batches_are_found_by_their_label(self, front: Front) -> None:
        made: dict[str, list[str]] = {"nightly": [], "Nightly": [], "weekly": []}
        for name in [*made] * 3:
            made[name].append(submit(front, label=name))
            front.clock.advance(seconds=1)
        asked: dict[str, Any] = {"label": "nightly", "perPage": 2}
        first = front.call("list", asked).json
        second = front.call("list", {**asked, "start": first["meta"]["next"]}).json
        rows = first["results"] + second["results"]
        assert [row["asyncId"] for row in rows] == made["nightly"][::-1]
        assert {row["label"] for row in rows} == {"nightly"}
        assert second["meta"] == {"start": 2, "perPage": 2, "count": 1, "next": None}
        assert "totalResults" not in first["meta"]

    @pytest.mark.parametrize("label", ["", 1, True, [], "a" * 65, "a\n", "\ud83d"])
    def test_an_invalid_label_is_refused(self, front: Front, label: object) -> None:
        refused = front.call("list", {"label": label})
        assert (refused.status, refused.json["specificCode"]) == (400, 23016)
        assert refused.json["message"] == "'label' does not validate"

    def test_with_a_label_only_next_leads_to_the_next_page(self, front: Front) -> None:
        submit(front, label="nightly")
        assert front.call("list", {"label": "nightly", "start": 0}).status == 200
        refused = front.call("list", {"label": "nightly", "start": 1})
        assert refused.json["additionalMessages"] == [
            "with 'label', pass the 'next' of the page before"
        ]

    def test_next_leads_to_every_batch_the_newest_first(self, front: Front) -> None:
        made = []
        for _ in range(5):
            made.append(submit(front))
            front.clock.advance(seconds=1)
        pages = pages_of_list(front, 2)
        assert [row["asyncId"] for page in pages for row in page["results"]] == made[::-1]
        assert [
            (page["meta"]["totalResults"], page["meta"]["start"], page["meta"]["count"])
            for page in pages
        ] == [(5, 0, 2), (5, 2, 2), (5, 4, 1)]

    def test_numbers_lead_to_every_batch_too(self, front: Front) -> None:
        made = []
        for _ in range(5):
            made.append(submit(front))
            front.clock.advance(seconds=1)
        for start in range(7):
            page = front.call("list", {"start": start, "perPage": 2}).json
            assert [row["asyncId"] for row in page["results"]] == made[::-1][start : start + 2]
            known = {name: page["meta"][name] for name in page["meta"] if name != "next"}
            count = len(page["results"])
            assert known == {"totalResults": 5, "start": start, "perPage": 2, "count": count}

    def test_another_key_of_the_account_can_continue_a_list(self, front: Front) -> None:
        front.keys.keys["second"] = replace(DEMO_KEY, key="second")
        expected = [submit(front) for _ in range(2)]
        first = front.call("list", {"perPage": 1}).json
        second = front.call("list", {"start": first["meta"]["next"]}, key="second").json
        got = [row["asyncId"] for page in (first, second) for row in page["results"]]
        assert sorted(got) == sorted(expected)

    def test_an_unknown_start_is_refused_and_not_repeated(self, front: Front) -> None:
        front.keys.keys["spy"] = replace(DEMO_KEY, key="spy", account="spy")
        for _ in range(2):
            submit(front)
        text = front.call("list", {"perPage": 1}).json["meta"]["next"]
        forged = text[:10] + ("A" if text[10] != "A" else "B") + text[11:]
        refused = [
            front.call("list", {"start": start}).json for start in ("", "0", text[:-1], forged, "é")
        ]
        foreign = front.call("list", {"start": text}, key="spy").json
        for answer in (*refused, foreign):
            assert answer == {
                "errorCode": 400,
                "message": "'start' does not validate",
                "specificCode": 23016,
                "additionalMessages": [
                    "must be a whole number, or the 'next' of one of your pages"
                ],
            }

    @pytest.mark.parametrize("start", [-1, 1.5, True, [], {}])
    def test_a_start_of_another_type_is_refused(self, front: Front, start: object) -> None:
        answer = front.call("list", {"start": start})
        assert (answer.status, answer.json["specificCode"]) == (400, 23016)
        assert answer.json["message"] == "'start' does not validate"

    def test_results_accept_only_a_number_as_start(self, front: Front) -> None:
        async_id = submit(front)
        submit(front)
        text = front.call("list", {"perPage": 1}).json["meta"]["next"]
        answer = front.call("results", {"async": async_id, "start": text, "partial": True})
        assert (answer.status, answer.json["specificCode"]) == (400, 23016)


class TestOwnership:
    def test_a_batch_of_another_account_gets_the_answer_of_a_missing_one(
        self, front: Front
    ) -> None:
        front.keys.keys["spy"] = Key(key="spy", account="other", secrets=(Secret(value="s"),))
        async_id = submit(front)
        front.work_off()
        for action in ("progress", "results"):
            foreign = front.call(action, {"async": async_id}, key="spy", secret="s")
            missing = front.call(action, {"async": "0" * 32}, key="spy", secret="s")
            assert foreign.status == 404
            assert foreign.body == missing.body

    def test_a_batch_belongs_to_the_account_not_to_the_key(self, front: Front) -> None:
        front.keys.keys["second"] = Key(key="second", account="acme", secrets=(Secret(value="s"),))
        async_id = submit(front)
        assert front.call("progress", {"async": async_id}, key="second", secret="s").status == 200

    def test_an_expired_batch_is_not_found(self, front: Front) -> None:
        async_id = submit(front)
        front.clock.advance(hours=60)
        assert front.call("progress", {"async": async_id}).status == 404


class TestSigned:
    TARGET = "/api/1.0/test?action=ping"

    def headers(self, front: Front, target: str = TARGET, secret: str = "demo-secret") -> Any:
        return signing.iws_headers(
            key="demo",
            secret=secret,
            target=target,
            body=b"{}",
            now=front.clock.now(),
            content_type="application/json; charset=utf-8",
        )

    @pytest.mark.parametrize("prefix", ["", "/api"])
    def test_a_signature_is_accepted_with_and_without_the_stage(
        self, front: Front, prefix: str
    ) -> None:
        headers = self.headers(front, prefix + self.TARGET)
        assert front.send(self.TARGET, b"{}", headers=headers).status == 200

    @pytest.mark.parametrize(
        "query",
        [
            "action=ping&",
            "action=ping&debug",
            "action=ping&debug=",
            "debug&action=ping",
            "action=ping&trace=a%20b",
            "action=ping&trace=a+b",
            "action=ping&trace=a%2Bb",
            "action=ping&trace=%c3%a9",
            "action=ping&trace=x&trace=y&debug",
            "action=ping&trace=caf%C3%A9+%7E",
        ],
    )
    def test_a_signature_over_the_query_as_sent_is_accepted(self, front: Front, query: str) -> None:
        target = f"/api/1.0/test?{query}"
        assert front.send(target, b"{}", headers=self.headers(front, target)).status == 200

    def test_content_md5_may_be_missing_but_not_wrong(self, front: Front) -> None:
        headers = self.headers(front)
        md5 = headers.pop("Content-MD5")
        assert front.send(self.TARGET, b"{}", headers=headers).status == 200
        headers["Content-MD5"] = md5[::-1]
        assert front.send(self.TARGET, b"{}", headers=headers).status == 401

    @pytest.mark.parametrize(
        ("minutes", "status", "code"),
        [(-6, 401, 23005), (6, 401, 23005), (5, 200, 0), (-5, 200, 0)],
    )
    def test_a_request_is_valid_for_five_minutes_either_way(
        self, front: Front, minutes: int, status: int, code: int
    ) -> None:
        headers = self.headers(front)
        front.clock.advance(minutes=minutes)
        answer = front.send(self.TARGET, b"{}", headers=headers)
        assert (answer.status, answer.json.get("specificCode", 0)) == (status, code)

    def test_a_changed_body_is_refused(self, front: Front) -> None:
        headers = self.headers(front)
        del headers["Content-MD5"]
        assert front.send(self.TARGET, b"[]", headers=headers).status == 401

    def test_only_a_caller_with_the_secret_learns_that_a_key_is_revoked(self, front: Front) -> None:
        front.keys.keys["demo"] = replace(DEMO_KEY, is_revoked=True)
        assert front.send(self.TARGET, b"{}", headers=self.headers(front)).status == 463
        wrong = self.headers(front, secret="wrong")
        assert front.send(self.TARGET, b"{}", headers=wrong).status == 401

    def test_both_secrets_of_a_rotation_are_accepted_until_the_old_one_expires(
        self, front: Front
    ) -> None:
        ends_at = front.clock.now()
        old, new = Secret(value="demo-secret", expires_at=ends_at), Secret(value="new")
        front.keys.keys["demo"] = replace(DEMO_KEY, secrets=(new, old))
        assert front.send(self.TARGET, b"{}", headers=self.headers(front)).status == 401
        front.clock.advance(seconds=-1)
        assert front.send(self.TARGET, b"{}", headers=self.headers(front)).status == 200
        new_headers = self.headers(front, secret="new")
        assert front.send(self.TARGET, b"{}", headers=new_headers).status == 200

    @pytest.mark.parametrize(
        "authorization",
        ["", "IWS", "IWS demo", "IWS demo:", "IWS demo:xyz", "Bearer x", "IWS :" + "0" * 40],
    )
    def test_malformed_credentials_are_the_same_as_none(
        self, front: Front, authorization: str
    ) -> None:
        headers = {**self.headers(front), "X-Api-Authorization": authorization}
        assert front.send(self.TARGET, b"{}", headers=headers).status == 401


@pytest.mark.parametrize("name", ["IVVY-Idempotency-Key", "IVVY_IdempotencyKey"])
def test_a_signed_idempotency_key_is_the_same_in_every_spelling(front: Front, name: str) -> None:
    """Spelling and case are not signed, so they must not create a second batch."""
    body = b'{"jobs":[{"namespace":"a","action":"b"}],"callbackUrl":"https://example.com/"}'
    made = {
        front.send(
            "/api/1.0/batch?action=run",
            body,
            headers={**basic("demo", "demo-secret"), each: key, "Idempotency-Key": "other"},
        ).json["asyncId"]
        for each, key in (("IVVYIdempotencyKey", "Order-1"), (name, "order-1"))
    }
    assert len(made) == 1
