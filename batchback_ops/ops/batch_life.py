"""The state of one batch, as an operator reads it.

It contains no parameters, answers or secrets, and only the host of the callback's address. How each
call and each attempt went is in the log.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from batchback_ops.ops.standstill import why_stuck
from chalicelib.domain import strict_json
from chalicelib.domain.batch import Answer, Batch, Chunk, SubmissionTerms, Verdict
from chalicelib.domain.holds import Holds, Outage, Pause
from chalicelib.domain.retry import CALLBACK_TRIES


def row(batch: Batch, now: datetime) -> dict[str, Any]:
    """A batch in a list. Jobs are counted once their whole chunk is done."""
    answered = batch.answered
    return {
        "batchId": batch.batch_id,
        "account": batch.account,
        "status": batch.status,
        "progress": batch.progress,
        "jobs": {
            "total": batch.total,
            "succeeded": answered.succeeded,
            "failed": answered.failed,
            "waiting": batch.total - answered.total,
        },
        "callback": batch.callback.value,
        "attempts": batch.attempts,
        "createdAt": time(batch.created_at),
        "dueAt": time(batch.due_at),
        "stuck": why_stuck(batch, now),
    }


def life(
    batch: Batch,
    terms: SubmissionTerms | None,
    chunks: Iterable[Chunk],
    holds: Holds,
    now: datetime,
) -> dict[str, Any]:
    """Everything about a batch. Jobs are counted one by one."""
    read = [*chunks]
    return {
        "batchId": batch.batch_id,
        "account": batch.account,
        "key": batch.key,
        "status": batch.status,
        "stuck": why_stuck(batch, now),
        "cancelled": batch.cancelled,
        "stopped": batch.stopped,
        "round": batch.round,
        "createdAt": time(batch.created_at),
        "completedAt": time(batch.completed_at),
        "deadline": time(batch.deadline),
        "expiresAt": time(batch.expires_at),
        "dueAt": time(batch.due_at),
        "jobs": _jobs(batch, read),
        "chunks": _chunks(batch),
        "checks": {
            "made": batch.checks,
            "lastAt": time(batch.checked_at),
            "doneAtLast": batch.done_at_last_check,
            "nextAt": time(batch.next_check_at),
        },
        "waitsUntil": time(batch.waits_until),
        "platformDown": _outage(holds.outage),
        "pause": pause(holds.pause, now),
        "suspects": [*_markers(read)],
        "callback": _callback(batch, terms, now),
    }


def time(moment: datetime | None) -> str | None:
    """A time as in the log, to the millisecond."""
    return (
        None if moment is None else f"{moment.replace(tzinfo=None).isoformat('T', 'milliseconds')}Z"
    )


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in order, such as `0-24, 31`, so that ten thousand of them fit on a line."""
    runs = groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
    return ", ".join(_range([number for _, number in run]) for _, run in runs)


def _range(run: list[int]) -> str:
    return str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"


def _jobs(batch: Batch, chunks: list[Chunk]) -> dict[str, Any]:
    """How many jobs are in each state, and which of them failed, are unanswered or wait."""
    answers = {
        index: answer for chunk in chunks for index, answer in chunk.answers(batch.round).items()
    }
    verdicts = Counter(answer.verdict for answer in answers.values())
    return {
        "total": batch.total,
        "succeeded": verdicts[Verdict.SUCCEEDED],
        "failed": verdicts[Verdict.FAILED],
        "unanswered": verdicts[Verdict.UNANSWERED],
        "waiting": batch.total - len(answers),
        "whichFailed": ranges(_with(answers, Verdict.FAILED)),
        "whichUnanswered": ranges(_with(answers, Verdict.UNANSWERED)),
        "whichWait": ranges(set(range(batch.total)) - answers.keys()),
        "errorCodes": _error_codes(answers.values()),
        "unreadable": ranges(
            index for chunk in chunks if chunk.jobs is None for index in chunk.indexes
        ),
    }


def _with(answers: dict[int, Answer], verdict: Verdict) -> Iterator[int]:
    return (index for index, answer in answers.items() if answer.verdict is verdict)


def _error_codes(answers: Iterable[Answer]) -> dict[str, int]:
    """How many failed jobs were answered with each code, the most frequent first."""
    failed = [answer for answer in answers if answer.verdict is not Verdict.SUCCEEDED]
    return dict(Counter(map(_error_code, failed)).most_common())


def _error_code(answer: Answer) -> str:
    try:
        response = strict_json.parse(answer.response.encode("utf-8", "surrogatepass"))
    except strict_json.NotStrictJson:
        return "none"
    code = response.get("errorCode") if isinstance(response, dict) else None
    return str(code) if isinstance(code, int) else "none"


def _chunks(batch: Batch) -> dict[str, Any]:
    return {
        "total": len(batch.chunks),
        "jobsInEach": batch.chunk_size,
        "done": len(batch.done),
        "whichAreToDo": ranges(batch.chunks_to_do),
    }


def _outage(outage: Outage | None) -> dict[str, Any] | None:
    """Since when the platform is down for the batch's account, or None if it is up."""
    if outage is None:
        return None
    return {"since": time(outage.began_at), "askedAgainAt": time(outage.until)}


def pause(pause: Pause | None, now: datetime) -> dict[str, Any] | None:
    """Until when jobs are paused and why, or None if they are not."""
    if pause is None or not pause.lasts(now):
        return None
    return {"until": time(pause.until), "reason": pause.reason}


def _markers(chunks: Iterable[Chunk]) -> Iterator[dict[str, Any]]:
    """The jobs that ran alone when they were last seen, because a worker had died earlier."""
    for chunk in chunks:
        for index, marker in sorted(chunk.markers.items()):
            yield {
                "index": index,
                "chunk": chunk.number,
                "round": marker.round,
                "deliveries": marker.receive_count,
                "deaths": marker.deaths,
            }


def _callback(batch: Batch, terms: SubmissionTerms | None, now: datetime) -> dict[str, Any]:
    is_leased = batch.lease is not None and batch.next_try_at is not None
    last = batch.last_attempt
    return {
        "state": batch.callback.value,
        "to": receiver_of(terms),
        "series": batch.callback_round,
        "attempts": batch.attempts,
        "attemptsLeft": CALLBACK_TRIES - batch.attempts,
        "lastStatus": last and last.status,
        "lastError": last and last.error,
        "nextTryAt": time(batch.next_try_at),
        "beingSentNow": is_leased and batch.next_try_at is not None and now < batch.next_try_at,
    }


def receiver_of(terms: SubmissionTerms | None) -> str | None:
    """Scheme, host and port. The rest of an address may contain a secret of the receiver."""
    if terms is None or terms.callback_url is None:
        return None
    parts = urlsplit(terms.callback_url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"
