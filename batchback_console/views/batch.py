"""One batch: its terms, a grid with a letter for each job, and how many had each outcome."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from flask import Blueprint

from batchback_console import summary
from batchback_console.console import Console
from batchback_console.jobs_seen import FAILED, SUCCEEDED, UNANSWERED, WAITING, SeenJob
from batchback_console.offers import offers
from batchback_console.views.reading import find_batch, find_terms
from batchback_ops.ops.batch_life import receiver_of, time
from chalicelib.domain.batch import Batch, SubmissionTerms
from chalicelib.domain.holds import Holds

#: How many different errors are shown.
_MOST_ERRORS = 20


def routes(console: Console) -> Blueprint:
    view = Blueprint("batch", __name__)

    @view.get("/batches/<batch_id>")
    def batch(batch_id: str) -> dict[str, Any]:
        return _details(console, find_batch(console, batch_id))

    return view


def _details(console: Console, batch: Batch) -> dict[str, Any]:
    now = console.clock.now()
    holds = console.store.find_holds(batch.account) if summary.may_wait(batch, now) else Holds()
    terms, damage = find_terms(console, batch)
    jobs = console.jobs_seen.jobs(console.store, batch)
    return {
        **summary.row(batch, holds, now),
        **_head(batch),
        **_terms(terms, is_whole=console.is_local),
        "damage": damage,
        **_outcomes(jobs),
        "actions": [asdict(offer) for offer in offers(batch, now)],
    }


def _head(batch: Batch) -> dict[str, Any]:
    return {
        "key": batch.key,
        "isCancelled": batch.cancelled,
        "isStopped": batch.stopped,
        "maxFailed": batch.max_failed,
        "traceId": batch.trace.trace_id if batch.trace else None,
        "roundBeganAt": time(batch.round_began_at),
        "dueAt": time(batch.due_at),
        "nextCheckAt": time(batch.next_check_at),
    }


def _terms(terms: SubmissionTerms | None, *, is_whole: bool) -> dict[str, Any]:
    """For a stage in AWS, only the receiver's host is shown: the rest may contain a secret."""
    if terms is None:
        return {
            "submittedDeadlineMinutes": None,
            "callbackUrl": None,
            "callbackResults": None,
            "callbackHeaderNames": [],
            "metadata": {},
        }
    deadline = terms.deadline
    return {
        "submittedDeadlineMinutes": deadline // timedelta(minutes=1) if deadline else None,
        "callbackUrl": terms.callback_url if is_whole else receiver_of(terms),
        "callbackResults": terms.callback_results.value,
        "callbackHeaderNames": [*(terms.callback_headers or ())],
        "metadata": {**terms.metadata},
    }


def _outcomes(jobs: Sequence[SeenJob]) -> dict[str, Any]:
    """The outcomes of the jobs, counted one by one."""
    grid = "".join([job.outcome for job in jobs])
    statuses = Counter(job.http_status for job in jobs if job.outcome != WAITING)
    errors = Counter((job.error, job.outcome) for job in jobs if job.error is not None)
    return {
        "exact": {
            "succeeded": grid.count(SUCCEEDED),
            "failed": grid.count(FAILED),
            "unanswered": grid.count(UNANSWERED),
            "waiting": grid.count(WAITING),
        },
        "unread": sum(not job.is_read for job in jobs),
        "grid": grid,
        "byStatus": [
            {"status": status, "count": count} for status, count in statuses.most_common()
        ],
        "byError": [
            {"error": error, "outcome": outcome, "count": count}
            for (error, outcome), count in errors.most_common(_MOST_ERRORS)
        ],
    }
