"""Listing an account's batches: what a page holds, and what it costs."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.batch import Batch, Listed
from chalicelib.domain.results import Page
from chalicelib.errors import ParameterInvalid
from chalicelib.operations.list_batches import BatchLister, Listing
from chalicelib.service import Service
from tests.fakes.dynamodb import FakeBatchStore
from tests.fakes.ports import SETTINGS, InMemory
from tests.samples import DEMO_CALLER, a_batch

HOUR = timedelta(hours=1)
LABEL = "nightly"


@dataclass
class WatchedStore(FakeBatchStore):
    """Records how many ids and heads each request asks for."""

    listed: list[int | None] = field(default_factory=list)
    found: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def find_of_account(self, account: str, since: datetime, **part: Any) -> Iterator[Listed]:
        self.listed.append(part["limit"])
        return super().find_of_account(account, since, **part)

    def find_all(self, batch_ids: Collection[str]) -> dict[str, Batch]:
        self.found += [len(batch_ids)] if batch_ids else []
        return super().find_all(batch_ids)


class World(InMemory):
    """An account and its batches."""

    def __init__(self, expiry_hours: int = 60) -> None:
        self.watched = WatchedStore()
        super().__init__(store=self.watched)
        self.expiry_hours = expiry_hours

    @property
    def lister(self) -> BatchLister:
        return Service(replace(SETTINGS, expiry_hours=self.expiry_hours), self.ports).lister

    def put(
        self,
        count: int,
        *,
        age: timedelta = HOUR,
        life: timedelta = 60 * HOUR,
        label: str | None = None,
    ) -> list[str]:
        """Store some batches of a given age, a minute apart, newest first."""
        ids = []
        for number in range(count):
            batch_id = f"{len(self.store.heads):032x}"
            created_at = self.clock.now() - age - number * timedelta(minutes=1)
            self.store.heads[batch_id] = a_batch(
                1,
                batch_id=batch_id,
                created_at=created_at,
                expires_at=created_at + life,
                label=label,
            )
            ids.append(batch_id)
        return ids

    def page(self, start: int = 0, per_page: int = 100) -> Listing:
        return self.lister.list_from(DEMO_CALLER, Page(start=start, per_page=per_page))

    def labelled(self, per_page: int = 100) -> Iterator[Listing]:
        """The pages of a label, from the first to the last."""
        page = self.lister.list_from(DEMO_CALLER, Page(start=0, per_page=per_page), LABEL)
        yield page
        while page.following:
            page = self.lister.list_after(DEMO_CALLER, page.following, per_page, LABEL)
            yield page

    def pages(self, per_page: int = 100, first: int | None = None) -> Iterator[Listing]:
        """The pages, from the first to the last."""
        page = self.page(per_page=first or per_page)
        yield page
        while page.following:
            following = self.lister.list_after(DEMO_CALLER, page.following, per_page)
            assert following.following != page.following
            page = following
            yield page


def ids(*pages: Listing) -> list[str]:
    return [batch.batch_id for page in pages for batch in page.batches]


class TestFollowing:
    @given(
        spans=st.lists(st.integers(0, 5), max_size=40),
        first=st.integers(1, 12),
        per_page=st.integers(1, 12),
    )
    def test_every_batch_is_on_one_page_in_order(
        self, spans: Sequence[int], first: int, per_page: int
    ) -> None:
        """This holds for any page size, and for batches that were created at the same moment."""
        world = World()
        for span in spans:
            world.put(1, age=span * HOUR)
        read = [*world.pages(per_page, first)]
        assert len(ids(*read)) == len(set(ids(*read))) == len(spans)
        created = [batch.created_at for page in read for batch in page.batches]
        assert created == sorted(created, reverse=True)
        before = [len(ids(*read[:place])) for place in range(len(read))]
        assert [page.start for page in read] == before
        assert {page.total for page in read} == {len(spans)}
        assert all(page.batches for page in read[1:])

    def test_a_batch_submitted_meanwhile_repeats_and_skips_nothing(self) -> None:
        world = World()
        expected = world.put(25)
        got = []
        for page in world.pages(10):
            got += ids(page)
            world.put(7, age=timedelta())
            world.clock.advance(minutes=1)
        assert got == expected

    def test_a_batch_deleted_meanwhile_skips_nothing(self) -> None:
        """This holds even if the page ended with it."""
        world = World()
        expected = world.put(30)
        got = []
        for page in world.pages(10):
            got += ids(page)
            for batch_id in ids(page):
                del world.store.heads[batch_id]
        assert got == expected

    def test_another_accounts_batches_are_never_listed(self) -> None:
        world = World()
        world.put(25)
        following = world.page(per_page=10).following
        assert following
        stranger = replace(DEMO_CALLER, account="spy")
        assert world.lister.list_after(stranger, following, 10).batches == []
        assert world.lister.list_from(stranger, Page(start=0, per_page=10)).total == 0


class TestCounting:
    @pytest.mark.parametrize(("count", "total"), [(0, 0), (1, 1), (1_000, 1_000), (1_001, None)])
    def test_batches_are_counted_up_to_a_thousand(self, count: int, total: int | None) -> None:
        world = World()
        world.put(count)
        assert world.page().total == total

    @pytest.mark.parametrize("start", [0, 1, 95, 999, 1_000])
    def test_a_page_may_start_at_any_number_up_to_a_thousand(self, start: int) -> None:
        world = World()
        expected = world.put(1_200)
        page = world.page(start, 100)
        assert (ids(page), page.start) == (expected[start : start + 100], start)
        assert page.following
        assert page.following.start == start + 100
        following = world.lister.list_after(DEMO_CALLER, page.following, 100)
        assert ids(following) == expected[start + 100 : start + 200]

    def test_a_start_beyond_a_thousand_is_refused_only_if_there_are_more_batches(self) -> None:
        world = World()
        world.put(1_000)
        for start in (1_000, 1_001, 10**9):
            page = world.page(start)
            assert (page.batches, page.total, page.following) == ([], 1_000, None)
        world.put(1, age=timedelta())
        assert ids(world.page(1_000)) == [f"{999:032x}"]
        with pytest.raises(ParameterInvalid, match="'start'") as raised:
            world.page(1_001)
        assert raised.value.reasons == ("beyond 1000, pass the 'next' of the page before",)


class TestExpiry:
    def test_a_batch_that_has_just_expired_is_counted_and_not_shown(self) -> None:
        """Its time is rounded down to the second, and batches of that second are not read."""
        world = World()
        [live] = world.put(1)
        world.put(1, age=60 * HOUR - timedelta(milliseconds=500), life=59 * HOUR)
        page = world.page()
        assert (ids(page), page.total, page.following) == ([live], 2, None)

    def test_an_expired_batch_that_is_not_deleted_yet_is_neither_counted_nor_shown(self) -> None:
        world = World()
        live = world.put(3)
        world.put(500, age=61 * HOUR)
        page = world.page()
        assert (ids(page), page.total, page.following) == (live, 3, None)

    def test_a_shorter_life_from_now_on_hides_no_batch_that_lives(self) -> None:
        world = World(expiry_hours=336)
        old = world.put(3, age=100 * HOUR, life=336 * HOUR)
        world.expiry_hours = 60
        new = world.put(2)
        page = world.page()
        assert (ids(page), page.total, page.following) == (new + old, 5, None)
        assert ids(*world.pages(2)) == new + old

    def test_a_longer_life_from_now_on_shows_no_batch_that_has_expired(self) -> None:
        world = World(expiry_hours=336)
        world.put(3, age=61 * HOUR, life=60 * HOUR)
        live = world.put(2)
        assert ids(world.page()) == live

    @pytest.mark.parametrize("per_page", [1, 2, 3, 7, 100])
    def test_expired_batches_between_live_ones_are_skipped(self, per_page: int) -> None:
        """After the lifetime was shortened, the newer batches expire first."""
        world = World()
        live = world.put(4)
        world.put(5, age=70 * HOUR, life=60 * HOUR)
        live += world.put(4, age=90 * HOUR, life=336 * HOUR)
        world.put(5, age=400 * HOUR, life=336 * HOUR)
        read = [*world.pages(per_page)]
        assert ids(*read) == live
        assert {page.total for page in read} == {8}

    def test_beyond_the_counted_batches_live_ones_are_found_behind_empty_pages(self) -> None:
        world = World()
        live = world.put(3)
        world.put(2_000, age=61 * HOUR)
        live += world.put(3, age=100 * HOUR, life=336 * HOUR)
        read = [*world.pages(500)]
        assert ids(*read) == live
        assert [len(page.batches) for page in read] == [3, 0, 0, 3]
        assert read[0].total == 3

    def test_after_the_longest_life_there_is_nothing(self) -> None:
        """A caller may have kept a cursor that long."""
        world = World()
        world.put(20)
        following = world.page(per_page=10).following
        assert following
        world.clock.advance(days=15)
        page = world.lister.list_after(DEMO_CALLER, following, 10)
        assert (page.batches, page.following) == ([], None)


class TestCost:
    @pytest.mark.parametrize("count", [100, 1_000, 5_000])
    def test_a_page_reads_its_own_heads_and_no_others(self, count: int) -> None:
        world = World()
        world.put(count, age=timedelta())
        first, second = world.page(), None
        assert (world.watched.listed, world.watched.found) == ([1_001], [100])
        if first.following:
            second = world.lister.list_after(DEMO_CALLER, first.following, 100)
            assert (world.watched.listed, world.watched.found) == ([1_001, 101], [100, 100])
        assert (second is None) == (count == 100)

    def test_a_refused_or_distant_start_reads_no_more(self) -> None:
        world = World()
        world.page(10**9, 1_000)
        assert (world.watched.listed, world.watched.found) == ([2_001], [])


class TestByLabel:
    @given(
        labels=st.lists(st.sampled_from([LABEL, "Nightly", None]), max_size=30),
        per_page=st.integers(1, 12),
    )
    def test_every_batch_of_the_label_is_on_one_page_in_order(
        self, labels: Sequence[str | None], per_page: int
    ) -> None:
        world = World()
        put = [
            (label, *world.put(1, age=age * HOUR, label=label)) for age, label in enumerate(labels)
        ]
        read = [*world.labelled(per_page)]
        assert ids(*read) == [batch_id for label, batch_id in put if label == LABEL]
        assert [page.start for page in read] == [
            len(ids(*read[:place])) for place in range(len(read))
        ]
        assert {page.total for page in read} == {None}

    def test_a_page_examines_a_thousand_and_may_be_empty(self) -> None:
        world = World()
        world.put(2_500, age=timedelta(minutes=1))
        expected = world.put(1, age=50 * HOUR, label=LABEL)
        read = [*world.labelled(100)]
        assert [ids(page) for page in read] == [[], [], expected]
        assert world.watched.listed == [1_001] * 3
        assert sum(world.watched.found) == 2_501
        assert {*world.watched.found} == {100, 1}

    def test_a_full_page_reads_no_further(self) -> None:
        world = World()
        world.put(1_000, age=timedelta(), label=LABEL)
        page = next(world.labelled(150))
        assert (len(page.batches), world.watched.found) == (150, [100, 100])

    @pytest.mark.parametrize("count", [999, 1_000, 1_001])
    def test_the_last_page_leads_nowhere(self, count: int) -> None:
        world = World()
        world.put(count, age=timedelta())
        read = [*world.labelled()]
        assert [bool(page.following) for page in read] == [True] * (len(read) - 1) + [False]
        assert len(read) == (2 if count > 1_000 else 1)

    def test_expired_batches_are_left_out(self) -> None:
        world = World()
        [live] = world.put(1, label=LABEL)
        world.put(3, age=61 * HOUR, label=LABEL)
        assert ids(*world.labelled(1)) == [live]
