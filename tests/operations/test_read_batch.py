"""Reading results page by page."""

import json
from collections.abc import Collection, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.batch import AnswersPart, Batch
from chalicelib.domain.results import Page, View
from tests.operations.world import World
from tests.samples import DEMO_CALLER, succeeded

PARTIAL = View(partial=True)
#: Of which eleven fit one answer.
LARGE = '"' + "x" * 300_000 + '"'


def answer(world: World, batch: Batch, answered: Collection[int], response: str = "{}") -> None:
    """Record the answers of some jobs, while the batch runs on."""
    for chunk in batch.chunks:
        answers = {
            index: succeeded(response) for index in batch.indexes(chunk) if index in answered
        }
        number = world.store.load_chunk(batch, chunk).next_number(1)
        world.store.record(batch, chunk, AnswersPart(round=1, number=number, answers=answers))


def page_of(
    world: World, batch: Batch, start: int, per_page: int, view: View = PARTIAL
) -> dict[str, Any]:
    page = Page(start=start, per_page=per_page)
    body = world.service.reader.results(DEMO_CALLER, batch.batch_id, page=page, view=view)
    answer: dict[str, Any] = json.loads(body)
    return answer


def pages(
    world: World, batch: Batch, per_page: int, view: View = PARTIAL
) -> Iterator[dict[str, Any]]:
    """Those to which `next` leads from the first on."""
    start, following = -1, 0
    while following is not None:
        assert following > start
        start = following
        page = page_of(world, batch, start, per_page, view)
        yield page
        following = page["meta"]["next"]


class TestFollowingNext:
    @given(total=st.integers(1, 30), per_page=st.integers(1, 31), data=st.data())
    def test_every_answered_job_is_shown_once_whatever_is_missing(
        self, total: int, per_page: int, data: st.DataObject
    ) -> None:
        answered = data.draw(st.sets(st.integers(0, total - 1)))
        world = World()
        batch = world.submitted(total)
        answer(world, batch, answered)
        read = [*pages(world, batch, per_page)]
        shown = [result["index"] for page in read for result in page["results"]]
        assert shown == sorted(answered)
        assert [page["meta"]["start"] for page in read] == [*range(0, total, per_page)]
        assert [page["meta"]["count"] for page in read] == [len(page["results"]) for page in read]

    @pytest.mark.parametrize("missing", [{0}, {11}, {10, 11, 12}, {29}, set(range(0, 30, 2))])
    def test_so_is_every_job_where_pages_end_early(self, missing: set[int]) -> None:
        world = World()
        batch = world.submitted(30)
        answered = {*range(30)} - missing
        answer(world, batch, answered, LARGE)
        read = [*pages(world, batch, 1_000)]
        assert [result["index"] for page in read for result in page["results"]] == sorted(answered)
        assert max(page["meta"]["count"] for page in read) == 11

    def test_a_job_that_gets_its_answer_meanwhile_is_on_a_later_page_or_on_none(self) -> None:
        world = World()
        batch = world.submitted(4)
        answer(world, batch, {1, 3})
        read = pages(world, batch, 2)
        first = next(read)
        answer(world, batch, {0, 2})
        [second] = read
        assert [result["index"] for result in first["results"]] == [1]
        assert [result["index"] for result in second["results"]] == [2, 3]

    def test_of_a_page_behind_the_last_job_there_is_no_next(self) -> None:
        world = World()
        batch = world.submitted(2)
        meta = page_of(world, batch, 1_000, 10)["meta"]
        assert meta == {"totalResults": 2, "start": 1_000, "perPage": 10, "count": 0, "next": None}
