"""The jobs of a batch: a table to search, and one job with its request and its response."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, abort, request

from batchback_console.console import Console
from batchback_console.jobs_seen import (
    FAILED,
    SUCCEEDED,
    UNANSWERED,
    WAITING,
    SeenJob,
    seen_job,
)
from batchback_console.views.reading import find_batch, find_terms
from batchback_ops.ops.parts import read_chunks
from chalicelib.domain.batch import Batch, Job

_MOST_ROWS = 1_000
#: Failed jobs first.
_RANKS = {FAILED: 0, UNANSWERED: 1, WAITING: 2, SUCCEEDED: 3}
#: Linux passes no argument of 128 KiB to a program, but shells have `printf` built in.
_MOST_ARGUMENT_CHARACTERS = 30_000


def routes(console: Console) -> Blueprint:
    view = Blueprint("jobs", __name__)

    @view.get("/batches/<batch_id>/jobs")
    def jobs(batch_id: str) -> dict[str, Any]:
        batch = find_batch(console, batch_id)
        return _table(console.jobs_seen.jobs(console.store, batch))

    @view.get("/batches/<batch_id>/jobs/<int:index>")
    def job(batch_id: str, index: int) -> dict[str, Any]:
        batch = find_batch(console, batch_id)
        if index >= batch.total:
            abort(404, f"There is no job {index}: the batch has {batch.total}, counted from 0.")
        return _one(console, batch, index)

    return view


# ---- the table


def _table(jobs: Sequence[SeenJob]) -> dict[str, Any]:
    start, limit = _number("from", 0, len(jobs)), _number("limit", 100, _MOST_ROWS)
    text, outcome = request.args.get("text", "").strip().casefold(), _outcome()
    found = [job for job in jobs if outcome in {None, job.outcome} and _holds(job, text)]
    if status := request.args.get("status"):
        found = [job for job in found if _came_to(job, status)]
    found.sort(key=lambda job: (_RANKS[job.outcome], job.index))
    rows = found[start : start + limit]
    reached = start + len(rows)
    return {
        "matched": len(found),
        "total": len(jobs),
        "rows": [job.as_json() for job in rows],
        "next": reached if rows and reached < len(found) else None,
    }


def _number(name: str, usual: int, most: int) -> int:
    text = request.args.get(name) or str(usual)
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        abort(400, f"`{name}` must be a whole number.")
    return min(int(text), most)


def _outcome() -> str | None:
    outcome = request.args.get("outcome") or None
    if outcome not in {None, *_RANKS}:
        abort(400, f"`outcome` must be one of {', '.join(_RANKS)}.")
    return outcome


def _holds(job: SeenJob, text: str) -> bool:
    """Whether a job contains the text somewhere. `#17` matches only the job with this index."""
    if text.startswith("#"):
        return text == f"#{job.index}"
    said = (job.id, f"{job.namespace}.{job.action}", job.http_status, job.error)
    return text == str(job.index) or text in " ".join(str(each or "") for each in said).casefold()


def _came_to(job: SeenJob, status: str) -> bool:
    """Whether its last call got this HTTP status. `none` matches jobs whose call got no status."""
    return job.outcome != WAITING and status == str(job.http_status or "none")


# ---- one job


def _one(console: Console, batch: Batch, index: int) -> dict[str, Any]:
    number = index // batch.chunk_size
    (chunk,) = read_chunks(console.store, batch, range(number, number + 1))
    job = chunk.jobs[index - chunk.indexes.start] if chunk.jobs else None
    answer = chunk.answers(batch.round).get(index)
    sent, got = job.params if job else None, answer.response if answer else None
    return {
        **seen_job(index, job, answer).as_json(),
        "request": sent,
        "response": got,
        "requestBytes": _size(sent),
        "responseBytes": _size(got),
        "idempotencyKey": batch.call_id(index),
        "traceparent": batch.call_traceparent(index),
        "curl": job and _curl(console, batch, job),
    }


def _size(text: str | None) -> int | None:
    return None if text is None else len(text.encode("utf-8", "surrogatepass"))


def _curl(console: Console, batch: Batch, job: Job) -> str:
    """A shell command that runs this job again, as a batch of its own. Variables stand for what
    only the operator of a stage knows."""
    local = console.local
    address = shlex.quote(local.service_address) if local else '"$BATCHBACK_ADDRESS"'
    user = shlex.quote(f"{batch.key}:") + '"$BATCHBACK_SECRET"'
    if local and local.is_demonstration:
        user = shlex.quote(f"{local.key}:{local.secret}")
    body = _body(console, batch, job)
    curl = (
        f"curl -sS -u {user} -H 'Content-Type: application/json' "
        f"{address}'/api/1.0/batch?action=run' -d"
    )
    if len(body) <= _MOST_ARGUMENT_CHARACTERS:
        return f"{curl} {body}"
    return f"printf %s {body} | {curl} @-"


def _body(console: Console, batch: Batch, job: Job) -> str:
    """The batch of one job, quoted for a shell."""
    named = {"id": job.id} if job.id else {}
    called = json.dumps({**named, "namespace": job.namespace, "action": job.action})[1:-1]
    jobs = f'"jobs": [{{{called}, "params": {job.params}}}]}}'
    if console.local is None:
        before, after = '{"callbackUrl": "', _in_ascii(f'", {jobs}')
        return f'{shlex.quote(before)}"$BATCHBACK_CALLBACK_URL"{shlex.quote(after)}'
    terms, _ = find_terms(console, batch)
    url = terms.callback_url if terms else None
    called_back = f'"callbackUrl": {json.dumps(url)}, ' if url else ""
    return shlex.quote(_in_ascii(f"{{{called_back}{jobs}"))


def _in_ascii(text: str) -> str:
    """The same JSON with every other character escaped, so that a terminal shows what it runs."""
    return "".join(char if " " <= char <= "~" else json.dumps(char)[1:-1] for char in text)
