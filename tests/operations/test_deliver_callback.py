"""Callbacks: signed, with the same bytes each time, retried until they are over, and sent by one
worker at a time."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from chalicelib.domain import results, transitions
from chalicelib.domain.batch import Batch, CallbackAttempt, CallbackResults, Chunk, SubmissionTerms
from chalicelib.domain.message import BatchMessage
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.states import CallbackState
from chalicelib.domain.trace import TraceContext
from chalicelib.errors import Denied, Unavailable
from tests.fakes.clock import START
from tests.fakes.webhooks import verify
from tests.operations.world import Failing, UnansweredStore, World, failing
from tests.samples import DEMO_CALLER, PLAIN_TERMS, WEBHOOK_SECRET


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def done(world: World) -> Batch:
    """A completed batch whose callback is due, and whose message has not arrived."""
    batch = world.submitted(3)
    world.run_all_chunks(batch)
    world.queue.take_callbacks()
    return world.head(batch)


class TestDelivering:
    def test_the_callback_is_signed_and_holds_all_results_in_order(
        self, world: World, done: Batch
    ) -> None:
        world.call_back(done)
        [post] = world.receiver.posts
        assert json.loads(post.body) == {
            "asyncId": done.batch_id,
            "results": [
                {
                    "namespace": "event",
                    "action": "inviteContacts",
                    "request": {"n": n},
                    "response": {"echo": {"n": n}},
                }
                for n in range(3)
            ],
        }
        assert post.headers["webhook-id"] == done.callback_id
        assert post.headers["Content-Type"] == "application/json"

    def test_a_receiver_can_verify_it_with_the_standard_library(
        self, world: World, done: Batch
    ) -> None:
        world.call_back(done)
        [post] = world.receiver.posts
        verify(WEBHOOK_SECRET, post.body, post.headers, now=world.clock.now())

    def test_every_attempt_has_the_same_id_and_the_same_bytes(
        self, world: World, done: Batch
    ) -> None:
        world.receiver.answers = [Reply(status=500), NoReply(reason="no answer in time")]
        world.call_back(done)
        world.run_to_the_end()
        assert len(world.receiver.posts) == 3
        assert len({(post.headers["webhook-id"], post.body) for post in world.receiver.posts}) == 1
        assert world.head(done).callback is CallbackState.DELIVERED

    def test_attempts_follow_the_schedule_until_the_callback_has_failed(
        self, world: World, done: Batch
    ) -> None:
        world.receiver.answers = [Reply(status=302)] * 20
        waits = []
        world.call_back(done)
        while (due := world.head(done).next_try_at) is not None:
            waits.append(due - world.clock.now())
            world.clock.set(due)
            world.call_back(done)
        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        scheduled = [
            timedelta(seconds=5),
            *[5 * minute, 30 * minute],
            *[2 * hour, 5 * hour, 10 * hour, 14 * hour],
        ]
        assert waits == [wait * 1.1 for wait in scheduled]
        head = world.head(done)
        assert (head.callback, head.attempts) == (CallbackState.FAILED, 8)
        assert [(made.status, made.error) for made in head.history] == [(302, "HTTP 302")] * 8
        assert head.due_at is None

    def test_an_attempt_that_is_soon_due_is_triggered_by_a_message(
        self, world: World, done: Batch
    ) -> None:
        world.receiver.answers = [Reply(status=500)]
        world.call_back(done)
        assert world.queue.callbacks == [(BatchMessage.of(done), 6)]
        assert world.head(done).due_at == START + timedelta(seconds=5.5, minutes=2)

    def test_a_receiver_that_is_gone_is_not_called_again(self, world: World, done: Batch) -> None:
        world.receiver.answers = [Reply(status=410)]
        world.call_back(done)
        assert world.head(done).callback is CallbackState.FAILED
        assert not world.queue.is_busy

    @pytest.mark.parametrize(("status", "wait"), [(429, 600), (503, 600), (500, 5.5)])
    def test_retry_after_is_honored_on_the_statuses_that_allow_it(
        self, world: World, done: Batch, status: int, wait: float
    ) -> None:
        world.receiver.answers = [Reply(status=status, retry_after="600")]
        world.call_back(done)
        assert world.head(done).next_try_at == START + timedelta(seconds=wait)

    def test_a_refused_address_ends_the_callback(self, world: World, done: Batch) -> None:
        refused = NoReply(reason="10.0.0.1 is a private address", is_final=True)
        world.receiver.answers = [refused]
        world.call_back(done)
        head = world.head(done)
        assert (head.callback, last_error(head)) == (CallbackState.FAILED, refused.reason)

    def test_an_attempt_may_take_15_seconds_and_one_more_for_each_megabyte(
        self, world: World
    ) -> None:
        batch = world.submitted(10, chunk_size=10)
        world.behave(lambda _: Reply(status=200, body=b'"' + b"x" * 300_000 + b'"'))
        world.run_all_chunks(batch)
        world.call_back(batch)
        [post] = world.receiver.posts
        assert post.timeout_seconds == pytest.approx(15 + len(post.body) / 1_000_000)
        assert post.timeout_seconds > 18

    def test_an_attempt_ends_in_time_for_its_outcome_to_be_recorded(
        self, world: World, done: Batch
    ) -> None:
        world.service.delivery.call_back(BatchMessage.of(done), lambda: 22.0)
        [post] = world.receiver.posts
        assert post.timeout_seconds == 12

    def test_the_attempt_is_counted_before_the_post(self, world: World, done: Batch) -> None:
        seen = []

        def die(*_: object, **__: object) -> NoReturn:
            seen.append(world.head(done).attempts)
            raise KeyboardInterrupt

        world.receiver.post = die  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            world.call_back(done)
        assert seen == [1]

    def test_no_other_worker_delivers_while_a_lease_runs(self, world: World, done: Batch) -> None:
        leased = world.store.change(done, transitions.take_lease(done, "another's", START))
        assert leased
        assert leased.lease_ends_at
        world.clock.set(leased.lease_ends_at - timedelta(milliseconds=1))
        world.call_back(done)
        assert world.receiver.posts == []
        world.clock.set(leased.lease_ends_at)
        world.call_back(done)
        assert len(world.receiver.posts) == 1

    def test_a_delivery_recognizes_its_lease_after_a_lost_answer(self) -> None:
        """Otherwise, each such attempt would be lost, and none recorded."""
        world = World(store=UnansweredStore())
        batch = world.submitted(1)
        world.run_all_chunks(batch)
        world.call_back(batch)
        head = world.head(batch)
        assert (head.callback, head.attempts) == (CallbackState.DELIVERED, 1)
        assert len(world.receiver.posts) == 1

    def test_a_worker_that_comes_second_sends_nothing(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another worker takes the lease after the batch was read."""
        find_terms = world.store.find_terms

        def be_overtaken(batch: Batch) -> object:
            assert world.store.change(done, transitions.take_lease(done, "another's", START))
            return find_terms(batch)

        monkeypatch.setattr(world.store, "find_terms", be_overtaken)
        world.call_back(done)
        assert world.receiver.posts == []
        assert world.head(done).lease == "another's"

    def test_senders_that_die_use_up_attempts_too(self, world: World, done: Batch) -> None:
        """Otherwise, a body that kills its sender would be sent for as long as the batch lives."""

        def die(*_: object, **__: object) -> NoReturn:
            raise SystemExit

        world.receiver.post = die  # type: ignore[method-assign]
        for attempts in range(1, 9):
            with pytest.raises(SystemExit):
                world.call_back(done)
            assert world.head(done).attempts == attempts
            world.clock.advance(minutes=3)
        world.call_back(done)
        head = world.head(done)
        assert head.callback is CallbackState.FAILED
        *before, last = head.history
        assert [(made.status, made.error, made.took_ms) for made in before] == [(None,) * 3] * 7
        assert last == replace(last, status=None, took_ms=None)
        assert last.error == "the outcome of the last attempt is unknown"

    def test_a_failure_of_ours_before_the_post_gives_the_attempt_back(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            failing(patch, world.store, "read_chunks")
            world.call_back(done)
        assert (world.head(done).attempts, world.head(done).history) == (0, ())
        assert world.receiver.posts == []
        world.clock.advance(minutes=2)
        world.call_back(done)
        assert world.head(done).callback is CallbackState.DELIVERED

    def test_results_too_large_to_send_are_a_failed_callback_that_says_so(
        self, world: World, done: Batch
    ) -> None:
        head = world.head(done)
        counts = replace(head.counts, result_bytes=60_000_000)
        world.store.heads[done.batch_id] = replace(head, counts=counts)
        world.call_back(done)
        after = world.head(done)
        assert after.callback is CallbackState.FAILED
        size = 60_000_000 + len(f'{{"asyncId":"{done.batch_id}","results":[]}}') + 2
        assert last_error(after) == f"the callback would be {size} bytes: page through the results"
        assert world.receiver.posts == []

    @pytest.mark.parametrize("since", ["running", "expired", "unknown", "without a callback"])
    def test_a_batch_without_a_callback_to_send_is_left_alone(
        self, world: World, since: str
    ) -> None:
        batch = world.submitted(
            2, callback=CallbackState.NONE if since.startswith("without") else CallbackState.WAITING
        )
        if since != "running":
            world.run_all_chunks(batch)
        if since == "expired":
            world.clock.set(batch.expires_at)
        before = world.head(batch)
        world.call_back(replace(batch, batch_id="0" * 32) if since == "unknown" else batch)
        assert world.receiver.posts == []
        assert world.head(batch) == before


def last_error(head: Batch) -> str | None:
    return head.last_attempt.error if head.last_attempt else None


def rerun(world: World, batch: Batch, how: str) -> None:
    getattr(world.service.rerunner, how)(DEMO_CALLER, batch.batch_id)


class Slow:
    """A receiver that takes its time while other things happen."""

    def __init__(self, world: World, meanwhile: Callable[[], None]) -> None:
        self._post = world.receiver.post
        self._meanwhile = [meanwhile]
        world.receiver.post = self.post  # type: ignore[method-assign]

    def post(self, url: str, **how: Any) -> Reply | NoReply:
        if self._meanwhile:
            self._meanwhile.pop()()
        return self._post(url, **how)


class TestRerunDuringADelivery:
    """A delivery may still reach its receiver, so no other one begins before its lease has
    ended."""

    @pytest.mark.parametrize("how", ["repost", "restart"])
    def test_the_next_delivery_begins_when_the_lease_has_ended(
        self, world: World, done: Batch, how: str
    ) -> None:
        leased = world.store.change(done, transitions.take_lease(done, "another's", START))
        assert leased
        assert leased.lease_ends_at
        world.clock.advance(seconds=10)
        rerun(world, done, how)
        assert world.head(done).lease_ends_at == leased.lease_ends_at
        world.check(done)
        world.call_back(done)
        assert world.receiver.posts == []
        assert world.head(done).next_try_at == leased.lease_ends_at
        assert {delay for _, delay in world.queue.callbacks} == {140}
        world.run_to_the_end()
        [_] = world.receiver.posts
        assert world.clock.now() >= leased.lease_ends_at
        assert world.head(done).callback is CallbackState.DELIVERED

    @pytest.mark.parametrize("how", ["repost", "restart"])
    def test_the_outcome_of_the_earlier_delivery_is_not_recorded(
        self, world: World, done: Batch, how: str
    ) -> None:
        Slow(world, lambda: rerun(world, done, how))
        world.call_back(done)
        [line] = world.journal.of("callback attempted")
        assert line["state"] == "superseded"
        head = world.head(done)
        assert (head.callback, head.callback_round, head.attempts) == (CallbackState.WAITING, 2, 0)
        world.run_to_the_end()
        assert len(world.receiver.posts) == 2
        assert world.head(done).callback is CallbackState.DELIVERED

    @pytest.mark.parametrize("how", ["repost", "restart"])
    def test_many_reposts_still_make_one_delivery_at_a_time(
        self, world: World, done: Batch, how: str
    ) -> None:
        """The receiver hangs, and its owner reposts 40 times meanwhile."""

        def ask_again() -> None:
            for _ in range(40):
                rerun(world, done, how)
                world.check(done)
                for message, _ in world.queue.callbacks:
                    world.service.delivery.call_back(message, lambda: 120.0)
            under_way.append(len(world.receiver.posts))

        under_way: list[int] = []
        Slow(world, ask_again)
        world.call_back(done)
        assert under_way == [0]
        world.run_to_the_end()
        assert len(world.receiver.posts) == 2


def ended_with_failures(world: World, **asked: Any) -> Batch:
    """A completed batch of six jobs, of which the odd-numbered ones failed. The arguments set what
    the caller asked for, in the head or in the terms."""
    of_terms = {field.name for field in fields(SubmissionTerms)}
    terms = replace(PLAIN_TERMS, **{name: asked[name] for name in asked if name in of_terms})
    of_head = {name: value for name, value in asked.items() if name not in of_terms}
    world.behave(lambda call: Reply(status=400 if call.params["n"] % 2 else 200, body=b"{}"))
    batch = world.submitted(6, terms=terms, **of_head)
    world.run_all_chunks(batch)
    return world.head(batch)


def called_back(world: World, batch: Batch) -> dict[str, Any]:
    world.call_back(batch)
    body: dict[str, Any] = json.loads(world.receiver.posts[-1].body)
    return body


JOBS = {"total": 6, "succeeded": 3, "failed": 3}


class TestWhatItsCallerAskedFor:
    @pytest.mark.parametrize(
        ("which", "shown"), [(CallbackResults.FAILED, [1, 3, 5]), (CallbackResults.NONE, [])]
    )
    def test_it_carries_the_requested_results_and_how_the_batch_ended(
        self, world: World, which: CallbackResults, shown: list[int]
    ) -> None:
        body = called_back(world, ended_with_failures(world, callback_results=which))
        assert [result["request"]["n"] for result in body["results"]] == shown
        assert list(body) == ["asyncId", "results", "status", "jobs"]
        assert (body["status"], body["jobs"]) == ("completed", JOBS)

    def test_if_no_job_failed_no_results_are_read_for_the_failed_ones(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(
            3, terms=replace(PLAIN_TERMS, callback_results=CallbackResults.FAILED)
        )
        world.run_all_chunks(batch)
        failing(monkeypatch, world.store, "read_chunks")
        assert called_back(world, batch)["results"] == []

    def test_if_there_is_no_time_to_find_the_failed_jobs_it_is_retried(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They may lie among gigabytes of other results. A part is never sent in place of the
        whole."""
        batch = ended_with_failures(world, callback_results=CallbackResults.FAILED)
        chunks = [*world.store.read_chunks(batch, batch.chunks)]
        left, read = [60.0], []

        def read_slowly(*_: object) -> Iterator[Chunk]:
            for chunk in chunks:
                left[0] -= 15
                read.append(chunk)
                yield chunk

        monkeypatch.setattr(world.store, "read_chunks", read_slowly)
        world.service.delivery.call_back(BatchMessage.of(batch), lambda: left[0])
        assert len(read) == 3 < len(chunks)
        assert world.receiver.posts == []
        assert last_error(world.head(batch)) == "the results could not be read in time"
        assert world.head(batch).callback is CallbackState.WAITING

    def test_label_and_metadata_come_back_after_all_results(self, world: World) -> None:
        batch = ended_with_failures(world, label="May", metadata={"order": "77"})
        body = called_back(world, batch)
        assert len(body.pop("results")) == 6
        assert body == {
            "asyncId": batch.batch_id,
            "status": "completed",
            "jobs": JOBS,
            "label": "May",
            "metadata": {"order": "77"},
        }

    def test_everything_is_the_same_at_every_attempt_and_repost(self, world: World) -> None:
        batch = ended_with_failures(
            world,
            label="May",
            max_failed=5,
            callback_results=CallbackResults.FAILED,
            trace=TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "01"),
        )
        world.receiver.answers = [Reply(status=500), Reply(status=500)]
        world.call_back(batch)
        world.run_to_the_end()
        rerun(world, batch, "repost")
        world.run_to_the_end()
        assert len(world.receiver.posts) == 4
        same = {
            (post.body, post.headers["webhook-id"], post.headers["traceparent"])
            for post in world.receiver.posts
        }
        assert len(same) == 1

    def test_it_continues_the_callers_trace_with_a_parent_id_of_its_own(self, world: World) -> None:
        trace = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "01")
        batch = ended_with_failures(world, trace=trace)
        world.call_back(batch)
        [post] = world.receiver.posts
        assert post.headers["traceparent"] == trace.traceparent(batch.callback_id)

    def test_without_a_trace_it_has_none(self, world: World, done: Batch) -> None:
        world.call_back(done)
        assert "traceparent" not in world.receiver.posts[0].headers

    def test_the_callers_headers_are_sent_and_never_logged(self, world: World) -> None:
        private = {"Authorization": "Bearer canary"}
        batch = ended_with_failures(world, callback_headers=private)
        world.receiver.answers = [Reply(status=500)]
        world.call_back(batch)
        [post] = world.receiver.posts
        assert post.private_headers == private
        assert not {*private} & {*post.headers}
        assert "canary" not in repr(world.journal)

    def test_if_the_callers_headers_are_damaged_nothing_is_sent_and_the_caller_learns_why(
        self, world: World
    ) -> None:
        batch = ended_with_failures(world, callback_headers=None)
        world.call_back(batch)
        head = world.head(batch)
        assert world.receiver.posts == []
        assert head.callback is CallbackState.FAILED
        assert last_error(head) == "the stored callbackHeaders are damaged: fetch the results"

    @pytest.mark.parametrize("room", [0, -1])
    def test_the_size_limit_counts_what_is_sent(
        self, world: World, monkeypatch: pytest.MonkeyPatch, room: int
    ) -> None:
        """It counts what follows the results, but not the results that are left out."""
        batch = ended_with_failures(world, callback_results=CallbackResults.FAILED, label="May")
        world.call_back(batch)
        [post] = world.receiver.posts
        most = len(post.body) + room
        assert most < results.whole_size_bytes(batch)
        monkeypatch.setattr(results, "MAX_CALLBACK_BYTES", most)
        rerun(world, batch, "repost")
        world.call_back(batch)
        too_large = f"the callback would be more than {most} bytes: page through the results"
        expected = None if room == 0 else too_large
        assert last_error(world.head(batch)) == expected
        assert len(world.receiver.posts) == (2 if room == 0 else 1)

    @pytest.mark.parametrize("room", [0, -1])
    def test_it_is_checked_for_all_results_before_any_is_read(
        self, world: World, monkeypatch: pytest.MonkeyPatch, room: int
    ) -> None:
        batch = ended_with_failures(world, label="May")
        world.call_back(batch)
        size = len(world.receiver.posts[0].body)
        monkeypatch.setattr(results, "MAX_CALLBACK_BYTES", size + room)
        rerun(world, batch, "repost")
        if room < 0:
            failing(monkeypatch, world.store, "read_chunks")
        world.call_back(batch)
        too_large = f"the callback would be {size} bytes: page through the results"
        assert last_error(world.head(batch)) == (None if room == 0 else too_large)


class TestHistory:
    """What the history keeps of a series of attempts."""

    def test_each_attempt_has_its_start_its_outcome_and_its_duration(
        self, world: World, done: Batch
    ) -> None:
        world.receiver.answers = [Reply(status=503), NoReply(reason="no answer in time")]
        Slow(world, lambda: world.clock.advance(seconds=2))
        began_at = world.clock.now()
        world.call_back(done)
        world.run_to_the_end()
        first, second, third = world.head(done).history
        assert first == CallbackAttempt(at=began_at, status=503, error="HTTP 503", took_ms=2000)
        assert (second.status, second.error) == (None, "no answer in time")
        assert (third.status, third.error, third.took_ms) == (200, None, 0)
        assert first.at < second.at < third.at

    def test_an_attempt_under_way_or_whose_sender_died_has_only_its_start(
        self, world: World, done: Batch
    ) -> None:
        leased = world.store.change(done, transitions.take_lease(done, "another's", START))
        assert leased
        assert leased.history == (CallbackAttempt(at=START),)
        world.clock.advance(minutes=3)
        world.call_back(done)
        lost, made = world.head(done).history
        assert lost == CallbackAttempt(at=START)
        assert made.status == 200

    def test_a_lost_last_attempt_ends_the_callback_like_any_other(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lost = replace(world.head(done), attempts=8, history=())
        monkeypatch.setattr(world.store, "find", lambda _: lost)
        changes = []
        monkeypatch.setattr(world.store, "change", lambda *change: changes.append(change))
        world.call_back(done)
        [(_, change)] = changes
        assert change.put["callback"] is CallbackState.FAILED
        assert len(change.put["history"]) == 1

    @pytest.mark.parametrize("how", ["repost", "restart"])
    def test_it_begins_anew_with_a_new_series(self, world: World, done: Batch, how: str) -> None:
        world.receiver.answers = [Reply(status=410)]
        world.call_back(done)
        rerun(world, done, how)
        assert world.head(done).history == ()


class TestErrors:
    @pytest.mark.parametrize("name", ["find", "find_terms", "find_account", "change"])
    def test_after_an_error_the_message_is_retried_up_to_five_times(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """After that, the due time triggers another attempt."""
        failing(monkeypatch, world.keys if name == "find_account" else world.store, name)
        delays = []
        world.call_back(done)
        for _ in range(10):
            for message, delay in world.queue.take_callbacks():
                delays.append(delay)
                world.service.delivery.call_back(message, lambda: 120.0)
        assert delays == [10, 30, 90, 270, 810]
        assert world.receiver.posts == []
        assert world.store.heads[done.batch_id].due_at == done.due_at

    def test_a_permanent_error_is_also_a_failure_of_the_function(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing(monkeypatch, world.store, "find", error=Denied("no"))
        world.call_back(done)
        assert len(world.journal.of("function failed")) == 1
        assert len(world.journal.of("message handed on")) == 1

    def test_with_the_queue_down_too_the_message_comes_back(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing(monkeypatch, world.store, "find")
        failing(monkeypatch, world.queue, "send_callback")
        with pytest.raises(Unavailable):
            world.call_back(done)

    def test_an_attempt_that_could_not_be_recorded_is_made_again_after_its_lease(
        self, world: World, done: Batch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            Slow(world, lambda: patch.setattr(world.store, "change", Failing(print, math.inf)))
            world.call_back(done)
        lease_ends_at = world.head(done).lease_ends_at
        world.run_to_the_end()
        assert len(world.receiver.posts) == 1
        assert lease_ends_at
        world.clock.set(lease_ends_at)
        world.call_back(done)
        assert len(world.receiver.posts) == 2
        assert world.head(done).attempts == 2
