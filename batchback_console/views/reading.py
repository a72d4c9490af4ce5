"""What several views read, of a request or a batch, with an answer for the page if they cannot."""

from datetime import UTC, datetime
from typing import Any

from flask import abort, request

from batchback_console.console import Console
from batchback_ops.ops.heads import DAMAGED
from chalicelib.domain.batch import Batch, SubmissionTerms

#: What every head has. If it is missing, it is read as None.
_ALWAYS = (
    *("batch_id", "submission", "account", "key"),
    *("created_at", "round_began_at", "deadline", "expires_at"),
)
#: Every time that a head may have.
_TIMES = (
    *("created_at", "round_began_at", "deadline", "expires_at", "completed_at", "next_check_at"),
    *("checked_at", "waits_until", "sentinel_at", "next_try_at", "lease_ends_at", "due_at"),
)
#: Ten times as many as a batch may have.
_MOST_JOBS = 100_000
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_TERMS_DAMAGED = (
    "What is stored about this batch's submission is damaged: its callback URL, its metadata and "
    "its own deadline cannot be read, and its callback cannot be sent. `results` still has its "
    "answers."
)
_HEADERS_DAMAGED = (
    "The stored callbackHeaders are damaged, so the callback cannot be sent. `results` has the "
    "answers."
)
_METADATA_DAMAGED = "The stored metadata is damaged: `progress` and the callback leave it out."


def sent() -> Any:
    """The JSON that the request sent; None if that is not JSON, or is nested too deeply."""
    try:
        return request.get_json(silent=True)
    except RecursionError:
        return None


def find_batch(console: Console, batch_id: str) -> Batch:
    """The batch, or the HTTP error for the page."""
    try:
        batch = whole(console.store.find(batch_id)) if _is_id(batch_id) else None
    except DAMAGED:
        abort(409, "This batch cannot be shown: its stored head is damaged.")
    if batch is None or batch.is_expired(console.clock.now()):
        abort(404, "There is no such batch: it never existed, or has expired.")
    return batch


def whole(batch: Batch | None) -> Batch | None:
    """The same batch. Raises one of DAMAGED if it lacks what every batch has, or has what none
    can have."""
    if batch and not (_is_complete(batch) and _is_possible(batch)):
        raise ValueError(f"the head of {batch.batch_id} is damaged")
    return batch


def _is_complete(batch: Batch) -> bool:
    return None not in [getattr(batch, name) for name in _ALWAYS]


def _is_possible(batch: Batch) -> bool:
    """Otherwise a wrong number would take all memory, or a wrong time could not be counted on."""
    times = [value for name in _TIMES if (value := getattr(batch, name))]
    has_jobs = batch.chunk_size >= 1 and 1 <= batch.total <= _MOST_JOBS
    return has_jobs and all(_FIRST < time < _LAST for time in times)


def _is_id(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def find_terms(console: Console, batch: Batch) -> tuple[SubmissionTerms | None, str | None]:
    """The terms of a batch as far as they can be read, and what is damaged of them."""
    try:
        terms = console.store.find_terms(batch)
    except DAMAGED:
        terms = None
    if terms is None:
        return None, _TERMS_DAMAGED
    if terms.callback_headers is None:
        return terms, _HEADERS_DAMAGED
    return terms, _METADATA_DAMAGED if batch.has_metadata and not terms.metadata else None
