"""A small `make load`: its goals are met, and each of them can be missed."""

import pytest

from chalicelib.domain.batch import Batch
from chalicelib.operations.check_batch import BatchChecker
from chalicelib.operations.hand_over import Handover
from chalicelib.operations.run_jobs import JobRunner
from chalicelib.operations.watch_platform import PlatformWatch
from tests.trials.load.__main__ import missed, outcomes
from tests.trials.load.cases import Case, cases
from tests.trials.load.queues import FairQueue
from tests.trials.load.trouble import (
    FAILED_PUTS,
    FAILING_WRITES,
    IMPATIENCE,
    NONE,
    OUTAGE,
    Trouble,
)

#: The share of the full work that these tests do.
LITTLE = 1 / 50


def faults(some: list[Case]) -> str:
    """The goals that were missed."""
    return "\n".join(
        fault for case, outcome, calm in outcomes(some) for fault in missed(case, outcome, calm)
    )


def cases_of(*troubles: Trouble) -> list[Case]:
    return [case for case in cases(LITTLE) if case.trouble in troubles]


def test_every_goal_is_met() -> None:
    assert faults(cases(LITTLE)) == ""


def test_the_same_work_gives_the_same_figures() -> None:
    first, second = (
        [(outcome.seen, outcome.seconds) for _, outcome, _ in outcomes(cases_of(FAILING_WRITES))]
        for _ in range(2)
    )
    assert first == second


def test_errors_mistaken_for_deaths_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_: Handover, __: object, error: Exception, **___: object) -> None:
        raise error

    monkeypatch.setattr(Handover, "jobs_after_error", die)
    monkeypatch.setattr(JobRunner, "_record_if_possible", JobRunner._record)
    told = faults(cases_of(NONE, FAILED_PUTS))
    assert "521 invocations instead of 11" in told
    assert "it took 371" in told


def test_an_unnoticed_outage_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlatformWatch, "_begin", lambda *_: None)
    told = faults(cases_of(OUTAGE))
    assert "400 jobs failed" in told
    assert "2000 calls found the platform away" in told


def test_a_wait_mistaken_for_a_standstill_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def send_again(checker: BatchChecker, batch: Batch) -> None:
        checker._send_again("chunks sent again", batch)

    monkeypatch.setattr(Batch, "waits", lambda *_: False)
    monkeypatch.setattr(BatchChecker, "_look_for_a_standstill", send_again)
    assert "the job was called" in faults(cases_of(IMPATIENCE))


def test_an_unfair_queue_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def oldest(queue: FairQueue, account: str) -> tuple[bool, int]:
        return False, queue._visible[account][0].number

    monkeypatch.setattr(FairQueue, "_turn", oldest)
    behind = [case for case in cases(1 / 4) if case.load.small_batches > 1]
    assert "a small batch took" in faults(behind[:1])
