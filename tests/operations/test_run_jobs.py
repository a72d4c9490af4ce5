"""What a worker promises about the jobs of a message."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from chalicelib.domain.batch import Answer, AnswersPart, Marker, Verdict
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.outcome import MAX_ANSWER_BYTES, NoReply, Reply
from chalicelib.errors import Unavailable
from tests.fakes.clock import START
from tests.operations.world import World
from tests.samples import DEMO_KEY, succeeded


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

    def test_a_call_carries_the_jobs_own_text_key_and_idempotency_key(self, world: World) -> None:
        batch = world.submitted(1)
        world.work(JobsMessage.of(batch, 0))
        [call] = world.platform.calls
        assert (call.namespace, call.action, call.body) == (
            "event",
            "inviteContacts",
            b'{"n":0}',
        )
        assert call.idempotency_key == f"{batch.batch_id}-0"
        assert call.key == "demo"

    def test_the_last_chunk_to_be_done_asks_for_the_batch_to_be_advanced(
        self, world: World
    ) -> None:
        batch = world.submitted(3)
        for chunk in (2, 0):
            world.work(JobsMessage.of(batch, chunk))
        assert world.queue.batches == []
        world.work(JobsMessage.of(batch, 1))
        assert len(world.queue.batches) == 1

    def test_answers_are_recorded_while_others_are_still_out(self) -> None:
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

    def test_a_redelivered_full_chunk_is_finished_and_announced_again(self, world: World) -> None:
        batch = world.submitted(1)
        world.store.record(batch, 0, AnswersPart(round=1, number=0, answers={0: succeeded()}))
        world.work(JobsMessage.of(batch, 0))
        world.work(JobsMessage.of(batch, 0))
        assert world.platform.calls == []
        assert world.head(batch).done == {0}
        assert len(world.queue.batches) == 2

    def test_only_what_has_no_answer_is_run(self, world: World) -> None:
        batch = world.submitted(3, chunk_size=3)
        world.store.record(batch, 0, AnswersPart(round=1, number=0, answers={1: succeeded()}))
        world.work(JobsMessage.of(batch, 0))
        assert [call.params["n"] for call in world.platform.calls] == [0, 2]

    def test_a_job_that_its_second_worker_survives_leaves_no_marker(self, world: World) -> None:
        """Or it would be to blame if a later message for it died of something else."""
        batch = world.submitted(1)
        seen: list[Marker] = []
        world.behave(lambda _: seen.extend(world.store.markers.values()))
        world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert [marker.receive_count for marker in seen] == [2]
        assert world.store.markers == {}

    def test_with_database_and_queue_down_no_marker_blames_the_job(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither can the answer be recorded, nor another message be sent."""
        batch = world.submitted(1)
        monkeypatch.setattr(world.store, "record", fail)
        monkeypatch.setattr(world.queue, "send_jobs", fail)
        with pytest.raises(Unavailable):
            world.work(JobsMessage.of(batch, 0), receive_count=2)
        assert world.store.markers == {}

    def test_two_workers_on_one_chunk_leave_one_answer_each_the_first_recorded(
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
        ],
    )
    def test_409_is_final_only_at_the_first_receive_of_the_first_message(
        self, world: World, change: dict[str, Any], receive_count: int, is_final: bool
    ) -> None:
        """Otherwise the platform may still be at work on an earlier call, and tells so."""
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=409, body=b"{}"))
        message = replace(JobsMessage.of(batch, 0), **change)
        world.work(message, receive_count=receive_count)
        assert bool(world.answers(batch)) is is_final
        assert bool(world.queue.jobs) is not is_final

    def test_a_message_of_another_round_or_submission_is_forgotten(self, world: World) -> None:
        batch = world.submitted(1)
        message = JobsMessage.of(batch, 0)
        for stale in (replace(message, round=2), replace(message, submission="0" * 32)):
            world.work(stale)
        assert world.platform.calls == []
        assert world.head(batch) == batch

    def test_a_message_of_an_expired_batch_is_forgotten(self, world: World) -> None:
        batch = world.submitted(1)
        world.clock.set(batch.expires_at)
        world.work(JobsMessage.of(batch, 0))
        assert world.platform.calls == []

    def test_a_worker_that_cannot_record_asks_for_its_message_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = world.submitted(1)
        monkeypatch.setattr(world.store, "record", fail)
        with pytest.raises(Unavailable):
            world.work(JobsMessage.of(batch, 0))
        assert world.head(batch).done == frozenset()


class TestTransientFailures:
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_a_failure_that_may_pass_is_tried_again_in_a_delayed_message(
        self, world: World, status: int
    ) -> None:
        batch = world.submitted(3, chunk_size=3)
        world.behave(lambda call: Reply(status=status) if call.params["n"] == 1 else None)
        world.work(JobsMessage.of(batch, 0))
        [(message, delay)] = world.queue.jobs
        assert (message.indexes, message.attempt, message.hops, delay) == ((1,), 2, 1, 2)
        assert world.head(batch).done == frozenset()

    def test_a_job_that_fails_twice_and_then_answers_has_its_answer(self, world: World) -> None:
        batch = world.submitted(1)
        replies = [Reply(status=500), NoReply(reason="no connection")]
        world.behave(lambda _: replies.pop(0) if replies else None)
        world.work(JobsMessage.of(batch, 0))
        world.run_to_the_end()
        assert len(world.platform.calls) == 3
        assert world.answers(batch)[0].verdict is Verdict.SUCCEEDED
        assert {call.idempotency_key for call in world.platform.calls} == {f"{batch.batch_id}-0"}

    def test_after_five_calls_the_failure_is_recorded_in_words(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=503))
        world.work(JobsMessage.of(batch, 0))
        world.run_to_the_end()
        assert len(world.platform.calls) == 5
        assert world.answers(batch)[0] == Answer(
            Verdict.UNANSWERED,
            '{"errorCode": 461, "message": "Gave up after 5 attempts: HTTP 503"}',
        )
        assert world.head(batch).unanswered == {0}

    def test_jobs_with_the_same_wait_share_a_message(self, world: World) -> None:
        batch = world.submitted(25, chunk_size=25)
        world.behave(
            lambda call: Reply(status=503, retry_after="30" if call.params["n"] % 2 else None)
        )
        world.work(JobsMessage.of(batch, 0))
        assert sorted((len(m.indexes or ()), delay) for m, delay in world.queue.jobs) == [
            (12, 30),
            (13, 2),
        ]

    def test_a_wait_of_more_than_a_minute_is_not_taken_for_a_standstill(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=429, retry_after="3600"))
        world.work(JobsMessage.of(batch, 0))
        [(_, delay)] = world.queue.jobs
        assert delay == 900
        assert world.head(batch).next_check_at == START + timedelta(seconds=960)

    def test_a_wait_of_up_to_a_minute_moves_no_check(self, world: World) -> None:
        """Or a platform that is slow would hold up the check of what was really lost."""
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=429, retry_after="60"))
        world.work(JobsMessage.of(batch, 0))
        [(_, delay)] = world.queue.jobs
        assert delay == 60
        assert world.head(batch).next_check_at == batch.next_check_at


class TestFinalFailures:
    def test_an_error_of_the_api_is_the_response(self, world: World) -> None:
        batch = world.submitted(1)
        body = '{"errorCode": 404, "message": "no such event"}'
        world.behave(lambda _: Reply(status=404, body=body.encode()))
        world.work(JobsMessage.of(batch, 0))
        assert world.answers(batch)[0] == Answer(Verdict.FAILED, body)
        assert len(world.platform.calls) == 1

    def test_an_answer_that_is_not_json_is_recorded_with_its_beginning(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=200, body=b"<html>" + b"x" * 2000))
        world.work(JobsMessage.of(batch, 0))
        answer = world.answers(batch)[0]
        assert answer.verdict is Verdict.FAILED
        assert "<html>" + "x" * 994 + '"' in answer.response

    def test_an_answer_over_what_can_be_stored_says_so(self, world: World) -> None:
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
    def test_a_key_that_belongs_to_another_account_by_now_signs_no_job(
        self, world: World, account: str
    ) -> None:
        batch = world.submitted(2, chunk_size=2)
        world.keys.keys["demo"] = replace(DEMO_KEY, account=account)
        world.work(JobsMessage.of(batch, 0))
        assert world.platform.calls == []
        assert {answer.response for answer in world.answers(batch).values()} == {
            '{"errorCode": 463, "message": "Key revoked"}'
        }

    def test_a_retry_asks_again_whose_key_it_is(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: NoReply(reason="connection refused"))
        world.work(JobsMessage.of(batch, 0))
        world.keys.keys["demo"] = replace(DEMO_KEY, account="other")
        [(retry, _)] = world.queue.take_jobs()
        world.work(retry)
        assert len(world.platform.calls) == 1
        assert world.answers(batch)[0].verdict is Verdict.FAILED

    def test_past_the_deadline_no_job_is_called(self, world: World) -> None:
        batch = world.submitted(1)
        world.clock.set(batch.deadline)
        world.work(JobsMessage.of(batch, 0))
        assert world.platform.calls == []
        assert world.answers(batch)[0].verdict is Verdict.UNANSWERED

    def test_jobs_that_cannot_be_read_hold_nobody_up(self, world: World) -> None:
        batch = world.submitted(2, chunk_size=2)
        del world.store.jobs[batch.batch_id, batch.submission, 0]
        world.work(JobsMessage.of(batch, 0))
        assert world.head(batch).done == {0}
        expected = (
            '{"namespace":"","action":"","request":{},"response":{"errorCode": 461, '
            '"message": "the stored job could not be read"}}'
        )
        assert world.texts(batch) == [expected, expected]


class TestLog:
    def test_calls_that_succeed_share_one_line_with_their_message(self, world: World) -> None:
        batch = world.submitted(3, chunk_size=3)
        world.work(JobsMessage.of(batch, 0))
        [line] = world.journal.lines
        assert (line["event"], line["chunk"], line["attempt"]) == ("jobs run", 0, 1)
        assert (line["succeeded"], line["durations_ms"]) == (3, [0, 0, 0])

    def test_a_call_that_does_not_has_a_line_that_says_of_which_job_and_why(
        self, world: World
    ) -> None:
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
        world.behave(lambda _: Reply(status=503))
        world.work(JobsMessage.of(world.submitted(1), 0))
        world.run_to_the_end()
        found = [(line["attempt"], line["outcome"]) for line in world.journal.of("call failed")]
        assert found == [*((n, "tryagain") for n in range(1, 5)), (5, "unanswered")]


class TestTime:
    def test_jobs_for_which_there_is_no_time_are_handed_on_and_not_counted_as_tried(
        self, world: World
    ) -> None:
        batch = world.submitted(5, chunk_size=5)

        def use_up(_call: object) -> None:
            world.seconds_left -= 10

        world.behave(use_up)
        world.work(JobsMessage.of(batch, 0))
        [(message, delay)] = world.queue.jobs
        assert (message.indexes, message.attempt, message.hops, delay) == ((3, 4), 1, 1, 0)
        world.seconds_left = 60
        world.work(message)
        assert world.head(batch).done == {0}

    def test_a_chain_of_messages_ends_before_lambda_stops_it(self, world: World) -> None:
        batch = world.submitted(1)
        world.seconds_left = 1
        world.work(replace(JobsMessage.of(batch, 0), hops=12))
        assert world.queue.jobs == []

    def test_so_does_a_chain_of_retries(self, world: World) -> None:
        batch = world.submitted(1)
        world.behave(lambda _: Reply(status=500))
        world.work(replace(JobsMessage.of(batch, 0), hops=12))
        assert world.queue.jobs == []

    def test_and_one_whose_last_message_is_to_be_split(self, world: World) -> None:
        batch = world.submitted(3, chunk_size=3)
        world.work(replace(JobsMessage.of(batch, 0), hops=12), receive_count=2)
        assert world.queue.jobs == []
