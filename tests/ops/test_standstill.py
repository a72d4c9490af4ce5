"""A batch that stands still is distinguished from one that is slow, waits, or has ended."""

from datetime import timedelta
from typing import Any

import pytest

from batchback_ops.ops.standstill import why_stuck
from chalicelib.domain import transitions
from chalicelib.domain.states import BatchState, CallbackState
from tests.fakes.clock import START
from tests.samples import a_batch

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
FIVE = 5 * MINUTE
NOW = START + 3 * HOUR
#: A running batch of 16 chunks: it was checked twice, and one chunk was done at that time.
IN_MID_LIFE: dict[str, Any] = {
    "checks": 2,
    "checked_at": NOW - 20 * MINUTE,
    "done_at_last_check": 1,
    "done": frozenset({0, 1}),
    "next_check_at": NOW + 40 * MINUTE,
    "due_at": NOW + 40 * MINUTE,
}
COMPLETED: dict[str, Any] = {
    "state": BatchState.COMPLETED,
    "completed_at": NOW - HOUR,
    "next_check_at": None,
    "due_at": None,
}
STUCK: dict[str, tuple[dict[str, Any], str]] = {
    "nobody sweeps": ({"due_at": NOW - 6 * MINUTE}, "does sweep run"),
    "it is swept, and nobody checks": ({"next_check_at": NOW - 31 * MINUTE}, "does advance_batch"),
    "it is past its deadline": (
        {"deadline": NOW - 31 * MINUTE, "next_check_at": NOW - 31 * MINUTE},
        "its deadline was 31 min ago",
    ),
    "nothing moved since the last check": (
        {"done": frozenset({0})},
        "no chunk was finished in the last 20 min: does run_jobs run",
    ),
    "nothing moved since it came in": (
        {
            "checks": 1,
            "checked_at": NOW - MINUTE,
            "done": frozenset(),
            "round_began_at": NOW - FIVE,
        },
        "no chunk was finished in the last 5 min: does run_jobs run",
    ),
    "nothing moved since it was restarted": (
        {"round": 2, "checks": 1, "checked_at": NOW - FIVE, "done": frozenset({0})},
        "does run_jobs run",
    ),
    "nothing moved since a wait was over": (
        {"done": frozenset({0}), "waits_until": NOW - 6 * MINUTE},
        "no chunk was finished in the last 6 min: does run_jobs run",
    ),
    "its callback is due, and nobody tries": (
        {**COMPLETED, "next_try_at": NOW - 31 * MINUTE, "due_at": NOW},
        "its callback was due 31 min ago: does call_back run",
    ),
}
FINE: dict[str, dict[str, Any]] = {
    "it moves": {},
    "the sweep comes each minute": {"due_at": NOW - 4 * MINUTE},
    "a reservation puts its due time off": {"next_check_at": NOW - 29 * MINUTE},
    "a message of it waits": {"done": frozenset({0}), "waits_until": NOW + MINUTE},
    "a wait of it has just ended": {"done": frozenset({0}), "waits_until": NOW - 4 * MINUTE},
    "a check just found that it had moved": {
        "checked_at": NOW - 4 * MINUTE,
        "done": frozenset({0}),
    },
    "it just came in": {
        "checks": 0,
        "checked_at": None,
        "done_at_last_check": 0,
        "done": frozenset(),
        "round_began_at": NOW - 4 * MINUTE,
    },
    "it was just restarted": {
        "round": 2,
        "checks": 0,
        "checked_at": None,
        "done_at_last_check": 0,
        "round_began_at": NOW - FIVE,
    },
    "its callback waits its turn": {**COMPLETED, "next_try_at": NOW - 29 * MINUTE},
    "its callback waits for the next try": {**COMPLETED, "next_try_at": NOW + HOUR},
    "its callback is delivered": {**COMPLETED, "callback": CallbackState.DELIVERED},
    "its callback has failed": {**COMPLETED, "callback": CallbackState.FAILED},
}


@pytest.mark.parametrize(("fields", "reason"), STUCK.values(), ids=STUCK)
def test_a_batch_that_stands_still_says_why(fields: dict[str, Any], reason: str) -> None:
    said = why_stuck(a_batch(16, **{**IN_MID_LIFE, **fields}), NOW)
    assert said is not None
    assert reason in said


@pytest.mark.parametrize("fields", FINE.values(), ids=FINE)
def test_any_other_batch_is_not_reported(fields: dict[str, Any]) -> None:
    assert why_stuck(a_batch(16, **{**IN_MID_LIFE, **fields}), NOW) is None


def test_a_batch_that_was_just_submitted_is_not_reported() -> None:
    assert why_stuck(a_batch(), START) is None


def test_a_restart_is_judged_from_its_own_start() -> None:
    """What was true of the earlier round does not count."""
    ended = a_batch(16, **{**IN_MID_LIFE, **COMPLETED})
    restarted = transitions.restart(ended, "token", NOW, 12 * HOUR).put
    again: dict[str, Any] = {
        name: value for name, value in restarted.items() if name in {*IN_MID_LIFE, "round"}
    }
    assert why_stuck(a_batch(16, **{**IN_MID_LIFE, **again, "done": frozenset({0})}), NOW) is None
