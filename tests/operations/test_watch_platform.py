"""What happens to jobs whose platform is away, or that an operator has paused."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import pytest

from chalicelib.adapters.threads import ConcurrentThreads
from chalicelib.domain.batch import Batch, Verdict
from chalicelib.domain.holds import Holds, Outage, Pause
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.errors import Unavailable
from chalicelib.service import Service
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.fakes.http import Call
from tests.fakes.threads import FakeConcurrent
from tests.operations.world import World
from tests.samples import DEMO_CALLER, DEMO_KEY

Result = TypeVar("Result")

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
GONE = NoReply(reason="no connection to the platform")
#: The world always draws the longest possible wait.
JITTER = 10
DOWN = Outage.beginning(START)


class CountingStore(FakeBatchStore):
    """Counts the requests it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if callable(found) and not name.startswith("_"):
            self.asked[name] += 1
        return found


class GroupingConcurrent(FakeConcurrent):
    """Records how many calls could have run concurrently."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[int] = []

    def run(self, calls: Sequence[Callable[[], Result]]) -> Iterator[list[Result]]:
        self.groups.append(len(calls))
        return super().run(calls)


@pytest.fixture
def world() -> World:
    return World()


def is_gone(_: Call) -> NoReply:
    return GONE


def is_back(_: Call) -> None:
    """The platform echoes again."""


def sole_jobs(world: World, total: int) -> list[JobsMessage]:
    """Messages of one job each."""
    batch = a_new_batch(world, total, chunk_size=1)
    return [JobsMessage.of(batch, chunk) for chunk in batch.chunks]


def a_message(world: World, jobs: int = 50, **fields: Any) -> JobsMessage:
    """A message with all jobs of its batch."""
    return replace(JobsMessage.of(a_new_batch(world, jobs, chunk_size=jobs), 0), **fields)


def a_new_batch(world: World, jobs: int, **fields: Any) -> Batch:
    return world.submitted(jobs, batch_id=f"{len(world.store.heads):032x}", **fields)


def another_container(world: World) -> Service:
    return Service(world.settings, world.ports)


def work_in(service: Service, message: JobsMessage, receive_count: int = 1) -> None:
    service.runner.run_jobs(message, receive_count=receive_count, seconds_left=lambda: 60.0)


def the_only(world: World) -> tuple[JobsMessage, int]:
    [sent] = world.queue.take_jobs()
    return sent


class TestTrip:
    def test_ten_calls_in_a_row_that_find_it_away_begin_an_outage(self, world: World) -> None:
        world.behave(is_gone)
        *nine, tenth = sole_jobs(world, 10)
        for message in nine:
            world.work(message)
        assert world.store.outages == {}
        world.work(tenth)
        assert world.store.outages == {"acme": DOWN}

    @pytest.mark.parametrize(
        "reply",
        [GONE, *(Reply(status=status) for status in (502, 503, 504))],
        ids=["none", "502", "503", "504"],
    )
    def test_no_answer_and_gateway_errors_count(self, world: World, reply: Reply | NoReply) -> None:
        world.behave(lambda _: reply)
        world.work(a_message(world))
        assert world.store.outages == {"acme": DOWN}
        assert len(world.platform.calls) == 10

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 501])
    def test_an_answer_with_retry_after_does_not_count(self, world: World, status: int) -> None:
        world.behave(lambda _: Reply(status=status))
        world.work(a_message(world))
        assert world.store.outages == {}
        assert len(world.platform.calls) == 50

    def test_a_call_that_our_side_refuses_is_neither_a_miss_nor_an_answer(
        self, world: World
    ) -> None:
        refused = NoReply(reason="the key has no secret to sign with", is_final=True)
        world.behave(lambda call: refused if call.params["n"] == 5 else GONE)
        world.work(a_message(world))
        assert world.store.outages == {"acme": DOWN}
        assert len(world.platform.calls) == 11

    def test_an_answer_in_between_restarts_the_count(self, world: World) -> None:
        world.behave(lambda call: None if call.params["n"] == 5 else GONE)
        world.work(a_message(world, 15))
        assert world.store.outages == {}

    def test_a_container_with_an_answer_in_the_last_minute_begins_none(self, world: World) -> None:
        world.work(a_message(world, 1))
        world.behave(is_gone)
        world.clock.advance(seconds=59)
        world.work(a_message(world))
        assert world.store.outages == {}
        assert len(world.platform.calls) == 51
        world.clock.advance(seconds=1)
        world.work(a_message(world))
        assert world.store.outages == {"acme": Outage.beginning(world.clock.now())}

    def test_calls_of_another_container_are_not_counted(self, world: World) -> None:
        world.behave(is_gone)
        messages = sole_jobs(world, 10)
        for number, message in enumerate(messages):
            work_in(world.service if number % 2 else another_container(world), message)
        assert world.store.outages == {}

    @pytest.mark.parametrize("jobs", [1, 3])
    def test_at_the_third_attempt_all_calls_of_one_message_begin_an_outage(
        self, world: World, jobs: int
    ) -> None:
        """This spares a lone job too."""
        world.behave(is_gone)
        world.work(a_message(world, jobs))
        for attempt in (2, 3):
            assert world.store.outages == {}
            message, delay = the_only(world)
            assert message.attempt == attempt
            world.clock.advance(seconds=delay)
            world.work(message)
        assert world.store.outages == {"acme": Outage.beginning(world.clock.now())}
        assert len(world.platform.calls) == 3 * jobs
        assert the_only(world)[0].attempt == 3

    def test_jobs_without_time_for_a_call_do_not_matter(self, world: World) -> None:
        def take_long(_: Call) -> NoReply:
            world.seconds_left -= 10
            return GONE

        world.behave(take_long)
        world.work(a_message(world, 5, attempt=3, hops=2))
        assert len(world.platform.calls) == 2
        assert world.store.outages == {"acme": DOWN}

    def test_a_single_answer_among_them_prevents_an_outage(self, world: World) -> None:
        world.behave(lambda call: Reply(status=500) if call.params["n"] == 1 else GONE)
        world.work(a_message(world, 3, attempt=3, hops=2))
        assert world.store.outages == {}

    def test_misses_before_an_outage_of_others_do_not_prevent_the_next_one(
        self, world: World
    ) -> None:
        """Otherwise, this container would never begin an outage again."""
        world.behave(is_gone)
        for message in sole_jobs(world, 9):
            world.work(message)
        world.store.outages["acme"] = DOWN
        world.clock.advance(seconds=15)
        world.work(a_message(world))
        world.store.outages.clear()
        world.clock.advance(seconds=65)
        world.work(a_message(world))
        assert world.store.outages == {"acme": Outage.beginning(world.clock.now())}

    def test_only_one_of_two_containers_begins_an_outage(self, world: World) -> None:
        world.behave(is_gone)
        first, second = another_container(world), another_container(world)
        for service in (first, second):
            service.watch.find(a_message(world))  # both know that the platform is up
        work_in(first, a_message(world))
        world.clock.advance(seconds=1)
        work_in(second, a_message(world))
        assert world.store.outages == {"acme": DOWN}
        assert len(world.journal.of("platform down")) == 1

    def test_concurrent_calls_stop_at_ten_plus_those_already_running(self, world: World) -> None:
        ports = replace(world.ports, concurrent=ConcurrentThreads(25, flush_seconds=60))
        world.behave(is_gone)
        work_in(Service(world.settings, ports), a_message(world, 100))
        assert 10 <= len(world.platform.calls) <= 10 + 25
        assert world.store.outages == {"acme": DOWN}

    def test_no_call_begins_while_the_outage_is_being_written(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Concurrent calls end together, and each would be followed by another one."""
        watch, message = world.service.watch, a_message(world)
        meanwhile: list[bool] = []
        begin = world.store.begin_outage

        def begin_slowly(account: str, outage: Outage) -> bool:
            meanwhile.append(watch.may_call(message))
            return begin(account, outage)

        monkeypatch.setattr(world.store, "begin_outage", begin_slowly)
        world.behave(is_gone)
        world.work(message)
        assert meanwhile == [False]

    def test_an_outage_that_cannot_be_written_does_not_count(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> bool:
            raise Unavailable("down")

        monkeypatch.setattr(world.store, "begin_outage", fail)
        world.behave(is_gone)
        world.work(a_message(world))
        assert len(world.platform.calls) == 50
        message, _ = the_only(world)
        assert (message.attempt, message.away_since) == (2, None)


class TestWaiting:
    @pytest.fixture
    def down(self, world: World) -> World:
        world.store.outages["acme"] = replace(DOWN, until=START + 4 * MINUTE)
        world.behave(is_gone)
        return world

    def test_no_job_is_called_and_no_attempt_used(self, down: World) -> None:
        down.work(a_message(down, 50, attempt=2, hops=1))
        message, _ = the_only(down)
        assert down.platform.calls == []
        assert (message.attempt, message.errors, message.indexes) == (2, 0, tuple(range(50)))

    def test_the_message_comes_back_when_the_platform_is_tested_again_with_jitter(
        self, down: World
    ) -> None:
        down.work(a_message(down))
        assert the_only(down)[1] == 240 + JITTER
        ports = replace(down.ports, random_unit=lambda: 0.0)
        work_in(Service(down.settings, ports), a_message(down))
        assert the_only(down)[1] == 240

    def test_it_waits_at_most_15_minutes(self, down: World) -> None:
        down.store.outages["acme"] = replace(DOWN, until=START + 15 * MINUTE)
        down.work(a_message(down))
        assert the_only(down)[1] == 900

    def test_it_remembers_since_when_it_has_waited(self, down: World) -> None:
        down.work(a_message(down))
        message, _ = the_only(down)
        assert message.away_since == START
        down.clock.advance(seconds=100)
        down.work(message)
        assert the_only(down)[0].away_since == START

    def test_no_check_mistakes_the_wait_for_a_standstill(self, down: World) -> None:
        message = a_message(down)
        down.work(message)
        head = down.store.heads[message.batch_id]
        assert head.waits(START + 250 * SECOND)
        assert not head.waits(START + 5 * MINUTE)

    def test_a_restart_sends_no_second_message(self, down: World) -> None:
        message = a_message(down)
        down.work(message)
        down.queue.take_jobs()
        sent = replace(down.store.heads[message.batch_id], checks=1)
        down.store.heads[message.batch_id] = sent
        down.clock.advance(seconds=200)
        down.service.rerunner.restart(DEMO_CALLER, message.batch_id)
        down.check(sent)
        assert not down.queue.is_busy

    def test_the_log_says_whose_jobs_wait_for_what(self, down: World) -> None:
        down.work(a_message(down, 3))
        [line] = down.journal.of("jobs held up")
        told = {name: line[name] for name in ("account", "jobs", "reason", "wait")}
        assert told == {"account": "acme", "jobs": 3, "reason": "platform", "wait": 250}

    def test_the_calls_that_began_the_outage_use_no_attempt_either(self, world: World) -> None:
        world.behave(is_gone)
        world.work(a_message(world))
        message, delay = the_only(world)
        assert (message.attempt, len(message.indexes or ()), delay) == (1, 50, 15 + JITTER)
        assert message.away_since == START

    def test_another_accounts_jobs_are_called(self, down: World) -> None:
        """One caller's broken action stops no other account."""
        down.behave(is_back)
        down.keys.keys["other"] = replace(DEMO_KEY, key="other", account="other")
        batch = down.submitted(3, chunk_size=3, account="other", key="other")
        down.work(JobsMessage.of(batch, 0))
        assert len(down.platform.calls) == 3
        assert set(down.store.outages) == {"acme"}

    def test_at_the_deadline_the_wait_is_over(self, down: World) -> None:
        message = a_message(down, 3)
        down.clock.set(down.store.heads[message.batch_id].deadline)
        down.store.outages["acme"] = Outage.beginning(down.clock.now())
        down.check(down.store.heads[message.batch_id])
        head = down.store.heads[message.batch_id]
        assert head.is_completed
        assert {each.verdict for each in down.answers(head).values()} == {Verdict.UNANSWERED}

    def test_a_message_of_an_old_release_waits_like_any_other(self, down: World) -> None:
        down.work(a_message(down, 3, deadline=None))
        message, _ = the_only(down)
        assert (message.away_since, message.deadline) == (START, None)


class TestAskingAgain:
    @pytest.fixture
    def due(self, world: World) -> World:
        """An outage whose next test is due."""
        world.store.outages["acme"] = DOWN
        world.clock.set(DOWN.until)
        world.behave(is_gone)
        return world

    def test_each_message_runs_one_job_first(self, due: World) -> None:
        concurrent = GroupingConcurrent()
        ports = replace(due.ports, concurrent=concurrent)
        work_in(Service(due.settings, ports), a_message(due))
        assert concurrent.groups == [1, 49]
        assert len(due.platform.calls) == 1
        message, delay = the_only(due)
        assert (len(message.indexes or ()), message.attempt, delay) == (50, 1, 60 + JITTER)

    def test_if_it_is_still_away_the_next_test_is_later(self, due: World) -> None:
        due.work(a_message(due))
        assert due.store.outages == {"acme": DOWN.still_away(DOWN.until)}

    def test_other_messages_of_that_time_make_no_call(self, due: World) -> None:
        for _ in range(3):
            work_in(another_container(due), a_message(due))
        assert len(due.platform.calls) == 1

    def test_the_time_is_moved_only_if_it_is_still_the_one_that_was_read(self, due: World) -> None:
        first, second = another_container(due), another_container(due)
        waiting = a_message(due)
        second.watch.find(waiting)  # knows the old time for five seconds
        work_in(first, a_message(due))
        due.clock.advance(seconds=4)
        work_in(second, waiting)
        assert due.store.outages == {"acme": DOWN.still_away(DOWN.until)}
        assert len(due.platform.calls) == 2
        assert [line["down_seconds"] for line in due.journal.of("platform down")] == [15]

    def test_a_call_that_began_before_that_time_does_not_move_it(self, due: World) -> None:
        due.clock.set(DOWN.until - SECOND)
        watch = due.service.watch
        watch.find(a_message(due))
        due.clock.advance(seconds=30)
        watch.note("acme", GONE, DOWN.until - SECOND)
        assert due.store.outages == {"acme": DOWN}

    def test_a_container_that_cannot_write_the_time_still_waits(
        self, due: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Otherwise, its messages would go round in circles."""

        def fail(*_: object) -> bool:
            raise Unavailable("down")

        monkeypatch.setattr(due.store, "move_outage", fail)
        due.work(a_message(due))
        assert len(due.platform.calls) == 1
        assert the_only(due)[1] == 60 + JITTER

    @pytest.mark.parametrize("status", [200, 404, 429, 500])
    def test_any_answer_ends_it_and_the_others_run_immediately(
        self, due: World, status: int
    ) -> None:
        due.behave(lambda _: Reply(status=status, body=b"{}"))
        due.work(a_message(due))
        assert due.store.outages == {}
        assert len(due.platform.calls) == 50
        [line] = due.journal.of("platform back")
        assert (line["account"], line["down_seconds"]) == ("acme", 15)

    def test_an_answer_to_a_call_that_began_before_the_outage_does_not_end_it(
        self, due: World
    ) -> None:
        watch = due.service.watch
        watch.find(a_message(due))
        for began_at in (START - SECOND, START):
            watch.note("acme", Reply(status=200), began_at)
        assert due.store.outages == {"acme": DOWN}
        watch.note("acme", Reply(status=200), START + SECOND)
        assert due.store.outages == {}

    def test_an_answer_does_not_end_an_outage_that_others_began_after_the_call(
        self, due: World
    ) -> None:
        watch = due.service.watch
        watch.find(a_message(due))
        began_at = due.clock.now()
        later = Outage.beginning(began_at + SECOND)
        due.store.outages["acme"] = later
        due.clock.advance(seconds=2)
        watch.note("acme", Reply(status=200), began_at)
        assert due.store.outages == {"acme": later}

    def test_a_redelivered_message_never_tests_the_platform(self, due: World) -> None:
        """It may kill its worker."""
        [message] = sole_jobs(due, 1)
        due.work(message, receive_count=2)
        assert due.platform.calls == []
        assert the_only(due)[1] == 15 + JITTER

    def test_a_redelivered_message_does_not_come_back_early(self, due: World) -> None:
        due.store.outages["acme"] = replace(DOWN, until=DOWN.until + 15 * MINUTE)
        [message] = sole_jobs(due, 1)
        due.work(message, receive_count=2)
        assert the_only(due)[1] == 900

    def test_after_an_outage_409_may_refer_to_our_own_earlier_call(self, due: World) -> None:
        due.work(a_message(due, 1))
        message, _ = the_only(due)
        due.clock.advance(seconds=70)
        due.behave(lambda _: Reply(status=409, body=b"{}"))
        due.work(message)
        assert due.answers(due.store.heads[message.batch_id]) == {}
        assert the_only(due)[0].attempt == 2


class TestPatience:
    """OUTAGE_MINUTES is 60."""

    def tried_at(self, world: World, message: JobsMessage, moment: datetime) -> JobsMessage:
        world.clock.set(moment)
        world.store.outages["acme"] = replace(DOWN, until=moment)
        work_in(another_container(world), message)
        return the_only(world)[0]

    def test_for_an_hour_after_it_was_first_held_up_a_job_uses_no_attempt(
        self, world: World
    ) -> None:
        world.behave(is_gone)
        message = a_message(world, 1, hops=1, away_since=START)
        last = START + HOUR - SECOND
        assert self.tried_at(world, message, last).attempt == 1

    def test_then_attempts_count_again(self, world: World) -> None:
        world.behave(is_gone)
        message = a_message(world, 1, hops=1, away_since=START)
        assert self.tried_at(world, message, START + HOUR).attempt == 2

    def test_an_action_that_only_ever_answers_503_ends(self, world: World) -> None:
        world.behave(lambda _: Reply(status=503))
        batch = world.submitted(1)
        world.work(JobsMessage.of(batch, 0))
        world.run_to_the_end()
        answer = world.answers(batch)[0]
        assert answer.verdict is Verdict.UNANSWERED
        assert "Gave up after 5 attempts: HTTP 503" in answer.response
        assert HOUR < world.clock.now() - START < 3 * HOUR

    def test_it_ends_even_with_many_jobs(self, world: World) -> None:
        """They do not wait for each other's turn to test the platform."""
        world.behave(lambda _: Reply(status=503))
        batch = world.submitted(40, chunk_size=20)
        for chunk in batch.chunks:
            world.work(JobsMessage.of(batch, chunk))
        world.run_to_the_end()
        verdicts = {answer.verdict for answer in world.answers(batch).values()}
        assert verdicts == {Verdict.UNANSWERED}
        assert HOUR < world.clock.now() - START < 2 * HOUR

    def test_such_an_action_holds_up_nothing_while_another_one_answers(self, world: World) -> None:
        """In that case the action is broken, not the platform, so its attempts count."""
        world.behave(lambda call: Reply(status=503) if call.params["n"] else None)
        world.work(a_message(world))
        assert world.store.outages == {}
        message, _ = the_only(world)
        assert (message.attempt, len(message.indexes or ())) == (2, 49)

    def test_a_container_with_an_answer_in_the_last_minute_spares_no_attempt(
        self, world: World
    ) -> None:
        watch = world.service.watch
        world.work(a_message(world, 1))
        world.clock.advance(seconds=59)
        world.store.outages["acme"] = Outage.beginning(world.clock.now() - 30 * SECOND)
        message = a_message(world, 1)
        watch.find(message)
        assert not watch.spares(message)
        world.clock.advance(seconds=1)
        assert watch.spares(message)


class TestPause:
    PAUSE = Pause(until=START + 2 * HOUR, reason="maintenance")

    def test_no_job_of_any_account_is_called(self, world: World) -> None:
        world.store.pause(self.PAUSE)
        world.work(a_message(world, 3))
        message, delay = the_only(world)
        assert world.platform.calls == []
        assert (message.attempt, message.away_since, delay) == (1, None, 900)
        [line] = world.journal.of("jobs held up")
        assert line["reason"] == "pause"

    def test_it_ends_at_its_time(self, world: World) -> None:
        world.store.pause(self.PAUSE)
        world.clock.set(self.PAUSE.until - SECOND)
        world.work(a_message(world, 3))
        message, delay = the_only(world)
        assert delay == 1 + JITTER
        world.clock.advance(seconds=delay)
        world.work(message)
        assert len(world.platform.calls) == 3

    def test_it_ends_when_an_operator_ends_it(self, world: World) -> None:
        world.store.pause(self.PAUSE)
        world.work(a_message(world, 3))
        world.store.pause(None)
        world.clock.advance(seconds=5)
        world.work(the_only(world)[0])
        assert len(world.platform.calls) == 3

    def test_an_answer_of_the_platform_does_not_end_it(self, world: World) -> None:
        world.service.watch.find(a_message(world))
        world.store.pause(self.PAUSE)
        world.service.watch.note("acme", Reply(status=200), START + SECOND)
        assert world.store.find_holds("acme").pause == self.PAUSE

    def test_a_long_message_notices_it_within_five_seconds(self, world: World) -> None:
        def take_a_second(call: Call) -> None:
            world.clock.advance(seconds=1)
            if call.params["n"] == 0:
                world.store.pause(self.PAUSE)

        world.behave(take_a_second)
        world.work(a_message(world))
        assert len(world.platform.calls) == 5
        message, delay = the_only(world)
        assert (message.indexes, message.attempt, delay) == (tuple(range(5, 50)), 1, 900)

    def test_calls_go_on_while_the_database_does_not_answer(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> Holds:
            raise Unavailable("down")

        def take_a_second(_: Call) -> None:
            world.clock.advance(seconds=1)

        monkeypatch.setattr(world.store, "find_holds", fail)
        monkeypatch.setattr(
            world.store, "find_with_holds", lambda id, _: (world.store.find(id), Holds())
        )
        world.behave(take_a_second)
        world.work(a_message(world, 10))
        assert len(world.platform.calls) == 10

    def test_callbacks_go_on(self, world: World) -> None:
        batch = world.submitted(1)
        world.work(JobsMessage.of(batch, 0))
        world.store.pause(self.PAUSE)
        world.call_back(batch)
        assert len(world.receiver.posts) == 1

    @pytest.mark.parametrize("hold", ["pause", "outage"])
    def test_a_redelivered_message_is_still_split(self, world: World, hold: str) -> None:
        """A job that kills workers is then alone when the pause is over."""
        if hold == "pause":
            world.store.pause(self.PAUSE)
        else:
            world.store.outages["acme"] = DOWN
        world.work(a_message(world, 3), receive_count=2)
        sent = world.queue.take_jobs()
        assert [(message.indexes, delay) for message, delay in sent] == [
            ((0,), 0),
            ((1,), 0),
            ((2,), 0),
        ]


class TestAllIsWell:
    def test_the_watch_costs_no_request_and_no_write_of_its_own(self) -> None:
        store = CountingStore()
        world = World(store=store)
        first, second = sole_jobs(world, 2)
        store.asked.clear()
        world.work(first)
        world.clock.advance(seconds=4)
        world.work(second)
        assert dict(store.asked) == {
            "find_with_holds": 1,  # in place of `find`
            "find": 1 + 1,  # the second message's, and one by the fake `find_with_holds`
            "find_holds": 1,  # by the fake `find_with_holds`
            "load_chunk": 2,
            "record": 2,
            "change": 3,  # one per chunk, and one for the end
        }

    def test_a_message_of_ten_seconds_reads_once_more_after_five(self) -> None:
        store = CountingStore()
        world = World(store=store)

        def take_a_second(_: Call) -> None:
            world.clock.advance(seconds=1)

        world.behave(take_a_second)
        message = a_message(world, 10)
        store.asked.clear()
        world.work(message)
        assert store.asked["find_holds"] == 1 + 1  # with the head, and after five seconds


class Queues:
    """Hands out messages when their delay is over, to the workers in turn."""

    def __init__(self, world: World, workers: int = 10) -> None:
        self.world = world
        self.workers = [another_container(world) for _ in range(workers)]
        self._waiting: list[tuple[datetime, int, JobsMessage]] = []
        self._numbers = count()

    def put(self, message: JobsMessage, delay: int = 0) -> None:
        due_at = self.world.clock.now() + delay * SECOND
        heapq.heappush(self._waiting, (due_at, next(self._numbers), message))

    def run(self) -> None:
        while self._waiting:
            due_at, number, message = heapq.heappop(self._waiting)
            self.world.clock.set(max(due_at, self.world.clock.now()))
            work_in(self.workers[number % len(self.workers)], message)
            for sent, delay in self.world.queue.take_jobs():
                self.put(sent, delay)


class TestThirtyMinutes:
    @pytest.mark.parametrize("chunk_size", [50, 1], ids=["large messages", "lone jobs"])
    def test_a_thousand_jobs_wait_and_none_fails(self, chunk_size: int) -> None:
        world = World()
        back_at = START + 30 * MINUTE
        jobs = 1_000 if chunk_size > 1 else 200
        batch = world.submitted(jobs, chunk_size=chunk_size)
        world.behave(lambda _: GONE if world.clock.now() < back_at else None)
        queues = Queues(world)
        for chunk in batch.chunks:
            queues.put(JobsMessage.of(batch, chunk))
        queues.run()
        assert {answer.verdict for answer in world.answers(batch).values()} == {Verdict.SUCCEEDED}
        assert world.head(batch).is_completed
        in_vain = len(world.platform.calls) - jobs
        per_worker = 10 + world.settings.jobs_side_by_side
        asked_again = len(world.journal.of("platform down"))
        assert in_vain <= per_worker * len(queues.workers) + asked_again * len(batch.chunks)
        assert back_at <= world.clock.now() <= back_at + 15 * MINUTE + JITTER * SECOND

    def test_a_lone_job_is_called_three_times_and_then_once_per_test_of_the_platform(self) -> None:
        world = World()
        back_at = START + 30 * MINUTE
        batch: Batch = world.submitted(1)
        world.behave(lambda _: GONE if world.clock.now() < back_at else None)
        queues = Queues(world, workers=2)
        queues.put(JobsMessage.of(batch, 0))
        queues.run()
        asked_again = len(world.journal.of("platform down")) - 1
        assert len(world.platform.calls) == 3 + asked_again + 1
        assert world.answers(batch)[0].verdict is Verdict.SUCCEEDED
