"""What messages contain, and when they are still of use."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.batch import AnswersPart, Chunk
from chalicelib.domain.message import BatchMessage, JobsMessage, Sentinel
from chalicelib.domain.states import BatchState
from tests.fakes.clock import START
from tests.samples import a_batch, some_jobs, succeeded, unanswered

MESSAGE = JobsMessage(
    batch_id="a",
    account="acme",
    submission="b",
    round=2,
    chunk=3,
    indexes=(7, 8, 9),
    attempt=2,
)


class TestJobsMessage:
    def test_the_first_message_of_a_chunk_is_for_all_of_it(self) -> None:
        batch = a_batch(round=4)
        assert JobsMessage.of(batch, 2) == JobsMessage(
            batch_id=batch.batch_id,
            account=batch.account,
            submission=batch.submission,
            round=4,
            chunk=2,
            indexes=None,
            attempt=1,
            hops=0,
            errors=0,
            deadline=batch.deadline,
        )

    def test_jobs_that_were_not_started_continue_as_the_same_attempt(self) -> None:
        assert MESSAGE.handed_on([8, 9]) == replace(MESSAGE, indexes=(8, 9), attempt=2, hops=1)

    def test_jobs_that_failed_temporarily_continue_as_the_next_attempt(self) -> None:
        after = MESSAGE.handed_on([7], next_attempt=True)
        assert (after.indexes, after.attempt, after.hops) == ((7,), 3, 1)
        assert type(after.attempt) is int

    def test_handing_on_does_not_change_the_message(self) -> None:
        MESSAGE.handed_on([7], next_attempt=True)
        assert (MESSAGE.indexes, MESSAGE.attempt, MESSAGE.hops) == ((7, 8, 9), 2, 0)

    def test_a_message_from_a_check_says_that_it_may_not_be_the_first(self) -> None:
        batch = a_batch()
        assert not JobsMessage.of(batch, 0).may_have_been_called
        assert JobsMessage.again(batch, 0).may_have_been_called
        assert JobsMessage.of(replace(batch, round=2), 0).may_have_been_called

    def test_consecutive_errors_are_counted(self) -> None:
        """A message handed on without an error starts counting again."""
        after = MESSAGE.handed_on([7], after_error=True).after_error()
        assert (after.indexes, after.attempt, after.hops, after.errors) == ((7,), 2, 2, 2)
        assert after.handed_on([7]).errors == 0

    def test_a_message_is_too_late_from_its_deadline_on(self) -> None:
        message = replace(MESSAGE, deadline=START)
        assert message.is_too_late(START)
        assert not message.is_too_late(START - timedelta(milliseconds=1))
        assert not MESSAGE.is_too_late(START + timedelta(days=99))

    def test_messages_carry_no_data_of_callers(self) -> None:
        """Callers' data stays in the database, so that sending a message again costs nothing."""
        named = {field.name for field in fields(JobsMessage)}
        assert named == {
            "batch_id",
            "account",
            "submission",
            "round",
            "chunk",
            "indexes",
            "attempt",
            "hops",
            "errors",
            "deadline",
            "away_since",
        }


class TestUsefulness:
    """Whether a message still has work to do."""

    @pytest.mark.parametrize(
        ("since", "concerns"),
        [
            ({}, True),
            ({"cancelled": True}, False),
            ({"submission": "another"}, False),
            ({"round": 2}, False),
            ({"state": BatchState.COMPLETED}, False),
            ({"deadline": START}, False),
            ({"deadline": START + timedelta(milliseconds=1)}, True),
        ],
    )
    def test_a_message_is_for_its_own_round_while_that_runs(
        self, since: dict[str, Any], concerns: bool
    ) -> None:
        batch = a_batch()
        message = JobsMessage.of(batch, 0)
        assert message.concerns(replace(batch, **since), START) is concerns

    @pytest.mark.parametrize(
        ("indexes", "round", "missing"),
        [
            (None, 1, [5, 7]),
            ((4, 5), 1, [5]),
            ((7, 5), 1, [5, 7]),
            ((4,), 1, []),
            ((99,), 1, []),
            (None, 2, [5, 6, 7]),
        ],
    )
    def test_its_missing_jobs_are_those_without_an_answer_in_its_round(
        self, indexes: tuple[int, ...] | None, round: int, missing: list[int]
    ) -> None:
        answers = {4: succeeded(), 6: unanswered()}
        chunk = Chunk(
            number=1,
            indexes=range(4, 8),
            jobs=some_jobs(8)[4:],
            parts=(AnswersPart(round=1, number=0, answers=answers),),
        )
        message = replace(MESSAGE, round=round, indexes=indexes)
        assert message.missing(chunk) == missing

    @pytest.mark.parametrize(
        ("indexes", "jobs", "of_several"),
        [(None, 1, False), (None, 2, True), ((3,), 4, False), ((2, 3), 4, True)],
    )
    def test_a_message_of_several_jobs_can_be_split(
        self, indexes: tuple[int, ...] | None, jobs: int, of_several: bool
    ) -> None:
        chunk = Chunk(number=0, indexes=range(jobs), jobs=some_jobs(jobs))
        assert replace(MESSAGE, indexes=indexes).is_of_several(chunk) is of_several


class TestBatchMessage:
    def test_a_batch_message_names_only_the_batch_and_its_account(self) -> None:
        named = {field.name for field in fields(BatchMessage)}
        assert named == {"batch_id", "account", "hops", "errors"}
        batch = a_batch()
        assert BatchMessage.of(batch) == BatchMessage(
            batch_id=batch.batch_id, account=batch.account, hops=0, errors=0
        )

    def test_handing_on_keeps_the_account_and_clears_the_errors(self) -> None:
        message = BatchMessage(batch_id="a", account="acme")
        assert message.handed_on() == BatchMessage(batch_id="a", account="acme", hops=1)
        assert message.after_error().errors == 1
        assert message.after_error().handed_on().errors == 0


class TestSentinel:
    @pytest.mark.parametrize(
        ("since", "stands"),
        [
            ({}, True),
            ({"sentinel_at": None}, False),
            ({"sentinel_at": START + timedelta(milliseconds=1)}, False),
            ({"submission": "another"}, False),
            ({"round": 2}, False),
            ({"state": BatchState.COMPLETED}, False),
        ],
    )
    def test_a_batch_waits_for_exactly_one_sentinel(
        self, since: dict[str, Any], stands: bool
    ) -> None:
        batch = a_batch(sentinel_at=START)
        sentinel = Sentinel(
            batch_id=batch.batch_id,
            account=batch.account,
            submission=batch.submission,
            round=batch.round,
            chunk=0,
            sent_at=START,
            done=0,
            answered=0,
            waits_until=None,
        )
        assert sentinel.stands_in(replace(batch, **since)) is stands
        assert sentinel.after_error().stands_in(batch)
