"""Every change to a head: what it requires, what it does, and that of two the later one fails."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import transitions
from chalicelib.domain.batch import EARLY, AnswersPart, Batch, CallbackAttempt, Chunk, Counts
from chalicelib.domain.results import results_of
from chalicelib.domain.retry import CALLBACK_TRIES, CALLBACK_WAITS
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.transitions import FIRST_CHECK, GRACE, LEASE, WORKERS_END, Change, Fields
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.samples import a_batch, some_jobs, succeeded, unanswered

MILLISECOND, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
#: From START, 7 seconds after a full minute, to the minute at which the sweep checks the outcome of
#: a delivery that begins then.
UNTIL_DUE = timedelta(seconds=173)
Decide = Callable[[Batch], Change]


def applied(head: Batch, change: Change) -> Batch | None:
    """The head after a change; None if the change failed and the head is unchanged."""
    store = FakeBatchStore()
    store.heads[head.batch_id] = head
    after = store.change(head, change)
    assert after is not None or store.find(head.batch_id) == head
    return after


def changed(head: Batch, decide: Decide) -> Batch:
    after = applied(head, decide(head))
    assert after is not None
    return after


def completed(**fields: Any) -> Batch:
    """A batch that has just ended."""
    head = changed(a_batch(1), lambda head: transitions.complete(head, START))
    return replace(head, **fields)


def delivering(**fields: Any) -> Batch:
    """A batch whose callback is being delivered."""
    head = changed(completed(), lambda head: transitions.take_lease(head, "ours", START))
    return replace(head, **fields)


def full_chunk(number: int = 0, *, lost: bool = False) -> Chunk:
    answers = {number: unanswered() if lost else succeeded()}
    return Chunk(
        number=number,
        indexes=range(number, number + 1),
        jobs=some_jobs(number + 1)[number:],
        parts=(AnswersPart(round=1, number=0, answers=answers),),
    )


TAKEN = CallbackAttempt(at=START, status=204, took_ms=12)
GONE = CallbackAttempt(at=START, status=410, error="HTTP 410", took_ms=12)
FAILED = CallbackAttempt(at=START, status=500, error="HTTP 500", took_ms=12)
LOST = CallbackAttempt(at=START)

WHILE_RUNNING: dict[str, Decide] = {
    "complete": lambda head: transitions.complete(head, START),
    "record_check": lambda head: transitions.record_check(head, START),
    "postpone_check": lambda head: transitions.postpone_check(head, START + HOUR),
    "check_now": lambda head: transitions.check_now(head, "token", START),
    "clear_sentinel": transitions.clear_sentinel,
    "rescue": lambda head: transitions.rescue(head, START),
    "wait_until": lambda head: transitions.wait_until(head, START + HOUR),
    "cancel": lambda head: transitions.cancel(head, "token", START),
    "stop": lambda head: transitions.stop(head, START),
}
WHILE_COMPLETED: dict[str, Decide] = {
    "restart": lambda head: transitions.restart(head, "token", START, 12 * HOUR),
    "repost": lambda head: transitions.repost(head, "token", START),
}
WHILE_DELIVERING: dict[str, Decide] = {
    "take_lease": lambda head: transitions.take_lease(head, "new", START + HOUR),
    "return_attempt": lambda head: transitions.return_attempt(head, START),
    "record_delivery": lambda head: transitions.record_delivery(head, TAKEN),
    "record_refusal": lambda head: transitions.record_refusal(head, GONE),
    "record_failed_attempt": lambda head: transitions.record_failed_attempt(
        head, FAILED, START + HOUR
    ),
}
ANY_TIME: dict[str, Decide] = {
    "finish_chunk": lambda head: transitions.finish_chunk(head, full_chunk()),
    "clear_due": transitions.clear_due,
}
ALL = {**WHILE_RUNNING, **WHILE_COMPLETED, **WHILE_DELIVERING, **ANY_TIME}
#: Changes that do nothing if they are made again.
REPEATABLE = {"cancel", "clear_due"}


def head_for(name: str) -> Batch:
    """A head that a change applies to."""
    if name in {*WHILE_DELIVERING, *WHILE_COMPLETED}:
        return delivering()
    return a_batch(1, sentinel_at=START)


def test_every_change_is_tested_here() -> None:
    made = {
        name
        for name, found in vars(transitions).items()
        if getattr(found, "__annotations__", {}).get("return") is Change
        and not name.startswith("_")
    }
    assert made == {*ALL}


def test_the_fields_of_a_change_are_those_of_a_batch() -> None:
    assert get_type_hints(Fields).items() <= get_type_hints(Batch).items()


class TestTheLaterWriteFails:
    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize("since", [{"submission": "another"}, {"round": 2}])
    def test_no_change_applies_to_another_round_or_submission(
        self, name: str, since: dict[str, Any]
    ) -> None:
        head = head_for(name)
        decided = ALL[name](head)
        assert applied(head, decided) is not None
        assert applied(replace(head, **since), decided) is None

    @pytest.mark.parametrize("name", WHILE_RUNNING)
    def test_changes_of_running_batches_do_not_apply_to_ended_ones(self, name: str) -> None:
        head = a_batch(1)
        ended = replace(head, state=BatchState.COMPLETED)
        assert applied(ended, ALL[name](head)) is None

    @pytest.mark.parametrize("name", WHILE_DELIVERING)
    @pytest.mark.parametrize(
        "since",
        [
            {"state": BatchState.RUNNING},
            {"callback": CallbackState.DELIVERED},
            {"callback": CallbackState.FAILED},
            {"callback_round": 2},
            {"lease": "somebody else's"},
            {"lease": None},
        ],
    )
    def test_an_overtaken_delivery_records_nothing(self, name: str, since: dict[str, Any]) -> None:
        head = delivering()
        assert applied(replace(head, **since), ALL[name](head)) is None

    def test_a_lease_is_refused_if_attempts_were_made_meanwhile(self) -> None:
        """Otherwise an attempt would be counted twice, and one too many would be made."""
        head = completed()
        decided = transitions.take_lease(head, "late", START)
        first = changed(head, lambda head: transitions.take_lease(head, "first", START))
        since = changed(first, WHILE_DELIVERING["record_failed_attempt"])
        assert (since.lease, since.attempts) == (head.lease, head.attempts + 1)
        assert applied(since, decided) is None

    @pytest.mark.parametrize("name", ALL)
    def test_a_repeated_change_takes_effect_once(self, name: str) -> None:
        head = head_for(name)
        decided = ALL[name](head)
        after = applied(head, decided)
        assert after
        assert applied(after, decided) == (after if name in REPEATABLE else None)

    @pytest.mark.parametrize("name", WHILE_COMPLETED)
    def test_changes_of_ended_batches_do_not_apply_to_running_ones(self, name: str) -> None:
        assert applied(a_batch(1), ALL[name](completed())) is None


class TestFinishChunk:
    def test_a_finished_chunk_is_added_with_its_counts(self) -> None:
        head = a_batch(3, done=frozenset({2}), counts=Counts(failed=1, result_bytes=10))
        after = changed(head, lambda head: transitions.finish_chunk(head, full_chunk(0)))
        size = sum(len(result.text) for result in results_of(full_chunk(0), 1))
        counts = Counts(succeeded=1, failed=1, result_bytes=10 + size)
        assert after == replace(head, done=frozenset({0, 2}), counts=counts)

    def test_a_chunk_with_an_unanswered_job_is_counted_separately(self) -> None:
        head = a_batch(3)
        chunk = full_chunk(1, lost=True)
        after = changed(head, lambda head: transitions.finish_chunk(head, chunk))
        assert after.done == after.unanswered == frozenset({1})
        assert (after.counts, after.unanswered_counts.failed) == (Counts(), 1)

    def test_a_job_answered_in_a_later_round_is_no_longer_unanswered(self) -> None:
        chunk = full_chunk(0, lost=True).with_part(
            AnswersPart(round=2, number=0, answers={0: succeeded()})
        )
        head = a_batch(1, round=2)
        after = changed(head, lambda head: transitions.finish_chunk(head, chunk))
        assert (after.unanswered, after.counts.succeeded) == (frozenset(), 1)


class TestComplete:
    def test_the_callback_is_due_immediately_and_no_check_is(self) -> None:
        head = a_batch(1)
        after = changed(head, lambda head: transitions.complete(head, START + HOUR))
        assert after == replace(
            head,
            state=BatchState.COMPLETED,
            completed_at=START + HOUR,
            next_check_at=None,
            next_try_at=START + HOUR,
            due_at=START + HOUR + UNTIL_DUE,
        )
        assert after.may_deliver(START + HOUR)

    @pytest.mark.parametrize("seconds", [0, 0.001, 59.999, 60])
    def test_the_sweep_finds_the_batch_in_the_first_full_minute_after_the_lease(
        self, seconds: float
    ) -> None:
        now = START + timedelta(seconds=seconds)
        after = changed(a_batch(1), lambda head: transitions.complete(head, now))
        assert after.due_at
        assert (after.due_at.second, after.due_at.microsecond) == (0, 0)
        assert LEASE < after.due_at - now <= LEASE + MINUTE

    def test_an_immediate_delivery_does_not_change_the_due_time(self) -> None:
        ended = changed(a_batch(1), lambda head: transitions.complete(head, START))
        leased = changed(ended, lambda head: transitions.take_lease(head, "ours", START + SECOND))
        assert leased.due_at == ended.due_at

    def test_without_a_callback_url_nothing_more_is_due(self) -> None:
        head = a_batch(1, callback=CallbackState.NONE)
        after = changed(head, lambda head: transitions.complete(head, START))
        assert (after.next_check_at, after.next_try_at, after.due_at) == (None, None, None)
        assert not after.may_deliver(START + HOUR)

    @pytest.mark.parametrize("what", ["cancelled", "stopped"])
    @pytest.mark.parametrize("was_so", [True, False])
    def test_completing_fails_if_a_cancel_or_a_stop_came_in_between(
        self, what: str, was_so: bool
    ) -> None:
        """The status of an ended batch never changes, so a batch is completed only by a worker that
        knows whether it is cancelled or stopped."""
        seen: dict[str, Any] = {what: was_so}
        since: dict[str, Any] = {what: not was_so}
        head = a_batch(1, **seen)
        decided = transitions.complete(head, START)
        assert applied(replace(head, **since), decided) is None
        assert applied(head, decided)


class TestChecks:
    def test_the_first_check_comes_after_a_minute(self) -> None:
        assert FIRST_CHECK == MINUTE

    @pytest.mark.parametrize(("checks", "wait"), [(0, 30), (1, 60), (2, 60), (50, 60)])
    def test_checks_come_after_30_minutes_and_then_hourly(self, checks: int, wait: int) -> None:
        head = a_batch(3, checks=checks, done=frozenset({1}))
        after = changed(head, lambda head: transitions.record_check(head, START))
        next_check_at = START + timedelta(minutes=wait)
        assert after == replace(
            head,
            checks=checks + 1,
            checked_at=START,
            done_at_last_check=1,
            next_check_at=next_check_at,
            due_at=next_check_at,
        )

    @pytest.mark.parametrize(
        "decide", [WHILE_RUNNING["record_check"], WHILE_RUNNING["postpone_check"]]
    )
    def test_no_check_comes_after_the_deadline(self, decide: Decide) -> None:
        head = a_batch(deadline=START + MINUTE)
        after = changed(head, decide)
        assert (after.next_check_at, after.due_at) == (head.deadline, head.deadline)

    def test_the_next_check_comes_after_a_wait(self) -> None:
        head = a_batch()
        after = changed(head, lambda head: transitions.postpone_check(head, START + HOUR))
        behind = START + HOUR + MINUTE
        assert after == replace(head, next_check_at=behind, due_at=behind)

    def test_the_longest_of_several_waits_counts_in_any_order(self) -> None:
        head = a_batch()
        waiting = changed(head, lambda head: transitions.wait_until(head, START + HOUR))
        assert waiting == replace(head, waits_until=START + HOUR)
        assert applied(waiting, transitions.wait_until(head, START + MINUTE)) is None
        longer = applied(waiting, transitions.wait_until(head, START + 2 * HOUR))
        assert longer is not None
        assert longer.waits_until == START + 2 * HOUR

    def test_a_wait_does_not_move_a_check_that_was_made_or_moved_meanwhile(self) -> None:
        head = a_batch()
        decided = transitions.postpone_check(head, START + HOUR)
        assert applied(replace(head, next_check_at=START + 2 * HOUR), decided) is None

    def test_a_check_is_due_from_its_time_on(self) -> None:
        head = a_batch()
        assert not head.is_check_due(START + MINUTE - MILLISECOND)
        assert head.is_check_due(START + MINUTE)
        assert not replace(head, next_check_at=None).is_check_due(START + HOUR)

    @pytest.mark.parametrize(
        ("checks", "done_then", "done_now", "still"),
        [(1, 0, 0, True), (1, 2, 2, True), (1, 1, 2, False)],
    )
    def test_a_batch_stands_still_if_nothing_was_finished_since_the_last_check(
        self, checks: int, done_then: int, done_now: int, still: bool
    ) -> None:
        done = frozenset(range(done_now))
        head = a_batch(checks=checks, done_at_last_check=done_then, done=done)
        assert head.has_stood_still is still


class TestLease:
    def test_an_attempt_is_counted_before_it_is_made(self) -> None:
        head = completed(attempts=3)
        after = changed(head, lambda head: transitions.take_lease(head, "ours", START))
        assert after == replace(
            head,
            attempts=4,
            history=(LOST,),
            lease="ours",
            lease_ends_at=START + LEASE,
            next_try_at=START + LEASE,
            due_at=START + UNTIL_DUE,
        )

    def test_only_one_of_two_gets_the_lease(self) -> None:
        head = completed()
        after = applied(head, transitions.take_lease(head, "ours", START))
        assert after
        assert applied(after, transitions.take_lease(head, "theirs", START)) is None

    def test_after_its_end_another_gets_the_lease_and_the_first_cannot_record(self) -> None:
        ours = delivering()
        theirs = changed(ours, lambda head: transitions.take_lease(head, "theirs", START + LEASE))
        assert theirs.attempts == 2
        assert applied(theirs, transitions.record_delivery(ours, TAKEN)) is None
        assert applied(theirs, transitions.record_delivery(theirs, TAKEN)) is not None

    def test_an_attempt_that_was_not_made_is_not_counted(self) -> None:
        before = completed(attempts=3, history=(FAILED, LOST, FAILED))
        leased = changed(before, lambda head: transitions.take_lease(head, "ours", START))
        after = changed(leased, lambda head: transitions.return_attempt(head, START + MINUTE))
        again_at = START + MINUTE + GRACE
        assert after == replace(before, next_try_at=again_at, due_at=again_at)


class TestRecording:
    def test_a_delivered_callback_is_over(self) -> None:
        head = delivering(history=(FAILED, LOST))
        after = changed(head, WHILE_DELIVERING["record_delivery"])
        assert after == replace(
            head,
            callback=CallbackState.DELIVERED,
            lease=None,
            lease_ends_at=None,
            history=(FAILED, TAKEN),
            next_try_at=None,
            due_at=None,
        )

    def test_a_refused_callback_is_over_until_a_repost(self) -> None:
        head = delivering()
        after = changed(head, WHILE_DELIVERING["record_refusal"])
        assert after == replace(
            head,
            callback=CallbackState.FAILED,
            lease=None,
            lease_ends_at=None,
            history=(GONE,),
            next_try_at=None,
            due_at=None,
        )

    def test_a_failed_attempt_is_followed_by_another_that_the_sweep_finds_later(self) -> None:
        head = delivering()
        after = changed(head, WHILE_DELIVERING["record_failed_attempt"])
        assert after == replace(
            head,
            lease=None,
            lease_ends_at=None,
            history=(FAILED,),
            next_try_at=START + HOUR,
            due_at=START + HOUR + GRACE,
        )

    def test_a_hundred_characters_are_kept_of_every_error_but_the_last(self) -> None:
        long = replace(FAILED, error="x" * 300)
        head = delivering(history=(long, LOST))
        after = changed(head, lambda head: transitions.record_refusal(head, long))
        assert after.history == (replace(FAILED, error="x" * 100), long)

    def test_the_last_attempt_is_the_last_whose_outcome_is_known(self) -> None:
        """This holds while the next one is in progress, and after its sender died."""
        assert delivering(history=(GONE, FAILED, LOST, LOST)).last_attempt == FAILED
        assert delivering().last_attempt is None


class TestRestart:
    def test_a_new_round_runs_the_chunks_with_unanswered_jobs(self) -> None:
        head = delivering(
            done=frozenset({0, 1, 2}),
            unanswered=frozenset({1}),
            counts=Counts(succeeded=2, result_bytes=20),
            unanswered_counts=Counts(failed=1, result_bytes=10),
            cancelled=True,
            stopped=True,
            checks=3,
            checked_at=START,
            done_at_last_check=2,
            history=(FAILED, LOST),
        )
        after = changed(
            head, lambda head: transitions.restart(head, "token", START + HOUR, 12 * HOUR)
        )
        assert after == replace(
            head,
            state=BatchState.RUNNING,
            round=2,
            round_began_at=START + HOUR,
            completed_at=None,
            cancelled=False,
            stopped=False,
            done=frozenset({0, 2}),
            unanswered=frozenset(),
            unanswered_counts=Counts(),
            checks=0,
            checked_at=None,
            done_at_last_check=0,
            next_check_at=START + HOUR,
            deadline=START + 13 * HOUR,
            callback=CallbackState.WAITING,
            callback_round=2,
            attempts=0,
            lease=None,
            history=(),
            next_try_at=None,
            due_at=START + HOUR,
            rerun="token",
        )

    def test_a_restarted_batch_is_checked_and_sent_immediately(self) -> None:
        after = changed(completed(), WHILE_COMPLETED["restart"])
        assert after.is_check_due(START)
        assert after.has_stood_still
        assert not after.may_deliver(START + HOUR)

    def test_its_deadline_leaves_the_callback_the_last_hour_of_the_batchs_life(self) -> None:
        """The original expiry does not change."""
        head = completed()
        late = head.expires_at - 3 * HOUR
        after = changed(head, lambda head: transitions.restart(head, "token", late, 12 * HOUR))
        assert after.deadline == head.expires_at - HOUR
        assert after.expires_at == head.expires_at

    def test_all_chunks_stay_done_if_there_is_nothing_to_run(self) -> None:
        head = completed(done=frozenset({0}), counts=Counts(succeeded=1))
        after = changed(head, WHILE_COMPLETED["restart"])
        assert after.has_all_chunks_done
        assert after.counts == head.counts

    def test_a_batch_without_a_callback_url_gets_none(self) -> None:
        head = completed(callback=CallbackState.NONE)
        assert changed(head, WHILE_COMPLETED["restart"]).callback is CallbackState.NONE

    def test_only_one_of_two_restarts_begins_a_round(self) -> None:
        head = completed()
        after = changed(head, WHILE_COMPLETED["restart"])
        assert applied(after, transitions.restart(head, "another", START, 12 * HOUR)) is None

    def test_it_is_too_late_in_the_last_two_hours(self) -> None:
        head = completed()
        last = head.expires_at - 2 * HOUR
        assert not head.is_near_its_end(last - MILLISECOND)
        assert head.is_near_its_end(last + MILLISECOND)

    def test_a_running_batch_is_checked_immediately_instead(self) -> None:
        head = a_batch(checks=1, next_check_at=START + HOUR)
        after = changed(head, WHILE_RUNNING["check_now"])
        assert after == replace(head, next_check_at=START, due_at=START, rerun="token")

    def test_a_running_batch_is_checked_once_in_five_minutes(self) -> None:
        head = a_batch(checked_at=START)
        assert head.was_checked_lately(START + 5 * MINUTE - MILLISECOND)
        assert not head.was_checked_lately(START + 5 * MINUTE)
        assert not a_batch().was_checked_lately(START)


class TestRepost:
    @pytest.mark.parametrize("callback", [CallbackState.DELIVERED, CallbackState.FAILED])
    def test_a_new_series_of_attempts_begins_immediately(self, callback: CallbackState) -> None:
        head = completed(callback=callback, attempts=2, history=(LOST, FAILED), next_try_at=None)
        after = changed(head, WHILE_COMPLETED["repost"])
        assert after == replace(
            head,
            callback=CallbackState.WAITING,
            callback_round=2,
            attempts=0,
            history=(),
            next_try_at=START,
            due_at=START,
            rerun="token",
        )
        assert after.may_deliver(START)

    def test_a_delivery_of_the_older_series_records_nothing(self) -> None:
        head = delivering()
        after = changed(head, WHILE_COMPLETED["repost"])
        assert after.lease is None
        assert applied(after, transitions.record_refusal(head, GONE)) is None

    def test_it_begins_no_new_round(self) -> None:
        """So the callback keeps its `webhook-id` and its bytes."""
        assert changed(completed(), WHILE_COMPLETED["repost"]).round == 1


class TestCancel:
    def test_a_cancelled_batch_is_due_immediately_and_runs_until_it_is_ended(self) -> None:
        head = a_batch()
        after = changed(head, WHILE_RUNNING["cancel"])
        assert after == replace(head, cancelled=True, due_at=START, rerun="token")

    @pytest.mark.parametrize(
        ("fields", "now", "is_ended"),
        [
            ({}, START + 12 * HOUR - MILLISECOND, False),
            ({}, START + 12 * HOUR, True),
            ({"cancelled": True}, START, True),
            ({"stopped": True}, START, True),
        ],
    )
    def test_jobs_of_a_cancelled_stopped_or_late_batch_are_answered_without_a_call(
        self, fields: dict[str, Any], now: datetime, is_ended: bool
    ) -> None:
        assert a_batch(**fields).is_to_be_ended(now) is is_ended


class TestStop:
    def test_a_stopped_batch_runs_until_workers_that_do_not_know_it_have_ended(self) -> None:
        head = a_batch(max_failed=0)
        after = changed(head, WHILE_RUNNING["stop"])
        ends_at = START + WORKERS_END
        assert after == replace(head, stopped=True, next_check_at=ends_at, due_at=ends_at)
        assert after.waits_for_its_workers(ends_at - EARLY - MILLISECOND)
        assert not after.waits_for_its_workers(ends_at - EARLY)
        assert not head.waits_for_its_workers(START)

    def test_the_first_of_a_stop_and_a_cancel_counts(self) -> None:
        head = a_batch(max_failed=0)
        for first, second in (("stop", "cancel"), ("cancel", "stop")):
            assert applied(changed(head, WHILE_RUNNING[first]), WHILE_RUNNING[second](head)) is None

    @pytest.mark.parametrize("name", ["record_check", "postpone_check", "clear_sentinel", "rescue"])
    @pytest.mark.parametrize("since", [{"stopped": True}, {"cancelled": True}])
    def test_no_check_moves_the_due_time_of_a_stopped_batch(
        self, name: str, since: dict[str, Any]
    ) -> None:
        head = head_for(name)
        assert applied(replace(head, **since), WHILE_RUNNING[name](head)) is None


def test_an_expired_batch_is_hidden_from_the_sweep_and_nothing_else_changes() -> None:
    head = a_batch()
    assert changed(head, transitions.clear_due) == replace(head, due_at=None)


class TestNextTry:
    @pytest.mark.parametrize(("attempt", "wait"), [*enumerate(CALLBACK_WAITS, start=1)])
    def test_the_next_attempt_follows_the_schedule(self, attempt: int, wait: int) -> None:
        head = delivering(attempts=attempt)
        moment = transitions.next_try_at(head, START, None, 0)
        assert moment == START + timedelta(seconds=wait)

    @pytest.mark.parametrize("attempts", [CALLBACK_TRIES, CALLBACK_TRIES + 1])
    def test_no_attempt_follows_the_last(self, attempts: int) -> None:
        assert transitions.next_try_at(delivering(attempts=attempts), START, None, 0) is None

    def test_no_attempt_follows_after_the_batch_has_expired(self) -> None:
        head = delivering()
        last = head.expires_at - 5 * SECOND
        assert transitions.next_try_at(head, last, None, 0) is None
        assert transitions.next_try_at(head, last - MILLISECOND, None, 0) is not None

    def test_no_attempt_follows_if_the_receiver_asks_for_a_wait_past_expiry(self) -> None:
        assert transitions.next_try_at(delivering(), START, 999_999_999, 0) is None

    @given(
        attempts=st.integers(1, CALLBACK_TRIES - 1),
        asked=st.none() | st.floats(0, 999_999_999),
        random_unit=st.floats(0, 1),
        after=st.timedeltas(timedelta(), timedelta(hours=60)),
    )
    def test_the_next_attempt_is_after_now_and_retry_after_and_before_expiry(
        self, attempts: int, asked: float | None, random_unit: float, after: timedelta
    ) -> None:
        head = delivering(attempts=attempts)
        now = START + after
        moment = transitions.next_try_at(head, now, asked, random_unit)
        if moment is not None:
            assert now + timedelta(seconds=asked or 0) <= moment < head.expires_at
            assert now < moment


class TestMayDeliver:
    @pytest.mark.parametrize(
        ("fields", "now", "may"),
        [
            pytest.param({}, START, True, id="due now"),
            pytest.param({}, START + HOUR, True, id="long overdue"),
            pytest.param({}, START - EARLY, True, id="a little early"),
            pytest.param({}, START - EARLY - MILLISECOND, False, id="too early"),
            pytest.param({"lease_ends_at": START}, START, True, id="the lease has ended"),
            pytest.param(
                {"lease_ends_at": START}, START - MILLISECOND, False, id="the lease still runs"
            ),
            pytest.param({"state": BatchState.RUNNING}, START, False, id="still running"),
            pytest.param({"next_try_at": None}, START, False, id="nothing is due"),
            *[
                pytest.param({"callback": callback}, START, False, id=callback)
                for callback in (
                    CallbackState.NONE,
                    CallbackState.DELIVERED,
                    CallbackState.FAILED,
                )
            ],
        ],
    )
    def test_when_a_callback_may_be_delivered(
        self, fields: dict[str, Any], now: datetime, may: bool
    ) -> None:
        assert completed(**fields).may_deliver(now) is may

    def test_the_due_time_alone_makes_nothing_due(self) -> None:
        """A sweep's reservation moves `due_at`, which must neither hurry nor delay an attempt."""
        assert not completed(next_try_at=START + HOUR).may_deliver(START)
        assert completed(due_at=START + HOUR).may_deliver(START)
