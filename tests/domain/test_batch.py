"""What a batch, its chunks and its answers are."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.batch import (
    MAX_CHUNKS,
    Answer,
    AnswersPart,
    Chunk,
    Counts,
    Verdict,
    chunk_size,
    holds_unanswered,
)
from chalicelib.domain.states import BatchState, CallbackState
from tests.fakes.clock import START
from tests.samples import a_batch, some_jobs, succeeded, unanswered

MILLISECOND = timedelta(milliseconds=1)


def part(round: int, number: int, answers: Mapping[int, Answer]) -> AnswersPart:
    return AnswersPart(round=round, number=number, answers=answers)


def a_chunk(*parts: AnswersPart, total: int = 3) -> Chunk:
    return Chunk(number=0, indexes=range(total), jobs=some_jobs(total), parts=parts)


class TestWords:
    """Names that are stored or shown to callers never change."""

    def test_stored_verdicts_never_change(self) -> None:
        stored = {verdict.name: verdict.value for verdict in Verdict}
        assert stored == {"SUCCEEDED": "s", "FAILED": "f", "UNANSWERED": "g"}

    def test_states_have_the_contracts_names(self) -> None:
        assert [*BatchState] == ["running", "completed"]
        assert [*CallbackState] == ["none", "waiting", "delivered", "failed"]


class TestChunkSize:
    @pytest.mark.parametrize(
        ("total", "per_message", "size"),
        [
            (1, 50, 1),
            (3, 50, 1),
            (7, 50, 1),
            (8, 50, 2),
            (199, 50, 49),
            (200, 50, 50),
            (200, 25, 25),
            (1_000, 50, 50),
            (10_000, 50, 50),
            (10_000, 100, 100),
            (500, 1, 1),
            (501, 1, 2),
            (10_000, 1, 20),
        ],
    )
    def test_a_small_batch_has_one_job_per_message_and_a_large_one_many(
        self, total: int, per_message: int, size: int
    ) -> None:
        assert chunk_size(total, per_message) == size

    @given(total=st.integers(1, 10_000), per_message=st.integers(1, 100))
    def test_a_batch_never_has_more_chunks_than_fit_in_the_head(
        self, total: int, per_message: int
    ) -> None:
        assert len(a_batch(total, jobs_per_message=per_message).chunks) <= MAX_CHUNKS

    @given(total=st.integers(1, 10_000), per_message=st.integers(1, 100))
    def test_a_chunk_exceeds_the_setting_only_if_the_head_would_be_too_large(
        self, total: int, per_message: int
    ) -> None:
        size = chunk_size(total, per_message)
        assert size <= per_message or -(-total // (size - 1)) > MAX_CHUNKS


class TestChunksOfABatch:
    @given(total=st.integers(1, 2_000), per_message=st.integers(1, 100))
    def test_every_job_is_in_exactly_one_chunk_and_in_order(
        self, total: int, per_message: int
    ) -> None:
        batch = a_batch(total, jobs_per_message=per_message)
        indexes = [index for chunk in batch.chunks for index in batch.indexes(chunk)]
        assert indexes == [*range(total)]
        assert all(batch.indexes(chunk) for chunk in batch.chunks)

    def test_the_chunks_to_do_are_those_not_done(self) -> None:
        batch = a_batch(16, jobs_per_message=2, done=frozenset({0, 3, 7}))
        assert batch.chunks_to_do == [1, 2, 4, 5, 6]
        assert not batch.has_all_chunks_done

    @pytest.mark.parametrize(
        ("jobs", "chunks"),
        [
            (range(1), range(1)),
            (range(24, 26), range(2)),
            (range(25, 50), range(1, 2)),
            (range(180, 1_180), range(7, 8)),
            (range(200, 300), range(8, 8)),
            (range(10**9, 10**9 + 1), range(8, 8)),
        ],
    )
    def test_jobs_are_searched_only_in_their_chunks(self, jobs: range, chunks: range) -> None:
        assert a_batch(200, jobs_per_message=25).chunks_of(jobs) == chunks

    def test_all_chunks_are_done_if_none_is_left_to_do(self) -> None:
        batch = a_batch(16, jobs_per_message=2, done=frozenset(range(8)))
        assert batch.chunks_to_do == []
        assert batch.has_all_chunks_done


class TestProgress:
    @pytest.mark.parametrize(
        ("total", "answered", "progress"),
        [
            (3, 0, 0),
            (3, 1, 33),
            (3, 2, 66),
            (200, 1, 0),
            (200, 199, 99),
            (10_000, 9_999, 99),
            (3, 3, 99),
        ],
    )
    def test_it_is_rounded_down_and_below_100_while_the_batch_runs(
        self, total: int, answered: int, progress: int
    ) -> None:
        assert a_batch(total, counts=Counts(succeeded=answered)).progress == progress

    def test_it_is_100_when_the_batch_has_ended(self) -> None:
        batch = a_batch(3, state=BatchState.COMPLETED, counts=Counts(succeeded=3))
        assert batch.progress == 100

    @given(
        total=st.integers(1, 10_000),
        numbers=st.tuples(*[st.integers(0, 2_500)] * 4),
        state=st.sampled_from(BatchState),
    )
    def test_it_is_100_only_when_the_batch_has_ended(
        self, total: int, numbers: tuple[int, int, int, int], state: BatchState
    ) -> None:
        counts = Counts(succeeded=numbers[0], failed=numbers[1])
        unanswered_counts = Counts(succeeded=numbers[2], failed=numbers[3])
        batch = a_batch(total, state=state, counts=counts, unanswered_counts=unanswered_counts)
        assert 0 <= batch.progress <= 100
        assert (batch.progress == 100) == (state is BatchState.COMPLETED)

    def test_unanswered_jobs_count_in_the_progress(self) -> None:
        batch = a_batch(
            4, counts=Counts(succeeded=1), unanswered_counts=Counts(succeeded=1, failed=1)
        )
        assert batch.answered == Counts(succeeded=2, failed=1)
        assert batch.progress == 75


class TestStatus:
    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({}, "running"),
            ({"cancelled": True}, "running"),
            ({"state": BatchState.COMPLETED}, "completed"),
            ({"state": BatchState.COMPLETED, "cancelled": True}, "cancelled"),
            ({"stopped": True}, "running"),
            ({"state": BatchState.COMPLETED, "stopped": True}, "stopped"),
        ],
    )
    def test_a_cancelled_or_stopped_batch_has_that_status_once_it_has_ended(
        self, fields: dict[str, Any], status: str
    ) -> None:
        batch = a_batch(**fields)
        assert batch.status == status
        assert batch.is_completed is not batch.is_running


class TestMaxFailed:
    @pytest.mark.parametrize(
        ("max_failed", "elsewhere", "is_too_often"),
        [(None, 99, False), (5, 2, False), (5, 3, True), (3, 0, False), (2, 0, True), (0, 0, True)],
    )
    def test_failures_in_finished_chunks_and_elsewhere_count_together(
        self, max_failed: int | None, elsewhere: int, is_too_often: bool
    ) -> None:
        batch = a_batch(
            9,
            max_failed=max_failed,
            counts=Counts(succeeded=2, failed=2),
            unanswered_counts=Counts(failed=1, unanswered=1),
        )
        assert batch.has_failed_too_often(elsewhere) is is_too_often

    def test_there_is_no_limit_in_a_later_round(self) -> None:
        batch = a_batch(max_failed=0, round=2, counts=Counts(failed=2))
        assert not batch.has_failed_too_often()


class TestTimes:
    def test_a_batch_is_gone_from_the_moment_it_expires(self) -> None:
        batch = a_batch()
        assert not batch.is_expired(batch.expires_at - MILLISECOND)
        assert batch.is_expired(batch.expires_at)

    def test_an_account_sees_only_its_own_batches_until_they_expire(self) -> None:
        batch = a_batch()
        assert batch.is_seen_by("acme", batch.expires_at - MILLISECOND)
        assert not batch.is_seen_by("acme", batch.expires_at)
        assert not batch.is_seen_by("other", START)

    def test_the_deadline_has_passed_at_its_own_moment(self) -> None:
        batch = a_batch()
        assert not batch.is_to_be_ended(batch.deadline - MILLISECOND)
        assert batch.is_to_be_ended(batch.deadline)

    def test_a_sample_batch_outlives_its_deadline_by_the_documented_two_days(self) -> None:
        batch = a_batch()
        assert batch.expires_at - batch.deadline >= timedelta(days=2)
        assert batch.created_at == START


class TestCounts:
    def test_counts_add_up_field_by_field(self) -> None:
        one = Counts(succeeded=1, failed=2, unanswered=1, result_bytes=3)
        other = Counts(succeeded=10, failed=20, unanswered=10, result_bytes=30)
        assert one + other == Counts(succeeded=11, failed=22, unanswered=11, result_bytes=33)
        assert one + Counts() == one
        assert one.total == 3


FIRST, SECOND = succeeded('{"n":1}'), succeeded('{"n":2}')
LOST = unanswered()
OTHER_LOST = unanswered('{"errorCode":461,"message":"no connection"}')


class TestAnswers:
    @pytest.mark.parametrize(
        ("parts", "round", "answers"),
        [
            pytest.param([], 1, {}, id="none recorded"),
            pytest.param([part(1, 0, {0: FIRST})], 1, {0: FIRST}, id="one recorded"),
            pytest.param(
                [part(1, 0, {0: FIRST}), part(1, 1, {0: SECOND})],
                1,
                {0: FIRST},
                id="the first recorded counts",
            ),
            pytest.param(
                [part(1, 0, {0: LOST}), part(1, 1, {0: SECOND})],
                1,
                {0: LOST},
                id="the first recorded counts although it is unanswered",
            ),
            pytest.param(
                [part(1, 0, {0: LOST, 1: FIRST})],
                2,
                {1: FIRST},
                id="what was unanswered in an older round is missing, the rest counts",
            ),
            pytest.param(
                [part(1, 0, {0: LOST}), part(2, 0, {0: FIRST})],
                2,
                {0: FIRST},
                id="the newer round's answer counts",
            ),
            pytest.param(
                [part(1, 0, {0: LOST}), part(2, 0, {0: OTHER_LOST})],
                2,
                {0: OTHER_LOST},
                id="an answer that is unanswered again has the newer round's text",
            ),
            pytest.param(
                [part(1, 0, {0: LOST}), part(2, 0, {0: OTHER_LOST}), part(2, 1, {0: FIRST})],
                2,
                {0: OTHER_LOST},
                id="the first recorded of the newer round counts",
            ),
            pytest.param(
                [part(1, 0, {0: LOST}), part(2, 0, {0: OTHER_LOST})],
                3,
                {},
                id="what was unanswered twice is missing in the third round",
            ),
            pytest.param(
                [part(1, 0, {0: LOST}), part(2, 0, {0: FIRST})],
                1,
                {0: LOST},
                id="later rounds do not count",
            ),
        ],
    )
    def test_which_answer_counts(
        self, parts: list[AnswersPart], round: int, answers: dict[int, Answer]
    ) -> None:
        chunk = a_chunk(*parts)
        assert chunk.answers(round) == answers
        assert chunk.missing(round) == [index for index in range(3) if index not in answers]

    @given(data=st.data(), rounds=st.integers(1, 4), total=st.integers(1, 4))
    def test_each_job_has_the_first_answer_of_its_newest_round(
        self, data: st.DataObject, rounds: int, total: int
    ) -> None:
        """A whole life: every round answers what was unanswered before, some jobs more than
        once."""
        parts: list[AnswersPart] = []
        standing: dict[int, Answer] = {}
        for round in range(1, rounds + 1):
            missing = [
                index
                for index in range(total)
                if index not in standing or standing[index].verdict is Verdict.UNANSWERED
            ]
            fresh: dict[int, Answer] = {}
            flushes = data.draw(st.lists(st.lists(st.sampled_from(missing or [0])), max_size=4))
            for number, indexes in enumerate(flushes if missing else []):
                answers = {
                    index: Answer(data.draw(st.sampled_from(Verdict)), f"{round}.{number}.{index}")
                    for index in indexes
                }
                parts.append(part(round, number, answers))
                fresh = {**answers, **fresh}
            standing |= fresh
            expected = {
                index: answer
                for index, answer in standing.items()
                if index in fresh or answer.verdict is not Verdict.UNANSWERED
            }
            assert a_chunk(*parts, total=total).answers(round) == expected

    def test_only_jobs_of_the_chunk_are_missing(self) -> None:
        chunk = Chunk(number=2, indexes=range(4, 6), jobs=None, parts=(part(1, 0, {5: FIRST}),))
        assert chunk.missing(1) == [4]


class TestFlushNumbers:
    def test_a_round_numbers_its_own_flushes_without_gaps(self) -> None:
        chunk = a_chunk(part(1, 0, {0: LOST}), part(1, 1, {1: FIRST}), part(2, 0, {0: FIRST}))
        assert [chunk.next_number(round) for round in (1, 2, 3)] == [2, 1, 0]

    def test_if_a_flush_was_deleted_the_next_number_is_still_free(self) -> None:
        chunk = a_chunk(part(1, 0, {0: LOST}), part(1, 2, {1: FIRST}))
        assert chunk.next_number(1) == 3

    def test_a_recorded_part_comes_last_and_does_not_change_the_original_chunk(self) -> None:
        before = a_chunk(part(1, 0, {0: FIRST}))
        after = before.with_part(part(1, 1, {0: SECOND, 1: SECOND}))
        assert after.answers(1) == {0: FIRST, 1: SECOND}
        assert after.next_number(1) == 2
        assert before.next_number(1) == 1


class TestGaveUp:
    @pytest.mark.parametrize(
        ("answers", "holds"),
        [
            ([], False),
            ([FIRST], False),
            ([Answer(Verdict.FAILED, "{}")], False),
            ([FIRST, LOST], True),
        ],
    )
    def test_only_a_call_that_never_got_an_answer_is_unanswered(
        self, answers: list[Answer], holds: bool
    ) -> None:
        assert holds_unanswered(answers) is holds
