"""The list of batches: which ones are shown, in which order, on which page, and at what cost."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.batch import Batch, CallbackAttempt, Counts
from chalicelib.domain.holds import Outage, Pause
from chalicelib.domain.states import BatchState, CallbackState
from tests.console.asking import Page, console_of
from tests.console.local_service import local_tools
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.operations.world import World
from tests.samples import a_batch

ENDED: dict[str, Any] = {
    "state": BatchState.COMPLETED,
    "completed_at": START,
    "due_at": None,
    "next_check_at": None,
    "callback": CallbackState.DELIVERED,
}
FAILED = {**ENDED, "callback": CallbackState.FAILED}
ATTEMPT = CallbackAttempt(at=START, status=503, error="HTTP 503", took_ms=12)


class CountingStore(FakeBatchStore):
    """Counts the heads that are read, and the requests for them."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def find_all(self, batch_ids: Any) -> dict[str, Batch]:
        self.counted["requests"] += -(-len(batch_ids) // 100)
        self.counted["heads"] += len(batch_ids)
        return super().find_all(batch_ids)

    def find_holds(self, account: str) -> Any:
        self.counted["holds"] += 1
        return super().find_holds(account)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def world(store: CountingStore) -> World:
    return World(store=store)


def put(world: World, number: int, age: float = 0, **fields: Any) -> Batch:
    """A batch that was submitted `age` minutes ago."""
    created = START - timedelta(minutes=age)
    batch = replace(
        a_batch(),
        **{"batch_id": f"{number:032x}", "created_at": created, "round_began_at": START, **fields},
    )
    world.store.heads[batch.batch_id] = batch
    return batch


def shown(answer: dict[str, Any]) -> list[int]:
    return [int(row["id"], 16) for row in answer["batches"]]


class TestOrder:
    def test_batches_in_trouble_come_first_then_running_ones_then_ended_ones(
        self, world: World, local: Page
    ) -> None:
        """Within each group, the newest batch comes first."""
        put(world, 1, age=50, **ENDED)
        put(world, 2, age=40)
        put(world, 3, age=60, due_at=START - timedelta(hours=1))
        put(world, 4, age=30)
        put(world, 5, age=20, **ENDED)
        put(world, 6, age=90, **FAILED)
        assert shown(local.gets("/batches")) == [3, 6, 4, 2, 5, 1]

    def test_a_batch_whose_callback_is_still_to_come_has_work_left(
        self, world: World, stage: Page
    ) -> None:
        put(world, 1, **{**ENDED, "callback": CallbackState.WAITING, "due_at": START})
        assert shown(stage.gets("/batches")) == [1]

    def test_no_batch_is_shown_twice_if_the_index_lags(
        self, world: World, local: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The index of due batches still contains one that has ended."""
        running = put(world, 1)
        due = [*world.store.find_due(START + timedelta(days=1))]
        put(world, 1, **ENDED)
        monkeypatch.setattr(world.store, "find_due", lambda _: iter(due))
        answer = local.gets("/batches")
        assert shown(answer) == [1]
        assert answer["batches"][0]["status"] == "completed"
        assert shown(local.gets("/batches?show=open")) == []
        assert running.is_running


class TestWhichAreShown:
    def test_a_stage_shows_the_open_batches_of_all_accounts(
        self, world: World, stage: Page
    ) -> None:
        put(world, 1)
        put(world, 2, account="other")
        put(world, 3, **ENDED)
        answer = stage.gets("/batches")
        assert sorted(shown(answer)) == [1, 2]
        assert (answer["accounts"], answer["note"]) == (["acme", "other"], None)

    def test_this_machines_service_shows_the_finished_ones_too(
        self, world: World, local: Page
    ) -> None:
        put(world, 1)
        put(world, 2, **ENDED)
        assert sorted(shown(local.gets("/batches"))) == [1, 2]
        assert shown(local.gets("/batches?show=open")) == [1]

    def test_with_several_accounts_a_stage_asks_for_one(self, world: World, stage: Page) -> None:
        put(world, 1)
        put(world, 2, **ENDED)
        put(world, 3, account="other")
        put(world, 4, account="other", **ENDED)
        answer = stage.gets("/batches?show=all")
        assert sorted(shown(answer)) == [1, 3]
        assert answer["note"] == "Finished batches are listed by account: choose one."
        assert sorted(shown(stage.gets("/batches?show=all&account=other"))) == [3, 4]

    def test_with_one_account_a_stage_shows_its_finished_ones(
        self, world: World, stage: Page
    ) -> None:
        put(world, 2, **ENDED)
        assert shown(stage.gets("/batches?show=all")) == [2]

    def test_an_expired_batch_is_gone(self, world: World, local: Page) -> None:
        put(world, 1, expires_at=START)
        put(world, 2, **{**ENDED, "expires_at": START})
        assert shown(local.gets("/batches")) == []

    @pytest.mark.parametrize(
        ("query", "wanted"),
        [
            ("status=running", [1, 6, 7]),
            ("status=completed", [2, 8]),
            ("status=cancelled", [3]),
            ("status=stopped", [4]),
            ("status=trouble", [6, 7, 8]),
            ("label=night", [1, 2]),
            ("label=nightly-2", [2]),
            ("label=ightly", []),
            ("account=acme&status=cancelled", [3]),
            ("account=other", [7]),
            ("account=nobody", []),
            ("status=&label=&account=", [1, 2, 3, 4, 6, 7, 8]),
        ],
    )
    def test_filters_narrow_the_list(
        self, world: World, local: Page, query: str, wanted: list[int]
    ) -> None:
        """A batch whose jobs wait is in trouble too."""
        put(world, 1, label="nightly-1")
        put(world, 2, label="nightly-2", **ENDED)
        put(world, 3, cancelled=True, **ENDED)
        put(world, 4, stopped=True, max_failed=0, **ENDED)
        put(world, 6, due_at=START - timedelta(hours=1))
        put(world, 7, account="other", waits_until=START + timedelta(minutes=5))
        put(world, 8, **FAILED)
        assert sorted(shown(local.gets(f"/batches?{query}"))) == wanted

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("status=broken", "`status`"),
            ("show=some", "`show`"),
            ("after=x", "`after`"),
            ("after=3", "`after`"),
            ("after=2.1.zz", "`after`"),
            (f"after=2.{10**14}.{'0' * 32}", "`after`"),
        ],
    )
    def test_a_wrong_query_is_named(self, stage: Page, query: str, names: str) -> None:
        answer = stage.asks("GET", f"/batches?{query}")
        assert answer.status == 400
        assert names in answer.body["error"]


class TestPages:
    def test_every_batch_is_on_one_page(self, world: World, local: Page) -> None:
        """Batches with work left come first, and a page may begin anywhere in either kind."""
        for number in range(120):
            put(world, number + 1, age=number / 10)
        for number in range(130):
            put(world, number + 1001, age=number / 10, **ENDED)
        pages: list[list[int]] = []
        after: str | None = ""
        while after is not None:
            answer = local.gets(f"/batches?after={after}")
            pages.append(shown(answer))
            after = answer["next"]
        assert [len(page) for page in pages] == [100, 100, 50]
        assert [*range(1, 121), *range(1001, 1131)] == [each for page in pages for each in page]

    def test_a_full_page_of_open_batches_leads_to_the_finished_ones(
        self, world: World, local: Page
    ) -> None:
        for number in range(100):
            put(world, number + 1, age=number)
        put(world, 1001, **ENDED)
        answer = local.gets("/batches")
        assert len(shown(answer)) == 100
        assert shown(local.gets(f"/batches?after={answer['next']}")) == [1001]

    def test_accounts_are_merged_by_age(self, world: World) -> None:
        page = Page(replace(console_of(world, local=local_tools()), accounts=lambda: ["a", "b"]))
        for number in range(150):
            account = "a" if number % 3 else "b"
            put(world, number + 1, age=number, account=account, **ENDED)
        first = page.gets("/batches")
        second = page.gets(f"/batches?after={first['next']}")
        assert shown(first) + shown(second) == [*range(1, 151)]

    def test_a_page_reads_a_hundred_heads_however_many_there_are(
        self, world: World, store: CountingStore, local: Page
    ) -> None:
        for number in range(700):
            put(world, number + 1, age=number, **ENDED)
        local.gets("/batches")
        assert store.counted == {"requests": 1, "heads": 100}

    def test_what_holds_up_an_account_is_read_once_and_only_if_jobs_may_wait(
        self, world: World, store: CountingStore, local: Page
    ) -> None:
        for number in range(5):
            put(world, number + 1)
        put(world, 6, **ENDED)
        local.gets("/batches?status=trouble")
        assert store.counted["holds"] == 1

    def test_a_search_ends_after_a_thousand_batches_and_says_so(
        self, world: World, store: CountingStore, local: Page
    ) -> None:
        for number in range(1_300):
            put(world, number + 1, age=number / 10, **ENDED)
        put(world, 9_999, age=500, label="rare", **ENDED)
        first = local.gets("/batches?label=rare")
        assert shown(first) == []
        assert first["note"] == "Only the newest 1,000 were searched: show older ones to go on."
        assert store.counted["heads"] == 1_000
        assert shown(local.gets(f"/batches?label=rare&after={first['next']}")) == [9_999]

    def test_no_more_than_a_thousand_open_batches_are_read_and_it_says_so(
        self, world: World, store: CountingStore, stage: Page
    ) -> None:
        for number in range(1_001):
            put(world, number + 1)
        answer = stage.gets("/batches")
        assert "More than 1,000 batches have work left" in answer["note"]
        assert store.counted["heads"] == 1_000


class TestRow:
    def test_it_has_what_the_page_shows(self, world: World, local: Page) -> None:
        put(
            world,
            1,
            total=10,
            label="nightly",
            counts=Counts(succeeded=4, failed=1),
            unanswered_counts=Counts(succeeded=1, failed=2, unanswered=2),
        )
        (row,) = local.gets("/batches")["batches"]
        assert row == {
            "id": "00000000000000000000000000000001",
            "label": "nightly",
            "account": "acme",
            "status": "running",
            "round": 1,
            "jobs": {"total": 10, "succeeded": 5, "failed": 1, "unanswered": 2, "waiting": 2},
            "createdAt": "2026-11-23T14:49:07.000Z",
            "completedAt": None,
            "deadline": "2026-11-24T02:49:07.000Z",
            "expiresAt": "2026-11-26T02:49:07.000Z",
            "callback": {"state": "waiting", "attempts": 0, "nextTryAt": None, "lastError": None},
            "trouble": None,
            "waits": None,
        }

    def test_a_batch_that_stands_still_says_why(self, world: World, local: Page) -> None:
        put(world, 1, due_at=START - timedelta(hours=1))
        (row,) = local.gets("/batches")["batches"]
        assert row["trouble"] == "It was due 1 h 0 min ago and was not swept: does sweep run?"

    def test_a_callback_that_will_be_retried_says_when(self, world: World, local: Page) -> None:
        at = START + timedelta(minutes=4)
        waiting = {**ENDED, "callback": CallbackState.WAITING, "due_at": at, "next_try_at": at}
        put(world, 1, **waiting, attempts=2, history=(ATTEMPT, ATTEMPT))
        (row,) = local.gets("/batches")["batches"]
        assert row["trouble"] == (
            "The callback failed 2 times: HTTP 503; next try at {2026-11-23T14:53:07.000Z}."
        )
        assert row["callback"] == {
            "state": "waiting",
            "attempts": 2,
            "nextTryAt": "2026-11-23T14:53:07.000Z",
            "lastError": "HTTP 503",
        }

    def test_a_callback_that_failed_for_good_says_why(self, world: World, local: Page) -> None:
        put(world, 1, **FAILED, attempts=8, history=(replace(ATTEMPT, error="x" * 1_000),))
        put(world, 2, age=1, **FAILED)
        first, second = local.gets("/batches")["batches"]
        assert first["trouble"] == f"The callback failed: {'x' * 300}."
        assert second["trouble"] == "The callback failed."

    @pytest.mark.parametrize(
        ("hold", "sentence", "until"),
        [
            (
                "outage",
                (
                    "The platform has been down since {2026-11-23T14:49:07.000Z}. Next try at "
                    "{2026-11-23T14:49:22.000Z}."
                ),
                "2026-11-23T14:49:22.000Z",
            ),
            (
                "outage being tried",
                (
                    "The platform has been down since {2026-11-23T14:48:47.000Z}. "
                    "It is being called again now."
                ),
                "2026-11-23T14:49:02.000Z",
            ),
            (
                "pause",
                (
                    "An operator has paused all jobs until {2026-11-23T15:49:07.000Z}. "
                    "Reason: a <b>move</b>"
                ),
                "2026-11-23T15:49:07.000Z",
            ),
            (
                "long wait",
                (
                    "Jobs are delayed after a failed call or a pause. "
                    "They run by {2026-11-23T14:54:07.000Z} at the latest."
                ),
                "2026-11-23T14:54:07.000Z",
            ),
        ],
    )
    def test_a_batch_that_waits_says_for_what(
        self, world: World, local: Page, hold: str, sentence: str, until: str
    ) -> None:
        fields: dict[str, Any] = {}
        if hold == "outage":
            world.store.outages["acme"] = Outage.beginning(START)
        elif hold == "outage being tried":
            world.store.outages["acme"] = Outage.beginning(START - timedelta(seconds=20))
        elif hold == "pause":
            world.store.paused = Pause(until=START + timedelta(hours=1), reason="a <b>move</b>")
        else:
            fields["waits_until"] = START + timedelta(minutes=5)
        put(world, 1, **fields)
        (row,) = local.gets("/batches")["batches"]
        assert row["waits"] == {"sentence": sentence, "until": until}

    @pytest.mark.parametrize("ending", [ENDED, {"cancelled": True}, {"deadline": START}])
    def test_a_batch_that_makes_no_more_calls_waits_for_no_platform(
        self, world: World, local: Page, ending: dict[str, Any]
    ) -> None:
        world.store.outages["acme"] = Outage.beginning(START)
        put(world, 1, **ending)
        (row,) = local.gets("/batches")["batches"]
        assert row["waits"] is None


class TestDamage:
    def test_a_head_that_cannot_be_read_is_named_and_the_others_are_shown(
        self, world: World, local: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(world, 1, **ENDED)
        put(world, 2, **ENDED)
        find = world.store.find

        def damaged(batch_id: str) -> Batch | None:
            if batch_id.endswith("2"):
                raise KeyError("state")
            return find(batch_id)

        def damaged_all(batch_ids: Any) -> dict[str, Batch]:
            return {id: batch for id in batch_ids if (batch := damaged(id))}

        monkeypatch.setattr(world.store, "find", damaged)
        monkeypatch.setattr(world.store, "find_all", damaged_all)
        answer = local.gets("/batches")
        assert shown(answer) == [1]
        assert answer["note"] == (
            "Batch 00000000000000000000000000000002 is left out: its stored head is damaged."
        )
        answer2 = local.asks("GET", f"/batches/{2:032x}")
        assert answer2.status == 409
        assert "damaged" in answer2.body["error"]
