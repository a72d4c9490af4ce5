"""The items in the table contain everything about a batch."""

from dataclasses import MISSING, Field, fields, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from benchmarks.units import item_bytes
from chalicelib.adapters import items
from chalicelib.domain import transitions
from chalicelib.domain.batch import Batch, CallbackAttempt, Counts, SubmissionTerms
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.trace import TraceContext
from tests.fakes.clock import START
from tests.samples import TERMS, a_batch

HOUR = timedelta(hours=1)
#: A batch that has its own value in every field with a default.
FULL = replace(
    a_batch(16),
    state=BatchState.COMPLETED,
    completed_at=START + HOUR,
    cancelled=True,
    label="order 77",
    has_metadata=True,
    trace=TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "01"),
    max_failed=5,
    stopped=True,
    done=frozenset({0, 2}),
    unanswered=frozenset({2}),
    counts=Counts(succeeded=1, failed=2, result_bytes=3),
    unanswered_counts=Counts(succeeded=4, failed=5, unanswered=2, result_bytes=6),
    next_check_at=START + 2 * HOUR,
    checks=3,
    checked_at=START + 3 * HOUR,
    done_at_last_check=1,
    waits_until=START + 6 * HOUR,
    sentinel_at=START + 7 * HOUR,
    callback=CallbackState.FAILED,
    callback_round=2,
    attempts=7,
    next_try_at=START + 4 * HOUR,
    lease="a token",
    lease_ends_at=START + 8 * HOUR,
    history=(
        CallbackAttempt(at=START + HOUR, status=503, error="HTTP 503", took_ms=12),
        CallbackAttempt(at=START + 2 * HOUR),
    ),
    due_at=START + 5 * HOUR,
    rerun="another token",
)


def default_of(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def test_the_full_batch_has_a_value_in_every_field() -> None:
    without = [each.name for each in fields(Batch) if getattr(FULL, each.name) == default_of(each)]
    assert without == [], "give FULL a value for each"


def test_every_field_of_a_batch_comes_back() -> None:
    assert items.read_head(items.head_item(FULL)) == FULL, (
        "_READERS in chalicelib/adapters/items.py must read every field"
    )


def test_the_terms_of_the_samples_have_a_value_in_every_field() -> None:
    without = [
        each.name
        for each in fields(SubmissionTerms)
        if getattr(TERMS, each.name) in (None, default_of(each))
    ]
    assert without == [], "give TERMS in tests/samples.py a value for each"


def test_every_field_of_the_terms_comes_back() -> None:
    assert items.read_terms(items.terms_item(FULL, TERMS)) == TERMS


@pytest.mark.parametrize("stored", ["", "damaged", "[]", '{"a": 1}', "null"])
class TestDamagedTerms:
    def test_unreadable_metadata_is_lost_but_the_other_terms_are_read(self, stored: str) -> None:
        item = {**items.terms_item(FULL, TERMS), "metadata": {"S": stored}}
        assert items.read_terms(item) == replace(TERMS, metadata={})

    def test_unreadable_headers_are_not_mistaken_for_none(self, stored: str) -> None:
        item = {**items.terms_item(FULL, TERMS), "callback_headers": {"S": stored}}
        assert items.read_terms(item) == replace(TERMS, callback_headers=None)


def test_an_unreadable_history_is_lost_but_the_batch_continues() -> None:
    item = {**items.head_item(FULL), "history": {"B": b"damaged"}}
    assert items.read_head(item) == replace(FULL, history=())


#: A name that compresses badly, and is as long as possible.
LONG_NAME = ".".join(sha256(letter.encode()).hexdigest()[:62] for letter in "abcd")
#: The longest error that a receiver can cause: its certificate has another name.
LONG_ERROR = (
    "the TLS certificate was not accepted: Hostname mismatch, "
    f"certificate is not valid for '{LONG_NAME}'."
)


class TestSizeOfAHead:
    """A write costs one unit per KB."""

    @pytest.mark.parametrize("letter", ["x", "日", "😀"])
    def test_the_head_of_200_jobs_with_everything_in_use_takes_one_unit(self, letter: str) -> None:
        usual = a_batch(200)
        made = CallbackAttempt(at=START + timedelta(seconds=12.345), status=200, took_ms=12_345)
        head = replace(
            usual,
            account="a" * 32,
            key="k" * 32,
            state=BatchState.COMPLETED,
            completed_at=START + timedelta(seconds=12.345),
            label=letter * 64,
            has_metadata=True,
            trace=FULL.trace,
            max_failed=199,
            done=frozenset(usual.chunks[1:]),
            unanswered=frozenset(usual.chunks[:1]),
            counts=Counts(succeeded=149, failed=1, result_bytes=123_456),
            unanswered_counts=Counts(succeeded=48, failed=2, unanswered=1, result_bytes=12_345),
            checks=1,
            checked_at=START + timedelta(seconds=1.234),
            next_check_at=None,
            due_at=None,
            callback=CallbackState.DELIVERED,
            attempts=1,
            history=(made,),
        )
        assert item_bytes(items.head_item(head)) < 1_024

    @pytest.mark.parametrize("others", [LONG_ERROR, "the name of the receiver does not resolve"])
    def test_a_head_with_500_chunks_and_eight_failed_attempts_takes_less_than_four_units(
        self, others: str
    ) -> None:
        """All chunks have an unanswered job, and the errors are as long as possible."""
        usual = a_batch(10_000, jobs_per_message=20)
        history: tuple[CallbackAttempt, ...] = ()
        for number in range(8):
            error = LONG_ERROR if number % 2 else others
            made = CallbackAttempt(
                at=START + number * 7 * HOUR, error=error, took_ms=14_999 - 123 * number
            )
            leased = replace(usual, history=(*history, CallbackAttempt(at=made.at)))
            history = transitions.record_refusal(leased, made).put["history"]
        head = replace(
            FULL,
            total=usual.total,
            chunk_size=usual.chunk_size,
            key="k" * 32,
            account="a" * 32,
            label="日" * 64,
            done=frozenset(usual.chunks),
            unanswered=frozenset(usual.chunks),
            unanswered_counts=Counts(
                succeeded=1_234, failed=8_766, unanswered=8_765, result_bytes=49_999_999
            ),
            history=history,
        )
        assert len(usual.chunks) == 500
        assert item_bytes(items.head_item(head)) < 4_096
