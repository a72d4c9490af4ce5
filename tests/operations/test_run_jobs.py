"""What a worker does with the jobs of a message."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import count
from threading import Barrier
from typing import Any, NoReturn

import pytest

from chalicelib.adapters.threads import ConcurrentThreads
from chalicelib.domain import transitions
from chalicelib.domain.batch import Answer, AnswersPart, LastCall, Marker, Verdict
from chalicelib.domain.holds import Pause
from chalicelib.domain.message import BatchMessage, JobsMessage
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply
from chalicelib.domain.states import CallbackState
from chalicelib.domain.trace import TraceContext
from chalicelib.errors import Denied, Misconfigured, Unavailable
from chalicelib.operations.call_jobs import SECONDS_TO_RECORD
from chalicelib.service import Service
from tests.fakes.clock import START
from tests.fakes.http import Call
from tests.operations.world import World, failing
from tests.samples import DEMO_CALLER, DEMO_KEY, succeeded


@pytest.fixture
def world() -> World:
    return World()


def fail(*_: object, **__: object) -> NoReturn:
    raise Unavailable("down")


class TestRunning:
    def test_every_job_of_a_chunk_is_called_once_and_its_answer_recorded(
        self, world: World
    ) -> None:
        batch = world.submitted(200)
        world.work(JobsMessage.of(batch, 2))
        assert [call.params["n"] for call in world.platform.calls] == [*range(100, 150)]
        assert {answer.verdict for answer in world.answers(batch).values()} == {Verdict.SUCCEEDED}
        assert world.head(batch).done == {2}

    def test_a_call_carries_the_jobs_text_key_and_idempotency_key(self, world: World) -> None:
        batch = world.submitted(1)
        world.work(JobsMessage.of(batch, 0))
        [call] = world.platform.calls
        assert (call.namespace, call.action, call.body) == (
            "event",
            "inviteContacts",
            b'{"n":0}',
        )
        assert call.idempotency_key == batch.call_id(0)
        assert call.key == "demo"
        assert call.traceparent is None

    def test_each_call_of_a_traced_batch_carries_the_same_trace_at_every_try(
        self, world: World
    ) -> None:
        trace = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "01")
        batch = world.submitted(2, trace=trace)
        replies = [Reply(status=500)]
        world.behave(lambda _: replies.pop() if replies else None)
        world.run_all_chunks(batch)
        world.run_to_the_end()
        assert [call.traceparent for call in world.platform.calls] == [
            trace.traceparent(batch.call_id(index)) for index in (0, 1, 0)
        ]

    def test_the_worker_that_finishes_the_last_chunk_completes_the_batch(
        self, world: World
    ) -> None:
        batch = world.submitted(3)
        for chunk in (2, 0):
            world.work(JobsMessage.of(batch, chunk))
        assert world.head(batch).is_running
        assert not world.queue.is_busy
        world.work(JobsMessage.of(batch, 1))
        assert world.head(batch).is_completed
        assert world.queue.callbacks == [(BatchMessage.of(batch), 0)]
        assert world.queue.batches == []

    def test_answers_are_recorded_while_other_calls_are_still_running(self) -> None:
        world = World(per_flush=4)
        batch = world.submitted(10, chunk_size=10)
        world.work(JobsMessage.of(batch, 0))
        parts = world.store.load_chunk(batch, 0).parts
        assert [(part.number, len(part.answers)) for part in parts] == [(0, 4), (1, 4), (2, 2)]

    def test_answers_too_large_for_one_item_are_recorded_in_several(self, world: World) -> None:
        batch = world.submitted(3, chunk_size=3)
        large = b'"' + b"x" * 300_000 + b'"'
        world.behave(lambda _: Reply(status=200, body=large))
        world.work(JobsMessage.of(batch, 0))
        assert len(world.store.load_chunk(batch, 0).parts) == 3
        assert world.head(batch).done == {0}


class TestRedelivery:
    def test_a_message_that_comes_twice_calls_nothing_twice(self, world: World) -> None:
        batch = world.submitted(3)
        world.run_all_chunks(batch)
        world.run_all_chunks(batch)
        assert len(world.platform.calls) == 3

    def test_a_redelivered_full_chunk_is_finished_and_its_batch_completed(
        self, world: World
    ) -> None:
        batch = world.submitted(1)
        world.store.record(batch, 0, AnswersPart(round=1, number=0, answers={0: succeeded()}))
        world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert world.platform.calls == []
        assert world.head(batch).is_completed
        assert len(world.queue.callbacks) == 1

    def test_a_redelivered_message_of_a_completed_round_has_its_callback_sent(
        self, world: World
    ) -> None:
        """Its first worker may have died just before sending it."""
        batch = world.submitted(1)
        world.work(JobsMessage.of(batch, 0))
        world.queue.take_callbacks()
        world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert world.queue.callbacks == [(BatchMessage.of(batch), 0)]

    @pytest.mark.parametrize("since", ["delivering", "delivered", "restarted"])
    def test_it_is_not_sent_if_it_is_under_way_or_over_or_of_an_earlier_round(
        self, world: World, since: str
    ) -> None:
        batch = world.submitted(1)
        world.work(JobsMessage.of(batch, 0))
        if since == "delivering":
            leased = transitions.take_lease(world.head(batch), "a token", world.clock.now())
            assert world.store.change(batch, leased)
        else:
            world.run_to_the_end()
        if since == "restarted":
            world.service.rerunner.restart(DEMO_CALLER, batch.batch_id)
            world.check(batch)
            assert world.head(batch).has_callback_to_come
        world.queue.take_callbacks()
        world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert world.queue.callbacks == []

    def test_only_jobs_without_an_answer_are_run(self, world: World) -> None:
        batch = world.submitted(3, chunk_size=3)
        world.store.record(batch, 0, AnswersPart(round=1, number=0, answers={1: succeeded()}))
        world.work(JobsMessage.of(batch, 0))
        assert [call.params["n"] for call in world.platform.calls] == [0, 2]

    def test_a_job_that_its_second_worker_survives_leaves_no_marker(self, world: World) -> None:
        """Otherwise, the job would be blamed if a later delivery died of something else."""
        batch = world.submitted(1)
        seen: list[Marker] = []
        world.behave(lambda _: seen.extend(world.store.markers.values()))
        world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert [marker.receive_count for marker in seen] == [2]
        assert world.store.markers == {}

    def test_with_database_and_queue_down_no_marker_blames_the_job(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither the answer can be recorded nor another message sent."""
        batch = world.submitted(1)
        monkeypatch.setattr(world.store, "record", fail)
        monkeypatch.setattr(world.queue, "send_jobs", fail)
        with pytest.raises(Unavailable):
            world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert world.store.markers == {}

    def test_if_two_workers_run_one_chunk_the_first_recorded_answer_counts(
        self, world: World
    ) -> None:
        batch = world.submitted(3, chunk_size=3)
        other = AnswersPart(round=1, number=0, answers={0: succeeded('"other"')})

        def be_overtaken(_call: object) -> None:
            world.store.record(batch, 0, other)

        world.behave(be_overtaken)
        world.work(JobsMessage.of(batch, 0))
        assert world.answers(batch)[0] == succeeded('"other"')
        assert len(world.answers(batch)) == 3
        recorded = [i for part in world.store.load_chunk(batch, 0).parts for i in part.answers]
        assert sorted(recorded) == [0, 1, 2]

    @pytest.mark.parametrize(
        ("change", "receive_count", "is_final"),
        [
            ({}, 1, True),
            ({}, 2, False),
            ({"attempt": 2, "hops": 1}, 1, False),
            ({"hops": 1, "indexes": (0,)}, 1, False),
            ({"hops": 1, "errors": 1}, 1, False),
        ],
    )
    def test_409_is_final_only_at_the_first_receive_of_the_first_message(
        self, world: World, change: dict[str, Any], receive_count: int, is_final: bool
    ) -> None:
        """After that, the platform may still be working on an earlier call, and 409 says so."""
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=409, body=b"{}"))
        message = replace(JobsMessage.of(batch, 0), **change)
        world.work(message, receive_count=receive_count)
        assert bool(world.answers(batch)) is is_final
        assert bool(world.queue.jobs) is not is_final

    def test_a_message_of_another_round_or_submission_is_dropped(self, world: World) -> None:
        batch = world.submitted(1)
        message = JobsMessage.of(batch, 0)
        for stale in (replace(message, round=2), replace(message, submission="0" * 32)):
            world.work(stale)
        assert world.platform.calls == []
        assert world.head(batch) == batch

    def test_a_message_of_an_expired_batch_is_dropped(self, world: World) -> None:
        batch = world.submitted(1)
        world.clock.set(batch.expires_at)
        world.work(JobsMessage.of(batch, 0))
        assert world.platform.calls == []

    def test_409_is_not_final_in_a_chunk_that_is_sent_again_or_in_a_later_round(
        self, world: World
    ) -> None:
        for batch, message in (
            (again := world.submitted(1), JobsMessage.again(again, 0)),
            (later := world.submitted(1, batch_id="f" * 32, round=2), JobsMessage.of(later, 0)),
        ):
            world.behave(lambda _: Reply(status=409, body=b"{}"))
            world.work(message)
            assert world.answers(batch) == {}


class TestTransientFailures:
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_a_temporary_failure_is_retried_in_a_delayed_message(
        self, world: World, status: int
    ) -> None:
        batch = world.submitted(3, chunk_size=3)
        world.behave(lambda call: Reply(status=status) if call.params["n"] == 1 else None)
        world.work(JobsMessage.of(batch, 0))
        [(message, delay)] = world.queue.jobs
        assert (message.indexes, message.attempt, message.hops, delay) == ((1,), 2, 1, 2)
        assert world.head(batch).done == frozenset()

    def test_a_job_that_fails_twice_and_then_answers_gets_its_answer(self, world: World) -> None:
        batch = world.submitted(1)
        replies = [Reply(status=500), NoReply(reason="no connection")]
        world.behave(lambda _: replies.pop(0) if replies else None)
        world.work(JobsMessage.of(batch, 0))
        world.run_to_the_end()
        assert len(world.platform.calls) == 3
        assert world.answers(batch)[0].verdict is Verdict.SUCCEEDED
        assert {call.idempotency_key for call in world.platform.calls} == {batch.call_id(0)}

    def test_after_five_calls_the_failure_is_recorded_in_words(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=500))
        world.work(JobsMessage.of(batch, 0))
        world.run_to_the_end()
        assert len(world.platform.calls) == 5
        assert world.answers(batch)[0] == Answer(
            Verdict.UNANSWERED,
            '{"errorCode": 461, "message": "Gave up after 5 attempts: HTTP 500"}',
            LastCall(http_status=500, attempts=5, took_ms=0),
        )
        assert world.head(batch).unanswered == {0}

    def test_jobs_with_the_same_wait_share_a_message(self, world: World) -> None:
        batch = world.submitted(25, chunk_size=25)
        world.behave(
            lambda call: Reply(status=429, retry_after="30" if call.params["n"] % 2 else None)
        )
        world.work(JobsMessage.of(batch, 0))
        assert sorted((len(m.indexes or ()), delay) for m, delay in world.queue.jobs) == [
            (12, 30),
            (13, 2),
        ]

    def test_a_wait_of_more_than_a_minute_is_not_mistaken_for_a_standstill(
        self, world: World
    ) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=429, retry_after="3600"))
        world.work(JobsMessage.of(batch, 0))
        [(_, delay)] = world.queue.jobs
        assert delay == 900
        assert START.time().isoformat() == "14:49:07"
        assert world.head(batch) == replace(
            batch, waits_until=START.replace(hour=15, minute=5, second=0)
        )

    def test_a_wait_of_up_to_a_minute_is_not_noted(self, world: World) -> None:
        """Otherwise, a slow platform would delay the check for messages that were really lost."""
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=429, retry_after="60"))
        world.work(JobsMessage.of(batch, 0))
        [(_, delay)] = world.queue.jobs
        assert delay == 60
        assert world.head(batch) == batch

    def test_only_one_of_many_waits_until_the_same_minute_is_written(self, world: World) -> None:
        batch = world.submitted(3)
        world.behave(lambda _: Reply(status=429, retry_after="600"))
        heads = []
        for chunk in batch.chunks:
            world.work(JobsMessage.of(batch, chunk))
            world.clock.advance(seconds=10)
            heads.append(world.store.heads[batch.batch_id])
        assert heads[0].waits_until == START + timedelta(seconds=653)
        assert heads[0] is heads[1] is heads[2]

    def test_the_later_of_two_waits_stands_in_either_order(self, world: World) -> None:
        """Both workers read the batch before either of them writes."""
        batch = world.submitted(3)

        def long_wait_meanwhile(call: Call) -> Reply:
            if call.params["n"] == 0:
                world.work(JobsMessage.of(batch, 1))
            return Reply(status=429, retry_after="900" if call.params["n"] else "61")

        world.behave(long_wait_meanwhile)
        world.work(JobsMessage.of(batch, 0))
        assert [delay for _, delay in world.queue.jobs] == [900, 61]
        assert world.head(batch).waits_until == START + timedelta(seconds=953)

    def test_a_wait_that_cannot_be_noted_still_delays_the_job(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=429, retry_after="600"))
        failing(monkeypatch, world.store, "change")
        world.work(JobsMessage.of(batch, 0))
        [(message, delay)] = world.queue.jobs
        assert (message.attempt, message.errors, delay) == (2, 0, 600)


class TestFinalFailures:
    def test_an_error_from_the_api_is_the_response(self, world: World) -> None:
        batch = world.submitted(1)
        body = '{"errorCode": 404, "message": "no such event"}'
        world.behave(lambda _: Reply(status=404, body=body.encode()))
        world.work(JobsMessage.of(batch, 0))
        call = LastCall(http_status=404, attempts=1, took_ms=0)
        assert world.answers(batch)[0] == Answer(Verdict.FAILED, body, call)
        assert len(world.platform.calls) == 1

    def test_an_answer_that_is_not_json_is_recorded_with_its_beginning(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=200, body=b"<html>" + b"x" * 2000))
        world.work(JobsMessage.of(batch, 0))
        answer = world.answers(batch)[0]
        assert answer.verdict is Verdict.FAILED
        assert "<html>" + "x" * 994 + '"' in answer.response

    def test_an_answer_too_large_to_store_says_so(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(
            lambda _: Reply(status=200, body=b"x" * 9, is_cut=True, declared_bytes=3_000_000)
        )
        world.work(JobsMessage.of(batch, 0))
        limit = MAX_ANSWER_BYTES
        expected = f"response of 3000000 bytes is over the limit of {limit}"
        assert expected in world.answers(batch)[0].response

    def test_a_job_of_a_revoked_key_is_not_called(self, world: World) -> None:
        batch = world.submitted(1)
        world.keys.keys["demo"] = replace(DEMO_KEY, is_revoked=True)
        world.work(JobsMessage.of(batch, 0))
        assert world.platform.calls == []
        assert world.answers(batch)[0] == Answer(
            Verdict.FAILED, '{"errorCode": 463, "message": "Key revoked"}'
        )

    @pytest.mark.parametrize("account", ["other", "ACME", "acme ", ""])
    def test_a_key_that_now_belongs_to_another_account_signs_no_job(
        self, world: World, account: str
    ) -> None:
        batch = world.submitted(2, chunk_size=2)
        world.keys.keys["demo"] = replace(DEMO_KEY, account=account)
        world.work(JobsMessage.of(batch, 0))
        assert world.platform.calls == []
        assert {answer.response for answer in world.answers(batch).values()} == {
            '{"errorCode": 463, "message": "Key revoked"}'
        }

    def test_a_retry_checks_the_key_again(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: NoReply(reason="connection refused"))
        world.work(JobsMessage.of(batch, 0))
        world.keys.keys["demo"] = replace(DEMO_KEY, account="other")
        [(retry, _)] = world.queue.take_jobs()
        world.work(retry)
        assert len(world.platform.calls) == 1
        assert world.answers(batch)[0].verdict is Verdict.FAILED

    @pytest.mark.parametrize("how", ["cancelled", "past its deadline"])
    def test_a_batch_that_must_end_calls_no_job_and_its_check_answers_the_rest(
        self, world: World, how: str
    ) -> None:
        batch = world.submitted(2)
        if how == "cancelled":
            world.service.rerunner.cancel(DEMO_CALLER, batch.batch_id)
        else:
            world.clock.set(batch.deadline)
        before = world.head(batch)
        world.run_all_chunks(batch)
        assert world.platform.calls == []
        assert (world.answers(batch), world.head(batch), world.queue.jobs) == ({}, before, [])
        world.check(batch)
        words = "Cancelled" if how == "cancelled" else "Not answered before the batch's deadline"
        assert {answer.response for answer in world.answers(batch).values()} == {
            f'{{"errorCode": 461, "message": "{words}"}}'
        }
        assert world.head(batch).is_completed

    def test_a_job_out_of_calls_is_not_called_and_says_what_was_lost(self, world: World) -> None:
        """Its last answer could not be recorded. A restart runs the job again."""
        batch = world.submitted(2, chunk_size=2)
        world.work(replace(JobsMessage.of(batch, 0), attempt=6, hops=5, errors=1))
        assert world.platform.calls == []
        assert set(world.answers(batch).values()) == {
            Answer(
                Verdict.UNANSWERED,
                '{"errorCode": 461, "message": "The answer could not be stored"}',
            )
        }
        assert world.head(batch).unanswered == {0}

    def test_unreadable_jobs_hold_up_no_others(self, world: World) -> None:
        batch = world.submitted(2, chunk_size=2)
        del world.store.jobs[batch.batch_id, batch.submission, 0]
        world.work(JobsMessage.of(batch, 0))
        assert world.head(batch).done == {0}
        expected = (
            '{"namespace":"","action":"","request":{},"response":{"errorCode": 461, '
            '"message": "the stored job could not be read"}}'
        )
        assert world.texts(batch) == [expected, expected]


class TestTooManyFailures:
    """Once more jobs than `max_failed` have failed, no further call begins."""

    @staticmethod
    def fail_all(_: Call) -> Reply:
        return Reply(status=404, body=b"{}")

    def test_the_batch_is_stopped_and_the_other_jobs_are_answered_without_a_call(
        self, world: World
    ) -> None:
        batch = world.submitted(10, chunk_size=10, max_failed=2)
        world.behave(self.fail_all)
        world.work(JobsMessage.of(batch, 0))
        ends_at = START + transitions.WORKERS_END
        assert (world.head(batch).stopped, world.head(batch).due_at) == (True, ends_at)
        assert world.queue.batches == [(BatchMessage.of(batch), 65)]
        assert world.queue.jobs == []
        world.run_to_the_end()
        assert len(world.platform.calls) == 3
        responses = [answer.response for answer in world.answers(batch).values()]
        words = '{"errorCode": 461, "message": "Stopped: more than 2 jobs failed"}'
        assert responses == ["{}"] * 3 + [words] * 7
        assert world.head(batch).status == "stopped"
        assert len(world.receiver.posts) == 1

    def test_as_many_failures_as_allowed_stop_nothing(self, world: World) -> None:
        batch = world.submitted(9, chunk_size=3, max_failed=3)
        world.behave(lambda call: self.fail_all(call) if call.params["n"] % 3 == 0 else None)
        world.run_all_chunks(batch)
        assert len(world.platform.calls) == 9
        assert world.head(batch).status == "completed"

    def test_failures_in_finished_chunks_count(self, world: World) -> None:
        batch = world.submitted(4, max_failed=1)
        world.behave(self.fail_all)
        world.run_all_chunks(batch)
        assert [call.params["n"] for call in world.platform.calls] == [0, 1]
        world.run_to_the_end()
        assert world.head(batch).status == "stopped"

    def test_failures_recorded_earlier_in_the_chunk_count(self, world: World) -> None:
        """Its message is neither split nor held up."""
        batch = world.submitted(3, chunk_size=3, max_failed=0)
        failed = {0: Answer(Verdict.FAILED, "{}")}
        world.store.record(batch, 0, AnswersPart(round=1, number=0, answers=failed))
        world.store.pause(Pause(until=START + timedelta(hours=1), reason="a test"))
        world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert (world.platform.calls, world.queue.jobs) == ([], [])
        assert world.head(batch).stopped

    def test_calls_in_flight_are_recorded(self, world: World) -> None:
        """Each thread knows of its own failure before it could begin the next call."""
        at_once = 3
        together = Barrier(at_once)
        batch = world.submitted(10, chunk_size=10, max_failed=0)
        ports = replace(world.ports, concurrent=ConcurrentThreads(at_once, 60))
        world.service = Service(world.settings, ports)

        def fail_together(call: Call) -> Reply:
            together.wait()
            return self.fail_all(call)

        world.behave(fail_together)
        world.work(JobsMessage.of(batch, 0))
        assert len(world.platform.calls) == len(world.answers(batch)) == at_once
        assert world.head(batch).stopped

    def test_calls_of_workers_that_do_not_know_of_the_stop_are_recorded(self, world: World) -> None:
        """A called job must not be reported as not called, or its caller would repeat it. So
        nothing ends the batch before those workers have ended, no matter what triggers a check."""
        batch = world.submitted(3, chunk_size=1, max_failed=0)

        def fail_meanwhile(call: Call) -> Reply | None:
            if call.params["n"] == 1:
                return self.fail_all(call)
            world.work(JobsMessage.of(batch, 1))
            world.check(batch)
            world.clock.advance(seconds=58)
            world.check(batch)
            return None

        world.behave(fail_meanwhile)
        world.work(JobsMessage.of(batch, 0))
        world.run_to_the_end()
        assert world.answers(batch)[0].response == '{"echo": {"n": 0}}'
        assert [answer.verdict for _, answer in sorted(world.answers(batch).items())] == [
            Verdict.SUCCEEDED,
            Verdict.FAILED,
            Verdict.UNANSWERED,
        ]
        assert world.head(batch).status == "stopped"

    def test_a_job_that_may_still_succeed_does_not_count(self, world: World) -> None:
        batch = world.submitted(2, chunk_size=2, max_failed=0)
        replies = [Reply(status=500), Reply(status=500)]
        world.behave(lambda _: replies.pop() if replies else None)
        world.work(JobsMessage.of(batch, 0))
        assert not world.head(batch).stopped
        world.run_to_the_end()
        assert world.head(batch).status == "completed"

    def test_jobs_that_wait_for_a_retry_are_not_called(self, world: World) -> None:
        batch = world.submitted(3, chunk_size=3, max_failed=0)
        statuses = [404, 500]
        world.behave(lambda _: Reply(status=statuses.pop(), body=b"{}"))
        world.work(JobsMessage.of(batch, 0))
        world.run_to_the_end()
        assert [call.params["n"] for call in world.platform.calls] == [0, 1]
        assert world.head(batch).status == "stopped"

    def test_if_every_job_is_answered_the_batch_is_just_completed(self, world: World) -> None:
        batch = world.submitted(3, max_failed=2)
        world.behave(self.fail_all)
        world.run_all_chunks(batch)
        assert (world.head(batch).status, world.head(batch).stopped) == ("completed", False)

    def test_a_restart_runs_every_job_without_an_answer_and_ignores_the_limit(
        self, world: World
    ) -> None:
        batch = world.submitted(6, chunk_size=3, max_failed=0)
        world.behave(self.fail_all)
        world.run_all_chunks(batch)
        world.run_to_the_end()
        assert len(world.platform.calls) == 1
        world.service.rerunner.restart(DEMO_CALLER, batch.batch_id)
        world.run_to_the_end()
        assert [call.params["n"] for call in world.platform.calls] == [*range(6)]
        assert world.head(batch).status == "completed"

    def test_a_failure_that_another_worker_saw_succeed_stops_nothing(self, world: World) -> None:
        """The first recorded answer counts. Jobs that were not called go on in another message."""
        batch = world.submitted(2, chunk_size=2, max_failed=0)

        def recorded_meanwhile(call: Call) -> Reply | None:
            if call.params["n"]:
                return None
            part = AnswersPart(round=1, number=0, answers={0: succeeded()})
            world.store.record(batch, 0, part)
            return self.fail_all(call)

        world.behave(recorded_meanwhile)
        world.work(JobsMessage.of(batch, 0))
        assert (len(world.platform.calls), world.head(batch).stopped) == (1, False)
        world.run_to_the_end()
        answered = world.head(batch).answered
        assert (answered.succeeded, answered.failed) == (2, 0)

    @pytest.mark.parametrize("takes_effect", [False, True])
    def test_if_the_stop_cannot_be_written_the_next_message_does_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch, takes_effect: bool
    ) -> None:
        batch = world.submitted(5, chunk_size=5, max_failed=0)
        world.behave(self.fail_all)
        failing(monkeypatch, world.store, "change", 1, takes_effect=takes_effect)
        world.work(JobsMessage.of(batch, 0))
        assert world.head(batch).stopped is takes_effect
        [(message, _)] = world.queue.take_jobs()
        world.work(message)
        head = world.head(batch)
        assert (head.stopped, len(world.platform.calls)) == (True, 1)
        assert [*world.store.find_due(head.due_at or START)]

    def test_if_a_worker_dies_before_the_stop_the_next_one_notices(self, world: World) -> None:
        """The worker only recorded the answers; its message comes back for a chunk that is full."""
        batch = world.submitted(2, max_failed=0)
        failed = {0: Answer(Verdict.FAILED, "{}")}
        world.store.record(batch, 0, AnswersPart(round=1, number=0, answers=failed))
        done = transitions.finish_chunk(batch, world.store.load_chunk(batch, 0))
        assert world.store.change(batch, done)
        world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert world.head(batch).stopped

    def test_if_its_message_cannot_be_sent_the_due_time_ends_the_batch(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(2, max_failed=0)
        world.behave(self.fail_all)
        failing(monkeypatch, world.queue, "send_batch", 1)
        world.work(JobsMessage.of(batch, 0))
        assert not world.queue.is_busy
        world.clock.advance(seconds=65)
        world.service.sweeper.sweep(lambda: 50)
        world.run_to_the_end()
        assert world.head(batch).status == "stopped"

    @pytest.mark.parametrize("how", ["cancelled", "past its deadline"])
    def test_a_batch_that_is_already_ending_is_not_stopped(self, world: World, how: str) -> None:
        """Its answers in place of calls are failures too."""
        batch = world.submitted(3, max_failed=0)
        if how == "cancelled":
            world.service.rerunner.cancel(DEMO_CALLER, batch.batch_id)
        else:
            world.clock.set(batch.deadline)
        world.check(batch)
        head = world.head(batch)
        assert (head.is_completed, head.stopped) == (True, False)
        assert len({answer.response for answer in world.answers(batch).values()}) == 1


class TestDetails:
    """What an answer keeps of the call that produced it."""

    def test_an_answer_has_its_calls_status_attempts_and_duration(self, world: World) -> None:
        batch = world.submitted(1)
        replies: list[Reply | NoReply] = [Reply(status=201, body=b"{}"), NoReply(reason="nobody")]

        def take_a_while(_: Call) -> Reply | NoReply:
            world.clock.advance(seconds=1.25)
            return replies.pop()

        world.behave(take_a_while)
        world.run_all_chunks(batch)
        world.run_to_the_end()
        call = LastCall(http_status=201, attempts=2, took_ms=1250)
        assert world.answers(batch)[0].call == call

    def test_a_job_that_was_given_up_has_the_details_of_its_last_call(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: NoReply(reason="nobody"))
        world.service.watch.note(batch.account, Reply(status=200), START)
        world.work(replace(JobsMessage.of(batch, 0), attempt=5))
        call = LastCall(http_status=None, attempts=5, took_ms=0)
        assert world.answers(batch)[0].call == call

    def test_an_answer_without_a_call_has_no_details(self, world: World) -> None:
        """Our own side refused the first call, and a worker gave the other answer."""
        batch = world.submitted(2)
        world.behave(lambda _: NoReply(reason="refused", is_final=True))
        world.work(JobsMessage.of(batch, 0))
        world.work(replace(JobsMessage.of(batch, 1), attempt=6))
        assert [answer.call for answer in world.answers(batch).values()] == [None, None]


class TestLog:
    def test_calls_that_succeed_share_one_line_with_their_message(self, world: World) -> None:
        batch = world.submitted(3, chunk_size=3)
        world.work(JobsMessage.of(batch, 0))
        line, _ = world.journal.lines
        assert (line["event"], line["chunk"], line["attempt"]) == ("jobs run", 0, 1)
        assert (line["succeeded"], line["durations_ms"]) == (3, [0, 0, 0])

    def test_a_failed_call_has_a_line_that_names_the_job_and_the_reason(self, world: World) -> None:
        batch = world.submitted(4, chunk_size=4)
        replies = {
            1: Reply(status=404, body=b"{}"),
            2: Reply(status=503),
            3: NoReply(reason="no connection"),
        }
        world.behave(lambda call: replies.get(call.params["n"]))
        world.work(JobsMessage.of(batch, 0))
        told = ["index", "attempt", "outcome", "status", "error"]
        assert [[line[name] for name in told] for line in world.journal.of("call failed")] == [
            [1, 1, "failed", 404, None],
            [2, 1, "tryagain", 503, None],
            [3, 1, "tryagain", None, "no connection"],
        ]

    def test_the_last_failure_of_a_job_says_that_it_was_given_up(self, world: World) -> None:
        world.behave(lambda _: Reply(status=500))
        world.work(JobsMessage.of(world.submitted(1), 0))
        world.run_to_the_end()
        found = [(line["attempt"], line["outcome"]) for line in world.journal.of("call failed")]
        assert found == [*((n, "tryagain") for n in range(1, 5)), (5, "unanswered")]


class TestTime:
    def test_jobs_without_time_are_handed_on_and_use_no_attempt(self, world: World) -> None:
        batch = world.submitted(5, chunk_size=5)

        def use_up(_call: object) -> None:
            world.seconds_left -= 5

        world.behave(use_up)
        world.work(JobsMessage.of(batch, 0))
        [(message, delay)] = world.queue.jobs
        assert (message.indexes, message.attempt, message.hops, delay) == ((3, 4), 1, 1, 0)
        world.seconds_left = 60
        world.work(message)
        assert world.head(batch).done == {0}

    def test_no_time_for_any_call_counts_as_an_error(self, world: World) -> None:
        """The next worker may have no more time."""
        batch = world.submitted(3, chunk_size=3)
        world.seconds_left = 1
        world.work(JobsMessage.of(batch, 0))
        [(message, delay)] = world.queue.jobs
        assert (message.indexes, message.attempt, message.errors, delay) == ((0, 1, 2), 1, 1, 10)


#: What a worker reads before it makes any call.
ASKED_FIRST = [
    ("store", "find_with_holds"),
    ("store", "load_chunk"),
    ("keys", "find_key"),
    ("platform", "prepare"),
]


class TestErrorsBeforeAnyCall:
    """The message goes on after a wait, as if this worker had never seen it."""

    @pytest.mark.parametrize(("port", "name"), ASKED_FIRST)
    @pytest.mark.parametrize(("errors", "wait"), [(0, 10), (1, 30), (2, 90), (9, 900)])
    def test_the_whole_message_waits_and_uses_no_attempt(
        self,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
        port: str,
        name: str,
        errors: int,
        wait: int,
    ) -> None:
        batch = world.submitted(3, chunk_size=3)
        message = replace(JobsMessage.of(batch, 0), attempt=2, hops=7, errors=errors)
        failing(monkeypatch, getattr(world, port), name)
        world.work(message)
        [(again, delay)] = world.queue.jobs
        assert again.indexes in (None, (0, 1, 2))
        assert again == replace(message, indexes=again.indexes, hops=8, errors=errors + 1)
        assert delay == wait
        assert world.platform.calls == []

    def test_the_waits_are_randomized(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Otherwise, all messages that met the same error would come back together."""
        batch = world.submitted(1)
        failing(monkeypatch, world.store, "load_chunk")
        world.chance = 0
        world.work(JobsMessage.of(batch, 0))
        [(_, delay)] = world.queue.jobs
        assert delay == 5

    def test_no_job_is_blamed_for_a_missing_secret(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(2, chunk_size=2)
        failing(monkeypatch, world.platform, "prepare", error=Misconfigured("Put the header"))
        world.work(JobsMessage.of(batch, 0))
        [(again, delay)] = world.queue.jobs
        assert (again.indexes, again.attempt, again.errors, delay) == ((0, 1), 1, 1, 10)
        assert world.journal.of("function failed")[0]["error"] == "Put the header"

    @pytest.mark.parametrize(("error", "lines"), [(Unavailable("down"), 0), (Denied("no"), 1)])
    def test_a_permanent_error_is_also_a_failure_of_the_function(
        self, world: World, monkeypatch: pytest.MonkeyPatch, error: Unavailable, lines: int
    ) -> None:
        batch = world.submitted(1)
        failing(monkeypatch, world.store, "load_chunk", error=error)
        world.work(JobsMessage.of(batch, 0))
        assert len(world.journal.of("function failed")) == lines
        assert world.journal.of("message handed on") == [
            {
                "event": "message handed on",
                "batch_id": batch.batch_id,
                "account": batch.account,
                "errors": 1,
                "wait": 10,
                "error": str(error),
            }
        ]

    @pytest.mark.parametrize(("port", "name"), ASKED_FIRST)
    def test_with_the_queue_down_too_the_message_comes_back(
        self, world: World, monkeypatch: pytest.MonkeyPatch, port: str, name: str
    ) -> None:
        batch = world.submitted(1)
        failing(monkeypatch, getattr(world, port), name)
        failing(monkeypatch, world.queue, "send_jobs")
        with pytest.raises(Unavailable):
            world.work(JobsMessage.of(batch, 0))
        assert world.platform.calls == []

    def test_past_its_deadline_a_message_is_dropped(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The batch's own due time ends it."""
        batch = world.submitted(1)
        failing(monkeypatch, world.store, "find_with_holds")
        world.clock.set(batch.deadline - timedelta(milliseconds=1))
        world.work(JobsMessage.of(batch, 0))
        assert len(world.queue.take_jobs()) == 1
        world.clock.set(batch.deadline)
        world.work(JobsMessage.of(batch, 0))
        assert world.queue.jobs == []
        assert world.head(batch).due_at is not None

    def test_a_long_wait_is_not_mistaken_for_a_standstill(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(1)
        failing(monkeypatch, world.keys, "find_key")
        world.work(replace(JobsMessage.of(batch, 0), hops=3, errors=3))
        [(_, delay)] = world.queue.jobs
        assert delay == 270
        assert world.head(batch).waits_until == START + timedelta(seconds=293)

    def test_a_message_that_met_errors_makes_no_call_until_the_table_takes_writes(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(2, chunk_size=2)
        message = replace(JobsMessage.of(batch, 0), hops=1, errors=1)
        with monkeypatch.context() as patch:
            failing(patch, world.store, "mark")
            world.work(message)
        assert world.platform.calls == []
        [(again, delay)] = world.queue.take_jobs()
        assert (again.indexes, again.attempt, again.errors, delay) == ((0, 1), 1, 2, 30)
        world.work(again)
        assert world.head(batch).is_completed
        assert world.store.markers == {}

    def test_a_message_that_met_no_errors_writes_nothing_before_its_calls(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(1)
        marked = failing(monkeypatch, world.store, "mark")
        world.work(JobsMessage.of(batch, 0))
        assert marked.failed == 0
        assert world.head(batch).is_completed

    def test_a_message_forgets_its_errors_when_calls_begin(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=500))
        failing(monkeypatch, world.keys, "find_key", times=1)
        world.work(JobsMessage.of(batch, 0))
        [(again, _)] = world.queue.take_jobs()
        world.work(again)
        [(retry, _)] = world.queue.jobs
        assert (again.errors, retry.errors, retry.attempt) == (1, 0, 2)


class TestAnswersThatCannotBeRecorded:
    def test_while_answers_cannot_be_recorded_no_further_call_begins(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The jobs not started then go on immediately, in the same attempt."""
        world = World(per_flush=2)
        batch = world.submitted(6, chunk_size=6)
        failing(monkeypatch, world.store, "record", times=1)
        world.work(JobsMessage.of(batch, 0))
        assert [call.params["n"] for call in world.platform.calls] == [0, 1, 4, 5]
        assert sorted(world.answers(batch)) == [0, 1, 4, 5]
        [(message, delay)] = world.queue.jobs
        assert (message.indexes, message.attempt, message.errors, delay) == ((2, 3), 1, 0, 0)

    def test_recording_is_retried_while_there_is_time(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(2, chunk_size=2)
        failing(monkeypatch, world.store, "record", times=4)
        world.work(JobsMessage.of(batch, 0))
        assert world.head(batch).is_completed
        assert len(world.platform.calls) == 2
        assert world.queue.jobs == []
        assert world.clock.now() == START + timedelta(seconds=1 + 2 + 4)

    def test_after_that_they_are_handed_on_as_called_and_the_others_unchanged(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(per_flush=2)
        batch = world.submitted(4, chunk_size=4)
        failing(monkeypatch, world.store, "record")
        world.work(JobsMessage.of(batch, 0))
        assert [call.params["n"] for call in world.platform.calls] == [0, 1]
        assert [
            (message.indexes, message.attempt, message.errors, delay)
            for message, delay in world.queue.jobs
        ] == [((2, 3), 1, 1, 10), ((0, 1), 2, 1, 10)]

    @pytest.mark.parametrize("seconds", [48, 50, 60, 64])
    def test_there_is_time_left_to_hand_them_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch, seconds: float
    ) -> None:
        world.seconds_left = seconds
        batch = world.submitted(1)
        record = failing(monkeypatch, world.store, "record")
        world.work(JobsMessage.of(batch, 0))
        took = (world.clock.now() - START).total_seconds()
        assert record.failed > 3
        assert world.seconds_left - took >= SECONDS_TO_RECORD

    def test_a_permanent_error_is_not_waited_for(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(1)
        failing(monkeypatch, world.store, "record", error=Denied("no"))
        world.work(JobsMessage.of(batch, 0))
        [(message, _)] = world.queue.jobs
        assert (message.attempt, world.clock.now()) == (2, START)

    def test_jobs_to_retry_keep_their_own_wait(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(2, chunk_size=2)
        world.behave(
            lambda call: Reply(status=429, retry_after="600") if call.params["n"] else None
        )
        failing(monkeypatch, world.store, "record")
        world.work(JobsMessage.of(batch, 0))
        assert [
            (message.indexes, message.attempt, message.errors, delay)
            for message, delay in world.queue.jobs
        ] == [((1,), 2, 0, 600), ((0,), 2, 1, 10)]

    def test_with_the_table_closed_for_writes_a_job_is_called_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It does not matter how often its message comes, because the table is checked first."""
        batch = world.submitted(1)
        for write in ("record", "mark", "change"):
            failing(monkeypatch, world.store, write)
        world.work(JobsMessage.of(batch, 0))
        for _ in range(5):
            [(message, delay)] = world.queue.take_jobs()
            world.clock.advance(seconds=delay)
            world.work(message)
        assert len(world.platform.calls) == 1
        [(message, _)] = world.queue.jobs
        assert (message.attempt, message.errors) == (2, 6)

    def test_a_job_whose_answers_are_always_lost_is_called_five_times_and_says_so(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(1)
        with monkeypatch.context() as patch:
            failing(patch, world.store, "record")
            world.work(JobsMessage.of(batch, 0))
            for _ in range(7):
                [(message, _)] = world.queue.take_jobs()
                world.work(message)
        assert len(world.platform.calls) == 5
        assert world.answers(batch) == {}
        world.run_to_the_end()
        assert "could not be stored" in world.answers(batch)[0].response
        assert world.head(batch).is_completed

    def test_a_full_chunk_that_cannot_be_finished_makes_no_further_calls(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(2, chunk_size=2)
        with monkeypatch.context() as patch:
            failing(patch, world.store, "change")
            world.work(JobsMessage.of(batch, 0))
        [(message, delay)] = world.queue.jobs
        assert (message.errors, delay) == (1, 10)
        world.run_to_the_end()
        assert len(world.platform.calls) == 2
        assert world.head(batch).callback is CallbackState.DELIVERED


class TestEveryError:
    """Whichever call fails, each job is recorded or carried on by one message."""

    @pytest.mark.parametrize("takes_effect", [False, True])
    @pytest.mark.parametrize("number", range(14))
    @pytest.mark.parametrize(
        ("total", "receive_count", "errors"),
        [(6, 1, 0), (6, 1, 1), (1, 1, 1), (1, 2, 0), (1, 2, 1)],
    )
    def test_no_job_is_lost_or_carried_on_twice(
        self, total: int, receive_count: int, errors: int, number: int, takes_effect: bool
    ) -> None:
        """Job 0 is to be retried, the others answer. With six jobs, the last ones are not started
        in time."""
        world = World(per_flush=2)
        batch = world.submitted(total, chunk_size=total)
        ports = FailingPorts(number, takes_effect=takes_effect)
        world.service = Service(
            world.settings,
            replace(
                world.ports,
                store=ports.wrap(world.store),
                cached_keys=ports.wrap(world.keys),
            ),
        )

        def answer(call: Call) -> Reply | None:
            world.seconds_left -= 8
            return Reply(status=429, retry_after="600") if call.params["n"] == 0 else None

        world.behave(answer)
        message = replace(JobsMessage.of(batch, 0), hops=errors, errors=errors)
        world.work(message, receive_count)
        chunk = world.store.load_chunk(batch, 0)
        carried = [index for sent, _ in world.queue.jobs for index in sent.missing(chunk)]
        recorded = [index for part in chunk.parts for index in part.answers]
        assert sorted(recorded + carried) == [*range(total)]
        world.seconds_left = 1_000
        world.service = Service(world.settings, world.ports)
        world.behave(lambda _: None)
        world.run_to_the_end()
        assert world.head(batch).is_completed


class FailingPorts:
    """Ports of which the call with this number fails, counted over all ports."""

    def __init__(self, number: int, *, takes_effect: bool) -> None:
        self._numbers = count()
        self._number = number
        self._takes_effect = takes_effect

    def wrap(self, port: Any) -> Any:
        return _Wrapped(port, self._call)

    def _call(self, call: Callable[..., Any], *args: Any) -> Any:
        if next(self._numbers) != self._number:
            return call(*args)
        if self._takes_effect:
            call(*args)
        raise Unavailable("down")


@dataclass
class _Wrapped:
    port: Any
    through: Callable[..., Any]

    def __getattr__(self, name: str) -> Any:
        return partial(self.through, getattr(self.port, name))
