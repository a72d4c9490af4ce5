"""The largest possible batch, in memory."""

import json

import pytest
from chalice.test import Client

from benchmarks.units import item_bytes
from chalicelib.adapters.items import head_item
from chalicelib.domain.batch import Batch, Chunk
from tests.app.conftest import Front, serve
from tests.stories.jobs import jobs

TOTAL = 10_000
URL = "https://example.com/callback"
#: A write of the head costs one unit per KB, so a larger head would be expensive.
MAX_HEAD_BYTES = 4_096


@pytest.fixture
def front(client: Client, monkeypatch: pytest.MonkeyPatch) -> Front:
    return serve(client, monkeypatch, MAX_JOBS_PER_BATCH=str(TOTAL), JOBS_PER_MESSAGE="1")


def submit(front: Front) -> str:
    answer = front.call("run", {"jobs": jobs(TOTAL), "callbackUrl": URL})
    assert answer.status == 200, answer.body
    async_id: str = answer.json["asyncId"]
    return async_id


def head_bytes(front: Front, async_id: str) -> int:
    """The size of the head in DynamoDB."""
    return item_bytes(head_item(front.store.heads[async_id]))


def test_all_jobs_run_and_come_back_in_order(front: Front) -> None:
    async_id = submit(front)
    assert len(front.queue.jobs) == 500
    front.work_off()
    assert len(front.platform.calls) == TOTAL
    assert head_bytes(front, async_id) < MAX_HEAD_BYTES
    [post] = front.receiver.posts
    assert [r["request"]["n"] for r in json.loads(post.body)["results"]] == [*range(TOTAL)]
    assert front.call("results", {"async": async_id}).body == post.body
    page = front.call("results", {"async": async_id, "start": 9_990, "perPage": 100})
    assert [result["response"] for result in page.json["results"]] == [
        {"echo": {"n": n}} for n in range(9_990, TOTAL)
    ]


def test_reading_takes_no_more_chunks_than_requested(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    async_id = submit(front)
    front.work_off()
    load, loaded = front.store.load_chunk, []

    def remembered(batch: Batch, chunk: int) -> Chunk:
        loaded.append(chunk)
        return load(batch, chunk)

    monkeypatch.setattr(front.store, "load_chunk", remembered)
    front.call("results", {"async": async_id, "start": 4_015, "perPage": 10})
    assert loaded == [200, 201]
    loaded.clear()
    for action in ("progress", "list", "repost", "restart"):
        assert front.call(action, {"async": async_id}).status == 200
    assert loaded == []


def test_cancelled_before_any_ran_all_jobs_end_and_the_head_stays_small(front: Front) -> None:
    """Every chunk is then in two sets of the head, the most it can hold."""
    async_id = submit(front)
    front.queue.take_jobs()
    front.call("cancel", {"async": async_id})
    front.work_off()
    assert front.platform.calls == []
    assert front.call("progress", {"async": async_id}).json["jobs"]["failed"] == TOTAL
    assert len(front.store.heads[async_id].unanswered) == 500
    assert head_bytes(front, async_id) < MAX_HEAD_BYTES
    assert len(front.receiver.posts) == 1
