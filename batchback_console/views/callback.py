"""The callback of a batch: each attempt, what is sent and, for the local service, what arrived."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint

from batchback_console.console import Console
from batchback_console.local_tools import LocalTools
from batchback_console.views.reading import find_batch, find_terms
from batchback_ops.ops.batch_life import receiver_of, time
from chalicelib.domain import results
from chalicelib.domain.batch import Batch, CallbackAttempt, CallbackResults, SubmissionTerms
from chalicelib.domain.callback_headers import why_not_headers

#: How much is shown of a body that arrived.
_MOST_CHARACTERS = 350_000


def routes(console: Console) -> Blueprint:
    view = Blueprint("callback", __name__)

    @view.get("/batches/<batch_id>/callback")
    def callback(batch_id: str) -> dict[str, Any]:
        return _callback(console, find_batch(console, batch_id))

    return view


def _callback(console: Console, batch: Batch) -> dict[str, Any]:
    terms, damage = find_terms(console, batch)
    local = console.local
    return {
        "state": batch.callback.value,
        "url": terms and (terms.callback_url if local else receiver_of(terms)),
        "results": terms and terms.callback_results.value,
        "bytes": terms and _size(batch, terms),
        "round": batch.callback_round,
        "nextTryAt": time(batch.next_try_at) if batch.has_callback_to_come else None,
        "attempts": [_attempt(each) for each in batch.history],
        "headers": _headers(batch, terms),
        "received": _received(local, batch) if local else None,
        "damage": damage,
    }


def _size(batch: Batch, terms: SubmissionTerms) -> int | None:
    """The size of the body, if it is known without reading all results."""
    if not batch.is_completed or terms.callback_results is not CallbackResults.ALL:
        return None
    return results.whole_size_bytes(batch, results.summary(batch, terms))


def _attempt(attempt: CallbackAttempt) -> dict[str, Any]:
    return {
        "at": time(attempt.at),
        "status": attempt.status,
        "error": attempt.error,
        "tookMs": attempt.took_ms,
    }


def _headers(batch: Batch, terms: SubmissionTerms | None) -> list[dict[str, Any]]:
    """The headers of each attempt. Each is signed anew, and callers' own headers are secrets."""
    if terms is None or terms.callback_url is None:
        return []
    trace = batch.trace
    sent = {
        "Content-Type": "application/json",
        "webhook-id": batch.callback_id,
        "webhook-timestamp": None,
        "webhook-signature": None,
        **({"traceparent": trace.traceparent(batch.callback_id)} if trace else {}),
    }
    return [
        *({"name": name, "value": value, "isSecret": False} for name, value in sent.items()),
        *({"name": name, "value": None, "isSecret": True} for name in terms.callback_headers or ()),
    ]


def _received(local: LocalTools, batch: Batch) -> list[dict[str, Any]]:
    """The callbacks of this batch that the demonstration receiver got, oldest first."""
    ours = f"{batch.batch_id}-{batch.life}-"
    return [
        _arrived(each)
        for each in local.received()
        if each["headers"].get("webhook-id", "").startswith(ours)
    ]


def _arrived(callback: Mapping[str, Any]) -> dict[str, Any]:
    """The values of headers that callers may set are secrets."""
    raw: str = callback["raw"]
    return {
        "at": time(datetime.fromisoformat(callback["at"])),
        "path": callback["path"],
        "verified": callback["verified"],
        "headers": [
            [name, value if why_not_headers({name: "value"}) else None]
            for name, value in callback["headers"].items()
        ],
        "raw": raw[:_MOST_CHARACTERS],
        "rawBytes": len(raw.encode("utf-8", "surrogatepass")),
    }
