"""A batch whose stored terms are damaged: no call gets 500, and no callback is sent without the
caller's headers."""

import json

import boto3
import pytest

from chalicelib.adapters import items
from tests.stories.jobs import jobs
from tests.stories.on_moto import CALLBACK_URL, OnMoto


def submitted(life: OnMoto) -> str:
    order = {
        "jobs": jobs(1),
        "callbackUrl": CALLBACK_URL,
        "callbackHeaders": {"Authorization": "Bearer canary"},
        "metadata": {"import": "77"},
    }
    async_id: str = life.ask("run", order)["asyncId"]
    return async_id


def damage(life: OnMoto, async_id: str, attribute: str) -> None:
    part = items.terms_part(life.head(async_id).submission)
    boto3.client("dynamodb").update_item(
        TableName=life.names.batches_table,
        Key=items.key(async_id, part),
        UpdateExpression="SET #damaged = :damaged",
        ExpressionAttributeNames={"#damaged": attribute},
        ExpressionAttributeValues={":damaged": {"S": "damaged"}},
    )


def test_without_its_metadata_a_batch_is_followed_and_calls_back(life: OnMoto) -> None:
    async_id = submitted(life)
    damage(life, async_id, "metadata")
    life.work_off()
    progress = life.progress(async_id)
    assert (progress["metadata"], progress["callback"]["status"]) == (None, "delivered")
    [body] = life.posts_of(async_id)
    assert "metadata" not in json.loads(body)


def test_without_its_headers_a_callback_fails_with_a_reason_and_nothing_is_sent(
    life: OnMoto,
) -> None:
    async_id = submitted(life)
    damage(life, async_id, "callback_headers")
    life.work_off()
    assert life.posts_of(async_id) == []
    callback = life.progress(async_id)["callback"]
    assert callback["status"] == "failed"
    assert callback["lastError"] == "the stored callbackHeaders are damaged: fetch the results"
    assert json.loads(life.results(async_id))["results"]


@pytest.mark.parametrize("attribute", ["metadata", "callback_headers"])
def test_a_batch_with_damaged_terms_is_restarted(life: OnMoto, attribute: str) -> None:
    async_id = submitted(life)
    life.work_off()
    damage(life, async_id, attribute)
    assert life.ask("restart", {"async": async_id}) == {"restarted": True}
    life.work_off()
    assert life.progress(async_id)["status"] == "completed"
