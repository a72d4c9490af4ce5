"""What the console offers to do with a batch, judged by its head."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from batchback_console.offers import offer, offers
from chalicelib.domain.batch import Batch, Counts
from chalicelib.domain.states import BatchState, CallbackState
from tests.fakes.clock import START
from tests.samples import a_batch

LATER = START + timedelta(hours=1)


def running(**fields: Any) -> Batch:
    return a_batch(10, **fields)


def ended(succeeded: int = 7, failed: int = 3, unanswered: int = 2, **fields: Any) -> Batch:
    """`failed` includes the unanswered ones."""
    return replace(
        a_batch(10),
        **{
            "state": BatchState.COMPLETED,
            "completed_at": LATER,
            "counts": Counts(succeeded=succeeded, failed=failed - unanswered),
            "unanswered_counts": Counts(failed=unanswered, unanswered=unanswered),
            "next_check_at": None,
            "callback": CallbackState.DELIVERED,
            **fields,
        },
    )


def effect(name: str, batch: Batch) -> str:
    found = offer(name, batch, LATER)
    assert found.may, found.effect
    return found.effect


def why_not(name: str, batch: Batch) -> str:
    found = offer(name, batch, LATER)
    assert not found.may, found.effect
    return found.effect


def test_every_batch_is_offered_every_action() -> None:
    for batch in (running(), ended(), ended(callback=CallbackState.NONE)):
        assert [each.name for each in offers(batch, LATER)] == [
            "restart",
            "repost",
            "cancel",
            "rerunFailed",
        ]


class TestRestart:
    def test_it_counts_what_runs_again_and_what_does_not(self) -> None:
        assert effect("restart", ended()) == (
            "Reruns the 2 jobs whose call never got an answer. The failed job keeps its "
            "answer. Then the callback is sent again."
        )

    def test_it_leaves_out_what_is_zero(self) -> None:
        batch = ended(succeeded=9, failed=1, unanswered=1, callback=CallbackState.NONE)
        assert effect("restart", batch) == ("Reruns the one job whose call never got an answer.")

    def test_thousands_are_readable(self) -> None:
        told = effect("restart", ended(failed=5_555, unanswered=1_234))
        assert "Reruns the 1,234 jobs" in told
        assert "The 4,321 failed jobs keep their answers." in told

    @pytest.mark.parametrize(
        ("batch", "reason"),
        [
            (ended(unanswered=0), "Every job got an answer, so there is nothing to run again."),
            (running(cancelled=True), "The batch is being cancelled."),
            (
                running(stopped=True),
                "The batch is being stopped, because more jobs failed than `maxFailed`.",
            ),
            (
                ended(expires_at=LATER + timedelta(minutes=119)),
                "It expires at {2026-11-23T17:48:07.000Z}, too soon to run jobs again.",
            ),
            (
                running(expires_at=LATER + timedelta(minutes=119)),
                "It expires at {2026-11-23T17:48:07.000Z}, too soon to run jobs again.",
            ),
            (
                running(waits_until=LATER + timedelta(minutes=1)),
                "Its jobs wait until {2026-11-23T15:50:07.000Z}: a check would change nothing.",
            ),
            (
                running(checked_at=LATER - timedelta(minutes=4)),
                (
                    "It was checked at {2026-11-23T15:45:07.000Z}: check it again at "
                    "{2026-11-23T15:50:07.000Z}."
                ),
            ),
        ],
    )
    def test_it_says_why_it_is_not_possible(self, batch: Batch, reason: str) -> None:
        assert why_not("restart", batch) == reason

    def test_a_running_batch_is_checked(self) -> None:
        batch = running(checked_at=LATER - timedelta(minutes=5))
        assert "No job that has an answer runs again." in effect("restart", batch)
        assert [offer("restart", each, LATER).title for each in (batch, ended())] == [
            "Check now",
            "Restart",
        ]


class TestRepost:
    @pytest.mark.parametrize(
        ("fields", "begins"),
        [
            ({}, "Sends the callback again, although the receiver accepted it. "),
            ({"callback": CallbackState.FAILED}, "Sends the callback again. "),
            (
                {
                    "callback": CallbackState.WAITING,
                    "next_try_at": LATER + timedelta(minutes=30),
                },
                "Sends the callback now instead of at {2026-11-23T16:19:07.000Z}. ",
            ),
            (
                {
                    "callback": CallbackState.WAITING,
                    "next_try_at": LATER - timedelta(minutes=2),
                },
                "Sends the callback again. ",
            ),
        ],
    )
    def test_it_says_what_the_receiver_will_see(self, fields: Any, begins: str) -> None:
        assert effect("repost", ended(**fields)) == f"{begins}There are up to 8 attempts."

    @pytest.mark.parametrize(
        ("batch", "reason"),
        [
            (running(), "The batch is still running: its callback is sent when it ends."),
            (running(callback=CallbackState.NONE), "The batch has no callback URL."),
            (ended(callback=CallbackState.NONE), "The batch has no callback URL."),
            (
                ended(lease="t", lease_ends_at=LATER + timedelta(seconds=1)),
                "The callback is being sent now.",
            ),
            (
                ended(callback=CallbackState.WAITING, next_try_at=LATER),
                "The callback is being sent now.",
            ),
        ],
    )
    def test_it_says_why_it_is_not_possible(self, batch: Batch, reason: str) -> None:
        assert why_not("repost", batch) == reason


class TestCancel:
    def test_it_counts_the_jobs_that_will_not_be_called(self) -> None:
        batch = running(counts=Counts(succeeded=3))
        assert effect("cancel", batch) == (
            "Ends the batch: up to 7 jobs without an answer will not be called. Calls in "
            "progress are finished, and answers are kept. Then the callback is sent."
        )

    @pytest.mark.parametrize(
        ("batch", "reason"),
        [
            (ended(), "The batch has ended: it is completed."),
            (ended(cancelled=True), "The batch has ended: it is cancelled."),
            (ended(stopped=True), "The batch has ended: it is stopped."),
            (running(cancelled=True), "The batch is being cancelled."),
            (
                running(stopped=True),
                "The batch is being stopped, because more jobs failed than `maxFailed`.",
            ),
        ],
    )
    def test_it_says_why_it_is_not_possible(self, batch: Batch, reason: str) -> None:
        assert why_not("cancel", batch) == reason


class TestRerunFailed:
    def test_it_counts_the_jobs_of_the_new_batch(self) -> None:
        assert effect("rerunFailed", ended(max_failed=2)) == (
            "Submits the 3 jobs that did not succeed as a new batch, with the same callback, "
            "label, metadata and deadline. Of these, 2 never got an answer. `maxFailed` is left "
            "out. This batch stays as it is."
        )

    @pytest.mark.parametrize(
        ("batch", "reason"),
        [
            (
                running(),
                "The batch is still running: its failed jobs can be run again when it ends.",
            ),
            (ended(failed=0, unanswered=0), "No job failed."),
        ],
    )
    def test_it_says_why_it_is_not_possible(self, batch: Batch, reason: str) -> None:
        assert why_not("rerunFailed", batch) == reason


EVERY = ["restart", "repost", "cancel", "rerunFailed"]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"submission": "0" * 32}, EVERY),
        ({"round": 2}, EVERY),
        ({"state": BatchState.COMPLETED}, ["restart"]),
        ({"callback": CallbackState.DELIVERED}, ["repost"]),
        ({"callback_round": 2}, ["repost"]),
        ({"counts": Counts(succeeded=3), "done": frozenset({0})}, []),
    ],
)
def test_what_was_seen_differs_if_the_action_would_do_something_else(
    fields: Any, names: list[str]
) -> None:
    before, after = (
        {each.name: each.seen for each in offers(batch, LATER)}
        for batch in (running(), running(**fields))
    )
    assert [name for name in EVERY if before[name] != after[name]] == names
