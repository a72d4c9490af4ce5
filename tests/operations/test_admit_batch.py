"""An account's limits, from the first batch to the one that is refused and back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from chalicelib.domain.batch import Batch
from chalicelib.domain.limits import BETWEEN_PRUNINGS, GRACE, MINUTE, AccountUsage, Limits, Slot
from chalicelib.domain.outcome import Reply
from chalicelib.domain.states import BatchState
from chalicelib.domain.submission import Submission
from chalicelib.errors import NotSaved, OutcomeUnknown, TooManyRequests, Unavailable
from tests.fakes.clock import START
from tests.operations.world import World, failing
from tests.samples import DEMO_CALLER, a_batch, some_jobs

ACCOUNT = DEMO_CALLER.account
SECOND = timedelta(seconds=1)
USAGE_CALLS = ["admit", "undo_admission", "vacate", "reserve_pruning", "find_all"]


class Service(World):
    """The whole service in memory, with limits."""

    def __init__(self, **limits: int) -> None:
        super().__init__(limits=Limits(**limits))
        self.rerun = self.service.rerunner

    def submit(self, jobs: int = 1, key: str | None = None) -> str:
        submission = Submission(jobs=some_jobs(jobs), callback_url="https://example.com/cb")
        submitted = self.service.submitter.submit_batch(DEMO_CALLER, submission, b"{}", key)
        return submitted.batch_id

    def refused(self, jobs: int = 1, key: str | None = None) -> TooManyRequests:
        """The refusal of a batch. Nothing of the batch is stored."""
        before = self.store.copy()
        with pytest.raises(TooManyRequests) as refused:
            self.submit(jobs, key)
        for of in ("heads", "terms", "jobs"):
            assert getattr(self.store, of) == getattr(before, of)
        assert self.usage.open == before.usages[ACCOUNT].open
        assert self.usage.paid_until == before.usages[ACCOUNT].paid_until
        return refused.value

    @property
    def usage(self) -> AccountUsage:
        return self.store.usages[ACCOUNT]

    def found(self, batch_id: str) -> Batch:
        head = self.store.find(batch_id)
        assert head is not None
        return head


@dataclass
class Counted:
    """A call that counts how often it was made."""

    call: Callable[..., Any]
    made: int = 0

    def __call__(self, *args: Any) -> Any:
        self.made += 1
        return self.call(*args)


def counted(service: Service, name: str, monkeypatch: pytest.MonkeyPatch) -> Counted:
    counting = Counted(getattr(service.store, name))
    monkeypatch.setattr(service.store, name, counting)
    return counting


class TestOff:
    def test_without_limits_admission_costs_no_request(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service()
        calls = [counted(service, name, monkeypatch) for name in USAGE_CALLS]
        service.behave(lambda _: Reply(status=500))
        batch_id = service.submit()
        service.run_to_the_end()
        service.rerun.restart(DEMO_CALLER, batch_id)
        service.run_to_the_end()
        assert service.found(batch_id).round == 2
        assert [call.made for call in calls] == [0] * len(calls)
        monkeypatch.setattr(service.store, "save_jobs", _down)
        with pytest.raises(NotSaved):
            service.submit()
        assert [call.made for call in calls] == [0] * len(calls)


def _down(*_: object) -> NoReturn:
    raise Unavailable("down")


class TestOpenBatches:
    def test_one_more_than_the_limit_is_refused_with_a_retry_after(self) -> None:
        service = Service(open_batches=2)
        for _ in range(2):
            service.submit()
        refused = service.refused()
        assert (refused.error_code, refused.specific_code) == (429, 0)
        assert refused.message == "Too many requests: the account's limit for open batches is 2"
        assert refused.retry_after == 10
        [line] = service.journal.of("batch refused")
        assert line == {
            "event": "batch refused",
            "account": ACCOUNT,
            "limit": "open batches",
            "retry_after": 10,
        }

    @pytest.mark.parametrize("how", ["completed", "cancelled", "past its deadline"])
    def test_a_batch_that_ends_makes_room_immediately(
        self, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=1)
        if how == "past its deadline":
            service.behave(lambda _: Reply(status=500))
        batch_id = service.submit()
        if how == "cancelled":
            service.rerun.cancel(DEMO_CALLER, batch_id)
        service.run_to_the_end()
        assert service.found(batch_id).is_completed
        assert service.usage.open == frozenset()
        pruning = counted(service, "reserve_pruning", monkeypatch)
        service.submit()
        assert pruning.made == 0

    def test_other_accounts_are_not_affected(self) -> None:
        service = Service(open_batches=1)
        service.submit()
        other = a_batch(account="other")
        service.service.admission.admit(other, other.total)
        assert service.store.usages["other"].open == {Slot.of(other)}

    def test_a_repeated_submission_is_answered_and_neither_counted_nor_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=1, jobs_per_minute=1)
        batch_id = service.submit(key="once")
        admit = counted(service, "admit", monkeypatch)
        assert service.submit(key="once") == batch_id
        assert admit.made == 0

    def test_if_freeing_a_slot_fails_the_batch_ends_and_the_next_one_finds_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=1)
        failing(monkeypatch, service.store, "vacate", times=1)
        batch_id = service.submit()
        service.run_to_the_end()
        assert service.found(batch_id).is_completed
        assert len(service.receiver.posts) == 1
        assert len(service.journal.of("slot kept")) == 1
        assert len(service.usage.open) == 1
        service.submit()
        assert len(service.usage.open) == 1

    def test_an_expired_batch_makes_room(self) -> None:
        service = Service(open_batches=1)
        service.submit()
        service.clock.advance(hours=60)
        service.submit()

    def test_a_batch_being_submitted_keeps_its_slot_for_the_grace_period(self) -> None:
        """The function that admitted it may be about to commit it, or may be dead."""
        service = Service(open_batches=1)
        service.service.admission.admit(a_batch(submission="on its way"), 1)
        service.clock.advance(seconds=GRACE.total_seconds() - 1)
        service.refused()
        service.clock.advance(seconds=BETWEEN_PRUNINGS.total_seconds())
        service.submit()

    def test_many_refusals_read_the_batches_only_once_in_ten_seconds(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=3)
        for _ in range(3):
            service.submit()
        reads = counted(service, "find_all", monkeypatch)
        for second in range(25):
            service.clock.set(START + second * SECOND)
            service.refused()
        assert reads.made == 3

    def test_if_two_find_all_slots_taken_only_one_prunes_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=1)
        service.submit()
        reads = counted(service, "find_all", monkeypatch)
        monkeypatch.setattr(service.store, "reserve_pruning", lambda *_: False)
        service.refused()
        assert reads.made == 0


class TestNotSaved:
    """No job of the batch will run, so it costs nothing."""

    @pytest.fixture
    def service(self) -> Service:
        service = Service(open_batches=1, jobs_per_minute=60)
        service.submit(3)
        service.run_to_the_end()
        assert service.usage == AccountUsage(paid_until=START + 3 * SECOND)
        return service

    @pytest.mark.parametrize("call", ["save_jobs", "commit"])
    def test_slot_and_charge_are_given_back(
        self, service: Service, call: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing(monkeypatch, service.store, call, times=1)
        with pytest.raises(NotSaved):
            service.submit(5)
        assert service.usage == AccountUsage(paid_until=START + 3 * SECOND)
        service.submit(57)

    @pytest.mark.parametrize("takes_effect", [True, False])
    def test_they_are_given_back_even_if_the_outcome_of_the_admission_is_unknown(
        self, service: Service, takes_effect: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing(monkeypatch, service.store, "admit", times=1, takes_effect=takes_effect)
        with pytest.raises(NotSaved):
            service.submit(5)
        assert service.usage == AccountUsage(paid_until=START + 3 * SECOND)

    def test_if_that_fails_too_the_slot_is_free_after_the_grace_period(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing(monkeypatch, service.store, "save_jobs", times=1)
        failing(monkeypatch, service.store, "undo_admission", times=1)
        with pytest.raises(NotSaved):
            service.submit()
        assert len(service.journal.of("slot kept")) == 1
        service.refused()
        service.clock.advance(seconds=GRACE.total_seconds())
        service.submit()

    def test_a_batch_that_may_have_been_saved_keeps_its_slot(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = failing(monkeypatch, service.store, "commit", times=1, takes_effect=True)
        failing(monkeypatch, service.store, "void", times=1)
        with pytest.raises(OutcomeUnknown):
            service.submit()
        assert service.usage.open == {Slot.of(commit.arguments[0])}
        service.clock.advance(seconds=GRACE.total_seconds())
        service.refused()

    def test_the_later_of_two_submissions_with_one_key_pays_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Both find no batch with the key, and both are admitted."""
        service = Service(open_batches=2, jobs_per_minute=60)
        find, save_jobs = service.store.find, service.store.save_jobs

        def overtaken(*args: Any) -> None:
            monkeypatch.setattr(service.store, "save_jobs", save_jobs)
            monkeypatch.setattr(service.store, "find", find)
            overtaker.append(service.submit(key="once"))
            save_jobs(*args)

        overtaker: list[str] = []
        monkeypatch.setattr(service.store, "save_jobs", overtaken)
        monkeypatch.setattr(service.store, "find", lambda _: None)
        assert [service.submit(key="once")] == overtaker
        [head] = service.store.heads.values()
        assert service.usage == AccountUsage(
            open=frozenset({Slot.of(head)}), paid_until=START + SECOND
        )


class TestJobsPerMinute:
    def test_more_than_a_minutes_worth_is_refused_with_a_retry_after(self) -> None:
        service = Service(jobs_per_minute=60)
        service.submit(50)
        refused = service.refused(25)
        assert refused.message == "Too many requests: the account's limit for jobs a minute is 60"
        assert refused.retry_after == 15
        service.clock.advance(seconds=14)
        assert service.refused(25).retry_after == 1
        service.clock.advance(seconds=1)
        service.submit(25)

    def test_retry_after_is_in_whole_seconds_and_never_too_short(self) -> None:
        service = Service(jobs_per_minute=7)
        service.submit(7)
        refused = service.refused()
        assert refused.retry_after == 9  # a seventh of a minute is 8.57 s
        service.clock.advance(seconds=9)
        service.submit()

    def test_a_batch_larger_than_a_minutes_worth_is_admitted_once_earlier_ones_are_paid(
        self,
    ) -> None:
        service = Service(jobs_per_minute=60)
        service.submit(200)
        assert service.refused(200).retry_after == 200
        assert service.refused(1).retry_after == 141
        service.clock.advance(seconds=200)
        service.submit(200)

    def test_a_batch_refused_for_lack_of_a_slot_is_charged_nothing(self) -> None:
        service = Service(open_batches=1, jobs_per_minute=60)
        service.submit(1)
        assert "open batches" in service.refused(1).message
        assert service.usage.paid_until == START + SECOND

    def test_if_both_limits_are_reached_the_wait_that_is_known_is_returned(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=1, jobs_per_minute=60)
        service.submit(60)
        pruning = counted(service, "reserve_pruning", monkeypatch)
        assert service.refused(30).retry_after == 30
        assert pruning.made == 0

    def test_ending_a_batch_costs_nothing_if_only_jobs_are_limited(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(jobs_per_minute=60)
        vacate = counted(service, "vacate", monkeypatch)
        service.submit()
        service.run_to_the_end()
        assert vacate.made == 0
        assert len(service.usage.open) == 1


class TestRequests:
    """One more request than without limits, for every admitted batch."""

    def test_a_container_that_knows_the_account_writes_once_per_batch(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=9, jobs_per_minute=60)
        admit = counted(service, "admit", monkeypatch)
        for second in (0, 1, 2, 300):
            service.clock.set(START + second * SECOND)
            service.submit(5)
        assert admit.made == 4

    def test_a_container_that_does_not_know_the_account_writes_at_most_twice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=9, jobs_per_minute=60)
        service.submit(5)
        for wrong in (None, START + MINUTE):
            admit = counted(service, "admit", monkeypatch)
            service.service.admission.heard[ACCOUNT] = wrong
            service.submit(5)
            assert admit.made <= 2

    def test_an_admission_that_keeps_losing_the_race_gives_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(open_batches=9)
        admit = counted(service, "admit", monkeypatch)
        admit.call = lambda *_: AccountUsage()
        with pytest.raises(NotSaved):
            service.submit()
        assert admit.made == 5

    def test_a_refusal_writes_nothing_and_costs_at_most_one_more_request(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(jobs_per_minute=60)
        service.submit(60)
        admit = counted(service, "admit", monkeypatch)
        service.refused()
        assert admit.made == 1


class TestRestart:
    """A restart begins a round, as a submission does."""

    @pytest.fixture
    def service(self) -> Service:
        return Service(open_batches=1, jobs_per_minute=60)

    @pytest.fixture
    def half_done(self, service: Service) -> str:
        """A completed batch with two jobs, the first of which never got an answer."""
        service.behave(lambda call: Reply(status=500) if call.params["n"] == 0 else None)
        batch_id = service.submit(2)
        service.run_to_the_end()
        service.clock.advance(minutes=10)
        service.behave(lambda _: None)
        return batch_id

    def test_it_takes_a_slot_and_pays_for_the_jobs_that_run_again(
        self, service: Service, half_done: str
    ) -> None:
        service.rerun.restart(DEMO_CALLER, half_done)
        head = service.found(half_done)
        assert service.usage.open == {Slot.of(head)}
        assert service.usage.paid_until == service.clock.now() + SECOND
        service.refused()
        service.run_to_the_end()
        assert service.usage.open == frozenset()

    def test_it_pays_for_no_job_that_keeps_its_answer(self, service: Service) -> None:
        """Two of eight jobs never got an answer; their chunks hold two more jobs."""
        service.behave(lambda call: Reply(status=500) if call.params["n"] in (0, 5) else None)
        batch_id = service.submit(8)
        service.run_to_the_end()
        service.clock.advance(minutes=10)
        calls = len(service.platform.calls)
        service.rerun.restart(DEMO_CALLER, batch_id)
        assert service.usage.paid_until == service.clock.now() + 2 * SECOND
        service.behave(lambda _: None)
        service.run_to_the_end()
        assert len(service.platform.calls) == calls + 2

    def test_freeing_the_previous_rounds_slot_late_leaves_the_new_rounds_slot(
        self, service: Service, half_done: str
    ) -> None:
        ended = service.found(half_done)
        service.rerun.restart(DEMO_CALLER, half_done)
        service.service.admission.leave(ended)
        assert service.usage.open == {Slot.of(service.found(half_done))}

    def test_over_the_limit_it_is_refused_and_the_batch_does_not_change(
        self, service: Service, half_done: str
    ) -> None:
        service.submit()
        before = service.found(half_done)
        with pytest.raises(TooManyRequests):
            service.rerun.restart(DEMO_CALLER, half_done)
        assert service.found(half_done) == before

    def test_a_restart_whose_answer_was_lost_keeps_its_slot(
        self, service: Service, half_done: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The database client repeats the write, and the repeat finds it done."""
        change = service.store.change

        def repeated(*args: Any) -> Any:
            change(*args)
            return change(*args)

        monkeypatch.setattr(service.store, "change", repeated)
        service.rerun.restart(DEMO_CALLER, half_done)
        assert service.usage.open == {Slot.of(service.found(half_done))}

    def test_a_restart_that_lost_a_race_gives_back_slot_and_charge(
        self, service: Service, half_done: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change = service.store.change

        def overtaken(*args: Any) -> Any:
            monkeypatch.setattr(service.store, "change", change)
            service.rerun.repost(DEMO_CALLER, half_done)
            service.store.heads[half_done] = _in_another_round(service.found(half_done))
            return change(*args)

        monkeypatch.setattr(service.store, "change", overtaken)
        service.rerun.restart(DEMO_CALLER, half_done)
        assert service.found(half_done).round == 8
        assert service.usage.open == frozenset()
        assert service.usage.paid_until == service.clock.now()

    def test_an_action_that_begins_no_round_is_not_limited(
        self, service: Service, half_done: str
    ) -> None:
        running = service.submit()
        service.rerun.repost(DEMO_CALLER, half_done)
        service.clock.advance(minutes=10)
        service.rerun.restart(DEMO_CALLER, running)
        service.rerun.cancel(DEMO_CALLER, running)
        assert len(service.usage.open) == 1


def _in_another_round(batch: Batch) -> Batch:
    return replace(batch, round=8, state=BatchState.RUNNING)


def test_a_wait_is_at_least_one_second() -> None:
    assert [TooManyRequests("", 1, wait).retry_after for wait in (0, 0.2, 1, 1.01)] == [1, 1, 1, 2]
