"""The schedules, as the contract has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.retry import (
    CALLBACK_TRIES,
    CALLBACK_WAITS,
    JOB_TRIES,
    MAX_MESSAGE_DELAY,
    callback_wait,
    error_wait,
    job_wait,
)

MINUTE, HOUR = 60, 3600
units = st.floats(0, 1)
#: The calls that another one follows.
attempts_of_a_job = st.integers(1, JOB_TRIES - 1)
attempts_of_a_callback = st.integers(1, CALLBACK_TRIES - 1)


class TestJobs:
    def test_a_job_is_called_five_times_in_total(self) -> None:
        assert JOB_TRIES == 5

    @pytest.mark.parametrize(
        ("attempt", "shortest", "longest"), [(1, 2, 4), (2, 8, 16), (3, 32, 64), (4, 128, 256)]
    )
    def test_each_wait_is_four_times_the_one_before(
        self, attempt: int, shortest: int, longest: int
    ) -> None:
        def wait(random_unit: float) -> int:
            return job_wait(attempt, first_wait=4, retry_after=None, random_unit=random_unit)

        assert (wait(0), wait(1)) == (shortest, longest)
        assert wait(0.5) == (shortest + longest) // 2

    @given(
        attempt=attempts_of_a_job,
        first_wait=st.integers(1, 14),
        retry_after=st.none() | st.floats(0, 999_999_999),
        random_unit=units,
    )
    def test_a_wait_is_a_possible_delay_of_a_message(
        self, attempt: int, first_wait: int, retry_after: float | None, random_unit: float
    ) -> None:
        wait = job_wait(
            attempt, first_wait=first_wait, retry_after=retry_after, random_unit=random_unit
        )
        assert type(wait) is int
        assert 1 <= wait <= MAX_MESSAGE_DELAY

    @given(attempt=attempts_of_a_job, retry_after=st.floats(0, 2_000), random_unit=units)
    def test_the_wait_is_at_least_retry_after_up_to_15_minutes(
        self, attempt: int, retry_after: float, random_unit: float
    ) -> None:
        wait = job_wait(attempt, first_wait=2, retry_after=retry_after, random_unit=random_unit)
        assert wait >= min(retry_after, 15 * MINUTE)

    def test_a_short_retry_after_does_not_shorten_the_wait(self) -> None:
        assert job_wait(3, first_wait=2, retry_after=1, random_unit=1) == 32

    def test_the_longest_delay_is_the_queues(self) -> None:
        assert MAX_MESSAGE_DELAY == 15 * MINUTE


class TestErrors:
    @pytest.mark.parametrize(
        ("errors", "longest"), [(1, 10), (2, 30), (3, 90), (4, 270), (5, 810), (6, 900), (7, 900)]
    )
    def test_each_wait_is_three_times_the_one_before_up_to_15_minutes(
        self, errors: int, longest: int
    ) -> None:
        assert error_wait(errors, 1) == longest
        assert error_wait(errors, 0) == longest / 2

    @given(errors=st.integers(1, 10_000), random_unit=units)
    def test_after_any_number_of_errors_the_wait_is_a_possible_delay(
        self, errors: int, random_unit: float
    ) -> None:
        assert 0 < error_wait(errors, random_unit) <= MAX_MESSAGE_DELAY


class TestCallbacks:
    def test_the_schedule_is_the_contracts(self) -> None:
        """The first attempt is immediate. The next ones follow after 5 s, 5 min, 30 min, 2 h, 5 h,
        10 h and 14 h."""
        assert CALLBACK_TRIES == 8
        assert CALLBACK_WAITS == (
            5,
            5 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            14 * HOUR,
        )

    def test_all_attempts_fit_between_deadline_and_expiry(self) -> None:
        assert sum(callback_wait(n, None, 1) for n in range(1, CALLBACK_TRIES)) < 48 * HOUR

    @given(attempt=attempts_of_a_callback, random_unit=units)
    def test_a_wait_is_the_schedules_plus_up_to_a_tenth(
        self, attempt: int, random_unit: float
    ) -> None:
        scheduled = CALLBACK_WAITS[attempt - 1]
        assert scheduled <= callback_wait(attempt, None, random_unit) <= scheduled * 1.1 + 1e-6

    def test_the_wait_is_random(self) -> None:
        assert callback_wait(2, None, 0) == 300
        assert callback_wait(2, None, 1) == pytest.approx(330)

    @given(attempt=attempts_of_a_callback, retry_after=st.floats(0, 60 * HOUR), random_unit=units)
    def test_the_wait_is_at_least_retry_after_and_the_schedule(
        self, attempt: int, retry_after: float, random_unit: float
    ) -> None:
        wait = callback_wait(attempt, retry_after, random_unit)
        assert wait == max(retry_after, callback_wait(attempt, None, random_unit))

    def test_an_absurd_retry_after_can_be_added_to_a_time(self) -> None:
        """It is longer than any batch lives, but short enough for a date."""
        assert 60 * HOUR < callback_wait(1, 999_999_999, 0) < 1_000 * HOUR
