"""Batches whose messages come twice, in reverse, mixed up, or to two workers at the same time."""

import threading

import pytest

from chalicelib.domain.outcome import NoReply, Reply
from tests.fakes.http import Call, echo
from tests.stories.jobs import echoes, jobs
from tests.stories.on_moto import OnMoto, alternating


@pytest.mark.parametrize("total", [3, 40])
def test_every_message_delivered_twice_runs_no_job_twice_and_calls_back_once(
    life: OnMoto, total: int
) -> None:
    life.deliveries = 2
    async_id = life.submit(jobs(total))
    life.work_off()
    assert len(life.platform.calls) == total
    assert life.responses(async_id) == echoes(total)
    assert life.posts_of(async_id) == [life.results(async_id)]


def test_messages_in_reverse_order_leave_the_results_in_order(life: OnMoto) -> None:
    life.order = lambda messages: [*reversed(messages)]
    async_id = life.submit(jobs(40))
    life.work_off()
    called = [call.params["n"] for call in life.platform.calls]
    assert called.index(39) < called.index(0)
    assert life.responses(async_id) == echoes(40)
    assert life.posts_of(async_id) == [life.results(async_id)]


def test_two_interleaved_batches_do_not_affect_each_other(life: OnMoto) -> None:
    life.order = alternating
    first, second = life.submit(jobs(40, "first")), life.submit(jobs(40, "second"))
    life.work_off()
    batches = [call.idempotency_key.partition("-")[0] for call in life.platform.calls]
    assert batches.index(second) < len(batches) - 1 - batches[::-1].index(first)
    for async_id in (first, second):
        assert life.responses(async_id) == echoes(40)
        assert life.posts_of(async_id) == [life.results(async_id)]
    assert len(life.receiver.posts) == 2


def test_two_workers_on_one_chunk_record_one_answer_for_each_job(life: OnMoto) -> None:
    both_call = threading.Barrier(2, timeout=20)
    numbers = iter(range(1_000))

    def meet(_: Call) -> Reply | NoReply:
        """Make both workers call the same job at the same time, and answer them differently."""
        both_call.wait()
        return Reply(status=200, body=b'{"answer":%d}' % next(numbers))

    life.configure(JOBS_PER_MESSAGE="5")
    async_id = life.submit(jobs(40))
    [message, *others] = life.receive()
    life.platform.answer = meet
    life.deliver_at_once(message, workers=2)
    assert len(life.platform.calls) == 10
    partial = life.ask("results", {"async": async_id, "partial": True})["results"]
    assert [result["index"] for result in partial] == [*range(5)]
    assert life.head(async_id).counts.total == 5

    life.platform.answer = echo
    life.delete(message)
    for other in others:
        life.deliver(other)
        life.delete(other)
    life.work_off()
    assert life.responses(async_id)[:5] == [result["response"] for result in partial]
    assert life.responses(async_id)[5:] == echoes(40)[5:]
    assert life.posts_of(async_id) == [life.results(async_id)]


def test_a_message_whose_worker_died_is_split_and_answered_by_the_next(life: OnMoto) -> None:
    life.configure(JOBS_PER_MESSAGE="5")
    async_id = life.submit(jobs(40))
    lost, *_ = messages = life.receive()  # the first worker dies before it does anything
    for message in messages[1:]:
        life.deliver(message)
        life.delete(message)
    life.work_off()
    assert life.progress(async_id)["jobs"]["waiting"] == 5
    assert life.receiver.posts == []
    life.clock.advance(seconds=361)  # the visibility timeout is over
    life.work_off()
    assert lost["MessageId"] in {message["MessageId"] for message in messages}
    assert life.journal.of("message split")
    assert len(life.platform.calls) == 40
    assert life.responses(async_id) == echoes(40)
    assert life.posts_of(async_id) == [life.results(async_id)]
