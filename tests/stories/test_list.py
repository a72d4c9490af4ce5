"""How many DynamoDB requests a page of `list` costs."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.adapters.batch_store import DynamoBatchStore
from tests.samples import a_batch
from tests.stories.on_moto import OnMoto, requests_of

HOUR = timedelta(hours=1)
#: The caller's key, the ids, the heads.
A_PAGE = ["GetItem", "Query", "BatchGetItem"]


def put(life: OnMoto, count: int, *, age: timedelta, life_time: timedelta) -> list[str]:
    """Store this many more batches of the caller, a second apart, newest first."""
    store = DynamoBatchStore(life.dynamodb, life.names.batches_table)
    ids = []
    for number in range(count):
        batch_id = f"{age // HOUR:08x}{number:024x}"
        created_at = life.clock.now() - age - timedelta(seconds=number)
        batch = a_batch(
            1,
            batch_id=batch_id,
            account="demo",
            created_at=created_at,
            expires_at=created_at + life_time,
        )
        with life.iam.acting("api_handler"):
            store.commit(batch, life.clock.now())
        ids.append(batch_id)
    return ids


@pytest.fixture
def batches(life: OnMoto) -> list[str]:
    return put(life, 250, age=HOUR, life_time=60 * HOUR)


def pages(life: OnMoto, **asked: Any) -> list[tuple[list[str], list[str], Any]]:
    """The requests, ids and meta of each page, from the first to the last."""
    found = []
    start: object = 0
    while start is not None:
        with requests_of(life) as made:
            page = life.ask("list", {"start": start, **asked})
        found.append((made, [row["asyncId"] for row in page["results"]], page["meta"]))
        start = page["meta"]["next"]
    return found


def test_a_page_takes_three_requests(life: OnMoto, batches: list[str]) -> None:
    limits: list[int] = []
    asking = "provide-client-params.dynamodb.Query"
    life.dynamodb.meta.events.register(asking, lambda params, **_: limits.append(params["Limit"]))
    read = pages(life)
    assert [made for made, _, _ in read] == [A_PAGE] * 3
    assert limits == [1_001, 101, 101]
    assert [ids for _, ids, _ in read] == [batches[:100], batches[100:200], batches[200:]]
    assert {meta["totalResults"] for _, _, meta in read} == {250}


def test_a_shorter_lifetime_hides_no_batch_even_if_the_database_deletes_late(life: OnMoto) -> None:
    """The heads of batches older than the configured lifetime are read, a hundred per request."""
    new = put(life, 3, age=HOUR, life_time=60 * HOUR)
    put(life, 60, age=61 * HOUR, life_time=60 * HOUR)
    old = put(life, 60, age=100 * HOUR, life_time=336 * HOUR)
    [(made, ids, meta)] = pages(life)
    assert (ids, meta["totalResults"]) == (new + old, 63)
    assert made == ["GetItem", "Query", *["BatchGetItem"] * 3]
    assert [id for _, ids, _ in pages(life, perPage=10) for id in ids] == new + old
