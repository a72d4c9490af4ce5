"""Read what several views need from a request or a batch, or answer the page with the error."""

from typing import Any

from flask import abort, request

from batchback_console.console import Console
from batchback_ops.ops import parts
from batchback_ops.ops.heads import DAMAGED, whole
from chalicelib.domain.batch import Batch, SubmissionTerms

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


def _is_id(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")


def find_terms(console: Console, batch: Batch) -> tuple[SubmissionTerms | None, str | None]:
    """The terms of a batch as far as they can be read, and what is damaged of them."""
    terms = parts.find_terms(console.store, batch)
    if terms is None:
        return None, _TERMS_DAMAGED
    if terms.callback_headers is None:
        return terms, _HEADERS_DAMAGED
    return terms, _METADATA_DAMAGED if batch.has_metadata and not terms.metadata else None
