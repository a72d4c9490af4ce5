"""The limits of an account: when a batch is admitted, and how long a refused one waits."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chalicelib.domain.limits import (
    BETWEEN_PRUNINGS,
    GRACE,
    MINUTE,
    AccountUsage,
    Charge,
    Limits,
    Slot,
)
from chalicelib.domain.states import BatchState
from tests.fakes.clock import START
from tests.fakes.dynamodb import FakeBatchStore
from tests.samples import a_batch

SECOND = timedelta(seconds=1)
CONFIG = Path(__file__).parents[2] / ".chalice" / "config.json"


class TestSlots:
    def test_a_running_round_keeps_its_slot(self) -> None:
        batch = a_batch()
        assert not Slot.of(batch).is_abandoned(batch, START + timedelta(hours=11))

    def test_a_round_that_has_ended_or_expired_loses_its_slot(self) -> None:
        batch = a_batch()
        completed = replace(batch, state=BatchState.COMPLETED)
        assert Slot.of(batch).is_abandoned(completed, START)
        assert Slot.of(batch).is_abandoned(batch, batch.expires_at)

    @pytest.mark.parametrize(
        "standing",
        [
            None,
            a_batch(submission="another"),
            a_batch(round=2),
            a_batch(round_began_at=START - SECOND),
            a_batch(submission="another", state=BatchState.COMPLETED),
        ],
        ids=["nothing", "another-submission", "another-round", "another-try", "an-ended-one"],
    )
    def test_a_round_that_is_not_stored_yet_has_time_to_arrive(self, standing: object) -> None:
        slot = Slot.of(a_batch())
        assert not slot.is_abandoned(standing, START + GRACE - SECOND)  # type: ignore[arg-type]
        assert slot.is_abandoned(standing, START + GRACE)  # type: ignore[arg-type]

    def test_a_restart_takes_a_new_slot(self) -> None:
        batch = a_batch()
        assert Slot.of(replace(batch, round=2)) != Slot.of(batch)
        assert Slot.of(replace(batch, round_began_at=START + SECOND)) != Slot.of(batch)

    def test_the_grace_is_longer_than_the_timeout_of_the_admitting_function(self) -> None:
        timeout = json.loads(CONFIG.read_text("utf-8"))["lambda_functions"]["api_handler"][
            "lambda_timeout"
        ]
        assert 2 * timedelta(seconds=timeout) <= GRACE

    def test_slots_are_pruned_at_intervals(self) -> None:
        assert AccountUsage().may_be_pruned(START)
        pruned = AccountUsage(pruned_at=START)
        assert not pruned.may_be_pruned(START + BETWEEN_PRUNINGS - SECOND)
        assert pruned.may_be_pruned(START + BETWEEN_PRUNINGS)


class TestOpenBatches:
    @pytest.mark.parametrize(("limit", "is_full"), [(0, False), (1, True), (2, True), (3, False)])
    def test_a_batch_waits_if_all_slots_are_taken(self, limit: int, is_full: bool) -> None:
        usage = AccountUsage(open=frozenset({Slot.of(a_batch()), Slot.of(a_batch(round=2))}))
        wait = Limits(open_batches=limit).wait_for_a_slot(usage)
        assert wait == (BETWEEN_PRUNINGS if is_full else None)

    def test_an_admission_requires_a_free_slot(self) -> None:
        slot = Slot.of(a_batch())
        admission = Limits(open_batches=7).admission(slot, 3, None)
        assert (admission.slot, admission.fewer_than, admission.charge) == (slot, 7, None)

    def test_without_a_limit_an_admission_requires_nothing(self) -> None:
        assert Limits(jobs_per_minute=1).admission(Slot.of(a_batch()), 3, None).fewer_than is None

    def test_limits_are_off_if_both_are_off(self) -> None:
        assert Limits().are_off
        assert not Limits(open_batches=1).are_off
        assert not Limits(jobs_per_minute=1).are_off


class TestJobsPerMinute:
    def test_each_job_costs_its_share_of_a_minute(self) -> None:
        assert charge(limit=60, jobs=1).cost == SECOND
        assert charge(limit=600, jobs=200).cost == 20 * SECOND
        assert charge(limit=1_000_000, jobs=1).cost == timedelta(microseconds=60)
        assert charge(limit=60, jobs=0).cost == timedelta()

    @pytest.mark.parametrize("paid_until", [None, START - timedelta(days=1), START])
    def test_any_batch_is_admitted_if_nothing_is_to_be_paid(
        self, paid_until: datetime | None
    ) -> None:
        assert charge(limit=1, jobs=10_000, paid_until=paid_until).no_later_than is None
        assert wait(limit=1, jobs=10_000, paid_until=paid_until) is None

    def test_a_batch_is_admitted_if_its_cost_fits_in_the_rest_of_the_minute(
        self,
    ) -> None:
        paid_until = START + 40 * SECOND
        assert charge(limit=60, jobs=20, paid_until=paid_until).no_later_than == paid_until
        assert wait(limit=60, jobs=20, paid_until=paid_until) is None
        assert wait(limit=60, jobs=21, paid_until=paid_until) == SECOND
        assert wait(limit=60, jobs=60, paid_until=paid_until) == 40 * SECOND

    def test_a_batch_larger_than_a_minutes_worth_waits_until_everything_is_paid(self) -> None:
        paid_until = START + 5 * MINUTE
        assert wait(limit=60, jobs=61, paid_until=paid_until) == 5 * MINUTE
        assert wait(limit=60, jobs=10_000, paid_until=paid_until) == 5 * MINUTE

    def test_a_batch_is_admitted_exactly_after_the_announced_wait(self) -> None:
        paid_until = START + 59 * SECOND
        for jobs in (1, 30, 59, 60, 61, 200):
            told = wait(limit=60, jobs=jobs, paid_until=paid_until)
            if told is not None:
                after = START + told
                assert wait(limit=60, jobs=jobs, paid_until=paid_until, now=after) is None
                early = after - timedelta(milliseconds=1)
                assert wait(limit=60, jobs=jobs, paid_until=paid_until, now=early)

    def test_in_the_long_run_an_account_gets_a_minutes_worth_plus_the_rate(self) -> None:
        """An account submits 7 jobs again and again for ten minutes."""
        limits = Limits(jobs_per_minute=100)
        store = FakeBatchStore()
        got, paid_until = 0, None
        for second in range(600):
            now = START + second * SECOND
            slot = Slot.of(a_batch(round_began_at=now))
            usage = store.admit("acme", limits.admission(slot, 7, paid_until))
            got += 7 if slot in usage.open else 0
            paid_until = usage.paid_until
        assert 1_000 <= got <= 1_100

    @pytest.mark.parametrize("jobs", [1, 40, 100, 250])
    def test_the_write_and_the_wait_agree(self, jobs: int) -> None:
        """A caller that is neither admitted nor asked to wait would retry forever."""
        limits = Limits(jobs_per_minute=100)
        for ahead in range(0, 70_000, 333):
            paid_until = START + timedelta(milliseconds=ahead)
            usage = AccountUsage(paid_until=paid_until)
            store = FakeBatchStore()
            store.usages["acme"] = usage
            slot = Slot.of(a_batch())
            after = store.admit("acme", limits.admission(slot, jobs, paid_until))
            is_in = slot in after.open
            assert is_in == (limits.wait_for_jobs(usage, jobs, START) is None)


def charge(*, limit: int, jobs: int, paid_until: datetime | None = None) -> Charge:
    limits = Limits(jobs_per_minute=limit)
    charge = limits.admission(Slot.of(a_batch()), jobs, paid_until).charge
    assert charge is not None
    return charge


def wait(
    *, limit: int, jobs: int, paid_until: datetime | None, now: datetime = START
) -> timedelta | None:
    limits = Limits(jobs_per_minute=limit)
    return limits.wait_for_jobs(AccountUsage(paid_until=paid_until), jobs, now)
