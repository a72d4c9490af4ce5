"""Restart, repost, cancel and rerun from the console: each happens once, or is refused."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from batchback_console.offers import offer
from batchback_console.views.actions import Actions
from chalicelib.domain.account import Key
from chalicelib.domain.batch import Batch, Job
from chalicelib.domain.limits import Limits
from chalicelib.domain.outcome import Reply
from chalicelib.domain.states import CallbackState
from chalicelib.domain.trace import TraceContext
from chalicelib.errors import Unavailable
from tests.console.asking import Answer, Page, console_of
from tests.fakes.clock import START
from tests.operations.world import World, failing
from tests.samples import TERMS

JOBS = tuple(Job(n, "event", "inviteContacts", f'{{"n":{n}}}', f"row-{n}") for n in range(4))
TRACE = TraceContext(trace_id="ab" * 16, flags="01")


@pytest.fixture
def page(world: World) -> Page:
    return Page(console_of(world))


@pytest.fixture
def troubled(world: World) -> Batch:
    """A completed batch: its first and last job succeeded, the second failed, and the third never
    got an answer."""
    return completed(world)


def completed(world: World, **fields: Any) -> Batch:
    statuses = {1: 404, 2: 500}
    world.behave(
        lambda call: Reply(status=statuses[n]) if (n := call.params["n"]) in statuses else None
    )
    batch = world.submitted(4, jobs=JOBS, terms=TERMS, label="nightly", **fields)
    world.run_all_chunks(batch)
    world.run_to_the_end()
    world.behave(lambda _: None)
    world.platform.calls.clear()
    world.receiver.posts.clear()
    return world.head(batch)


def do(page: Page, name: str, batch: Batch) -> Answer:
    seen = offer(name, batch, START).seen
    return page.posts(f"/batches/{batch.batch_id}/{name}", {"seen": seen})


def called(world: World) -> list[int]:
    return [call.params["n"] for call in world.platform.calls]


class TestRestart:
    def test_only_the_unanswered_job_runs_again(
        self, world: World, page: Page, troubled: Batch
    ) -> None:
        answer = do(page, "restart", troubled)
        assert answer == Answer(
            status=200,
            body={
                "said": "Round 2 has begun: 1 job runs again.",
                "batchId": troubled.batch_id,
            },
        )
        world.run_to_the_end()
        assert called(world) == [2]

    def test_the_second_of_two_clicks_changes_nothing(
        self, world: World, page: Page, troubled: Batch
    ) -> None:
        do(page, "restart", troubled)
        head = world.head(troubled)
        answer = do(page, "restart", troubled)
        assert answer == Answer(
            status=409,
            body={"error": "The batch has changed since you looked: look again, then decide."},
        )
        assert world.head(troubled) == head

    def test_a_running_batch_is_checked(self, world: World, page: Page) -> None:
        batch = world.submitted(1)
        assert do(page, "restart", batch).body["said"] == "The batch is being checked."
        assert [message.batch_id for message, _ in world.queue.batches] == [batch.batch_id]


class TestRepost:
    def test_the_receiver_gets_the_callback_again(
        self, world: World, page: Page, troubled: Batch
    ) -> None:
        world.clock.advance(minutes=3)
        assert do(page, "repost", troubled).body["said"] == "The callback is being sent again."
        world.run_to_the_end()
        assert [post.headers["webhook-id"] for post in world.receiver.posts] == [
            troubled.callback_id
        ]

    def test_the_second_of_two_clicks_sends_nothing(
        self, world: World, page: Page, troubled: Batch
    ) -> None:
        world.clock.advance(minutes=3)
        answers = [do(page, "repost", troubled).status for _ in range(2)]
        world.run_to_the_end()
        assert (answers, len(world.receiver.posts)) == ([200, 409], 1)


class TestTurns:
    """No other action of this console runs between reading a batch and changing it."""

    @pytest.mark.parametrize("name", ["restart", "repost", "rerunFailed"])
    def test_nothing_is_read_or_changed_out_of_turn(
        self, world: World, troubled: Batch, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        world.clock.advance(minutes=3)
        turn = Turn()
        for method in ("find", "change", "save_jobs", "commit"):
            monkeypatch.setattr(
                world.store, method, turn.required_for(getattr(world.store, method))
            )
        actions = Actions(console=console_of(world), one_at_a_time=turn)
        seen = offer(name, troubled, world.clock.now()).seen
        actions.act(name, troubled.batch_id, seen)
        assert turn.calls > 2


class Turn(AbstractContextManager[None]):
    def __init__(self) -> None:
        self.is_taken = False
        self.calls = 0

    def __enter__(self) -> None:
        self.is_taken = True

    def __exit__(self, *_: object) -> None:
        self.is_taken = False

    def required_for(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any) -> Any:
            assert self.is_taken
            self.calls += 1
            return call(*args)

        return called


class TestCancel:
    def test_no_job_is_called(self, world: World, page: Page) -> None:
        batch = world.submitted(2)
        assert do(page, "cancel", batch).body["said"] == "The batch is being cancelled."
        world.run_to_the_end()
        assert (called(world), world.head(batch).status) == ([], "cancelled")


class TestRerunFailed:
    def test_jobs_that_did_not_succeed_run_as_a_new_batch_in_order(
        self, world: World, page: Page, troubled: Batch
    ) -> None:
        answer = do(page, "rerunFailed", troubled)
        assert answer.body["said"] == "A new batch has begun: 2 jobs run again."
        made = world.store.heads[answer.body["batchId"]]
        assert world.head(troubled) == troubled
        assert [chunk.jobs for chunk in world.store.read_chunks(made, made.chunks)] == [
            (replace(JOBS[1], index=0),),
            (replace(JOBS[2], index=1),),
        ]
        world.run_to_the_end()
        assert called(world) == [1, 2]
        assert world.head(made).answered.succeeded == 2

    def test_it_keeps_the_terms_and_the_key_but_not_the_limit_of_failures(
        self, world: World, page: Page
    ) -> None:
        batch = completed(world, max_failed=9, trace=TRACE)
        made = world.store.heads[do(page, "rerunFailed", batch).body["batchId"]]
        terms = world.store.find_terms(made)
        assert terms is not None
        assert replace(terms, request_hash=TERMS.request_hash) == TERMS
        assert (made.account, made.key, made.label) == ("acme", "demo", "nightly")
        assert (made.trace, made.max_failed) == (TRACE, None)
        assert made.deadline - made.created_at == timedelta(minutes=90)

    def test_a_second_click_leads_to_the_same_new_batch(
        self, world: World, page: Page, troubled: Batch
    ) -> None:
        first = do(page, "rerunFailed", troubled)
        second = do(page, "rerunFailed", troubled)
        assert second == Answer(
            status=200,
            body={
                "said": "This batch runs them already, so none was submitted twice.",
                "batchId": first.body["batchId"],
            },
        )
        world.run_to_the_end()
        assert called(world) == [1, 2]

    def test_it_works_even_if_the_callback_arrives_meanwhile(
        self, page: Page, troubled: Batch
    ) -> None:
        before = replace(troubled, callback=CallbackState.WAITING)
        assert do(page, "rerunFailed", before).status == 200

    def test_another_round_gets_another_batch(
        self, world: World, page: Page, troubled: Batch
    ) -> None:
        first = do(page, "rerunFailed", troubled)
        do(page, "restart", troubled)
        world.run_to_the_end()
        second = do(page, "rerunFailed", world.head(troubled))
        assert second.body["batchId"] != first.body["batchId"]

    def test_jobs_that_cannot_be_read_are_not_left_out_silently(
        self, world: World, page: Page, troubled: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chunks = [*world.store.read_chunks(troubled, troubled.chunks)]
        chunks[1] = replace(chunks[1], jobs=None)
        monkeypatch.setattr(world.store, "read_chunks", lambda *_: iter(chunks))
        answer = do(page, "rerunFailed", troubled)
        assert answer == Answer(
            status=409,
            body={"error": "Some of its failed jobs cannot be read, so they cannot be run again."},
        )
        assert len(world.store.heads) == 1


class TestRefused:
    @pytest.mark.parametrize("name", ["restart", "repost", "cancel", "rerunFailed"])
    def test_a_batch_that_is_gone(
        self, world: World, page: Page, troubled: Batch, name: str
    ) -> None:
        gone = {"error": "There is no such batch: it never existed, or has expired."}
        other = replace(troubled, batch_id="0" * 32)
        assert do(page, name, other) == Answer(status=404, body=gone)
        world.clock.set(troubled.expires_at)
        assert do(page, name, troubled) == Answer(status=404, body=gone)

    @pytest.mark.parametrize("name", ["restart", "repost", "cancel", "rerunFailed"])
    @pytest.mark.parametrize("body", [None, [], {}, {"seen": 1}])
    def test_a_request_that_does_not_say_what_was_seen(
        self, page: Page, troubled: Batch, name: str, body: object
    ) -> None:
        answer = page.posts(f"/batches/{troubled.batch_id}/{name}", body)
        assert answer == Answer(
            status=400,
            body={"error": "`seen` is missing: send the `seen` of this action from the batch."},
        )

    def test_an_action_that_is_not_possible_now_with_the_reason(
        self, page: Page, troubled: Batch
    ) -> None:
        answer = do(page, "cancel", troubled)
        assert answer == Answer(status=409, body={"error": "The batch has ended: it is completed."})

    @pytest.mark.parametrize("name", ["restart", "rerunFailed"])
    @pytest.mark.parametrize(
        "keys", [[], [Key(key="demo", account="acme", is_revoked=True, secrets=())]]
    )
    def test_jobs_whose_key_is_revoked(
        self, world: World, page: Page, troubled: Batch, name: str, keys: list[Key]
    ) -> None:
        world.keys.keys = {key.key: key for key in keys}
        answer = do(page, name, troubled)
        assert answer == Answer(
            status=409,
            body={
                "error": "Its key demo has been revoked, so its jobs cannot run: submit them with "
                "another key."
            },
        )
        assert world.store.heads == {troubled.batch_id: troubled}

    def test_more_open_batches_than_the_account_may_have(self) -> None:
        world = World(limits=Limits(open_batches=1))
        page = Page(console_of(world))
        troubled = completed(world)
        assert do(page, "restart", troubled).status == 200
        world.run_to_the_end()
        first, second = completed(world, batch_id="1" * 32), completed(world, batch_id="2" * 32)
        assert do(page, "rerunFailed", first).status == 200
        answer = do(page, "rerunFailed", second)
        assert answer.status == 429
        assert answer.body["error"].startswith(
            "Too many requests: the account's limit for open batches is 1. Retry in "
        )

    @pytest.mark.parametrize("name", ["restart", "repost", "cancel", "rerunFailed"])
    def test_every_action_of_a_read_only_console(
        self, world: World, troubled: Batch, name: str
    ) -> None:
        page = Page(console_of(world, may_act=False))
        answer = do(page, name, troubled)
        assert answer.status == 403
        assert "--allow-actions" in answer.body["error"]
        assert world.store.heads == {troubled.batch_id: troubled}


class TestFailures:
    @pytest.mark.parametrize("call", ["find", "save_jobs", "commit"])
    def test_a_database_that_does_not_answer_is_explained(
        self,
        world: World,
        page: Page,
        troubled: Batch,
        monkeypatch: pytest.MonkeyPatch,
        call: str,
    ) -> None:
        failing(monkeypatch, world.store, call, error=Unavailable("DynamoDB: ReadTimeoutError"))
        monkeypatch.setattr(world.store, "void", lambda *_: None)
        answer = do(page, "rerunFailed", troubled)
        assert answer == Answer(status=502, body={"error": "DynamoDB: ReadTimeoutError: retry."})
