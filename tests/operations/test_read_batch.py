"""Reading results page by page."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import results, transitions
from chalicelib.domain.batch import Answer, AnswersPart, Batch, Job, Verdict
from chalicelib.domain.results import MAX_PAGE_BYTES, Only, Page, View
from chalicelib.domain.states import BatchState
from chalicelib.errors import TooLarge
from tests.fakes.clock import START
from tests.operations.world import World
from tests.samples import DEMO_CALLER, some_jobs, succeeded, unanswered

PARTIAL = View(partial=True)
#: Eleven answers of this size fit into one response.
LARGE = '"' + "x" * 300_000 + '"'


def answer(world: World, batch: Batch, answered: Collection[int], response: str = "{}") -> None:
    """Record the answers of some jobs while the batch is running."""
    record(world, batch, dict.fromkeys(answered, succeeded(response)))


def record(world: World, batch: Batch, answers: Mapping[int, Answer]) -> None:
    for chunk in batch.chunks:
        of_chunk = {index: answers[index] for index in batch.indexes(chunk) if index in answers}
        number = world.store.load_chunk(batch, chunk).next_number(1)
        world.store.record(batch, chunk, AnswersPart(round=1, number=number, answers=of_chunk))


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
    """The pages that `next` leads to, starting at the first."""
    start, following = -1, 0
    while following is not None:
        assert following > start
        start = following
        page = page_of(world, batch, start, per_page, view)
        yield page
        following = page["meta"]["next"]


ONLY = [None, *Only]
views = st.builds(View, only=st.sampled_from(ONLY), partial=st.booleans(), detailed=st.booleans())


def named(jobs: Collection[object]) -> tuple[Job, ...]:
    return tuple(replace(job, id=f"job-{job.index}") for job in some_jobs(len(jobs)))


class TestFollowingNext:
    @given(
        verdicts=st.lists(st.none() | st.sampled_from(Verdict), min_size=1, max_size=30),
        per_page=st.integers(1, 31),
        view=views,
        is_large=st.booleans(),
        most=st.sampled_from([1_000_000, results.MAX_LOOKED_AT]),
    )
    def test_it_visits_every_job_once_whatever_is_shown(
        self, verdicts: list[Verdict | None], per_page: int, view: View, is_large: bool, most: int
    ) -> None:
        """None stands for a job without an answer; a batch that has ended has none."""
        if not view.partial:
            verdicts = [verdict or Verdict.UNANSWERED for verdict in verdicts]
        world = World()
        batch = world.submitted(len(verdicts), state=BatchState.COMPLETED, jobs=named(verdicts))
        answers = {
            index: Answer(verdict, LARGE if is_large else "{}")
            for index, verdict in enumerate(verdicts)
            if verdict
        }
        record(world, batch, answers)
        with patch.object(results, "MAX_LOOKED_AT", most):
            read = [*pages(world, batch, per_page, view)]
        shown = [result for page in read for result in page["results"]]
        expected = {
            None: {*Verdict},
            Only.FAILED: {Verdict.FAILED, Verdict.UNANSWERED},
            Only.SUCCEEDED: {Verdict.SUCCEEDED},
        }[view.only]
        assert [result["id"] for result in shown] == [
            f"job-{index}" for index, answer in answers.items() if answer.verdict in expected
        ]
        assert all(("index" in result) is (view.partial or view.detailed) for result in shown)
        assert all(("outcome" in result) is view.detailed for result in shown)
        assert [page["meta"]["totalResults"] for page in read] == [len(verdicts)] * len(read)

    @given(total=st.integers(1, 30), per_page=st.integers(1, 31), data=st.data())
    def test_every_answered_job_is_shown_once_if_others_are_missing(
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
    def test_every_job_is_shown_once_if_pages_end_early(self, missing: set[int]) -> None:
        world = World()
        batch = world.submitted(30)
        answered = {*range(30)} - missing
        answer(world, batch, answered, LARGE)
        read = [*pages(world, batch, 1_000)]
        assert [result["index"] for page in read for result in page["results"]] == sorted(answered)
        assert max(page["meta"]["count"] for page in read) == 11

    def test_a_job_answered_meanwhile_is_on_a_later_page_or_on_none(self) -> None:
        world = World()
        batch = world.submitted(4)
        answer(world, batch, {1, 3})
        read = pages(world, batch, 2)
        first = next(read)
        answer(world, batch, {0, 2})
        [second] = read
        assert [result["index"] for result in first["results"]] == [1]
        assert [result["index"] for result in second["results"]] == [2, 3]

    def test_a_page_behind_the_last_job_has_no_next(self) -> None:
        world = World()
        batch = world.submitted(2)
        meta = page_of(world, batch, 1_000, 10)["meta"]
        assert meta == {"totalResults": 2, "start": 1_000, "perPage": 10, "count": 0, "next": None}


class TestTheWhole:
    """Without paging, the answer is everything that is shown, or an error."""

    @pytest.mark.parametrize(
        ("view", "shown"),
        [
            (View(only=Only.FAILED), [13, 14]),
            (View(only=Only.FAILED, detailed=True), [13, 14]),
            (View(only=Only.FAILED, partial=True), [13, 14]),
        ],
    )
    def test_parts_left_out_do_not_count(self, view: View, shown: list[int]) -> None:
        world, batch = ended(14, large=range(13))
        body = world.service.reader.results(DEMO_CALLER, batch.batch_id, page=None, view=view)
        assert [result["request"]["n"] for result in json.loads(body)["results"]] == shown

    @pytest.mark.parametrize("view", [View(only=Only.SUCCEEDED), View(detailed=True), View()])
    def test_parts_shown_count(self, view: View) -> None:
        world, batch = ended(13, large=range(12))
        with pytest.raises(TooLarge, match="page through them"):
            world.service.reader.results(DEMO_CALLER, batch.batch_id, page=None, view=view)

    def test_more_than_can_be_examined_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, batch = ended(14, large=range(13))
        monkeypatch.setattr(results, "MAX_LOOKED_AT", 3_000_000)
        read = partial(world.service.reader.results, DEMO_CALLER, batch.batch_id, page=None)
        message = "The results do not fit one answer: page through them with 'start' and 'perPage'"
        with pytest.raises(TooLarge) as refused:
            read(view=View(only=Only.FAILED))
        assert refused.value.message == message

    def test_details_count_too(self) -> None:
        """Without details the results fit."""
        world, batch = ended(999, large=(), jobs_per_message=50)
        read = partial(world.service.reader.results, DEMO_CALLER, batch.batch_id, page=None)
        plain = read(view=View(partial=True))
        response = '"' + "x" * ((MAX_PAGE_BYTES - len(plain)) // 1_001) + '"'
        world, batch = ended(999, large=range(999), jobs_per_message=50, response=response)
        read = partial(world.service.reader.results, DEMO_CALLER, batch.batch_id, page=None)
        assert len(read(view=View(partial=True))) <= MAX_PAGE_BYTES
        with pytest.raises(TooLarge, match="page through them"):
            read(view=View(detailed=True))


def ended(
    succeeding: int, *, large: Collection[int], response: str = LARGE, **fields: Any
) -> tuple[World, Batch]:
    """A batch whose last two jobs failed, and some of whose answers are large."""
    world = World()
    batch = world.submitted(succeeding + 1, **fields)
    failed = Answer(Verdict.FAILED, "{}")
    answers = {
        index: succeeded(response if index in large else "{}") for index in range(succeeding)
    }
    record(world, batch, {**answers, succeeding - 1: failed, succeeding: unanswered()})
    for chunk in batch.chunks:
        found = world.store.load_chunk(batch, chunk)
        world.store.change(batch, transitions.finish_chunk(batch, found))
    done = world.store.change(world.head(batch), transitions.complete(world.head(batch), START))
    assert done
    return world, done
