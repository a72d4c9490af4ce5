"""Restart, repost and cancel a batch, and run its failed jobs again as a new batch.

An action happens only if the batch is still as the page showed it, and only one at a time, so the
second of two clicks finds that the batch has changed. The failed jobs of one round always become
the same new batch.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, abort

from batchback_console.console import Console
from batchback_console.offers import ACTIONS, offer
from batchback_console.views.reading import find_batch, find_terms, sent
from batchback_ops.ops.parts import read_chunks
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Batch, Chunk, Job, SubmissionTerms
from chalicelib.domain.submission import Submission
from chalicelib.errors import (
    CallerError,
    Conflict,
    NotSaved,
    OutcomeUnknown,
    ServiceError,
    TooManyRequests,
    Unavailable,
    chain,
)

#: The outcome of an action: a sentence, and the batch to show.
Done = tuple[str, str]


def routes(console: Console) -> Blueprint:
    view = Blueprint("actions", __name__)
    actions = Actions(console=console)

    @view.post(f"/batches/<batch_id>/<any({','.join(ACTIONS)}):name>")
    def act(batch_id: str, name: str) -> dict[str, Any]:
        try:
            said, found = actions.act(name, batch_id, _seen(sent()))
        except CallerError as error:
            abort(_STATUS.get(error.error_code, 409), _sentence(error))
        return {"said": said, "batchId": found}

    return view


_STATUS = {404: 404, 429: 429}


def _seen(body: object) -> str:
    seen = body.get("seen") if isinstance(body, dict) else None
    if not isinstance(seen, str):
        abort(400, "`seen` is missing: send the `seen` of this action from the batch.")
    return seen


def _sentence(error: CallerError) -> str:
    if isinstance(error, TooManyRequests):
        return f"{error.message}. Retry in {error.retry_after} s."
    return error.message


@dataclass(frozen=True, kw_only=True)
class Actions:
    """Does what an offer promises, for the batch's own account and with its own key."""

    console: Console
    one_at_a_time: AbstractContextManager[Any] = field(default_factory=threading.Lock)

    def act(self, name: str, batch_id: str, seen: str) -> Done:
        """CallerError or an HTTP error, each with a sentence, if it cannot be done now."""
        acts: dict[str, Callable[[Batch], Done]] = {
            "restart": self._restart,
            "repost": self._repost,
            "cancel": self._cancel,
            "rerunFailed": self._rerun_failed,
        }
        with self.one_at_a_time:
            batch = find_batch(self.console, batch_id)
            self._require_offer(name, batch, seen)
            return acts[name](batch)

    def _require_offer(self, name: str, batch: Batch, seen: str) -> None:
        now = offer(name, batch, self.console.clock.now())
        if now.seen != seen:
            raise Conflict("The batch has changed since you looked: look again, then decide.")
        if not now.may:
            raise Conflict(now.effect)

    def _restart(self, batch: Batch) -> Done:
        self._require_key(batch)
        self.console.service.rerunner.restart(_caller(batch), batch.batch_id)
        begun = find_batch(self.console, batch.batch_id)
        if begun.round == batch.round:
            return "The batch is being checked.", batch.batch_id
        again = _runs(batch.answered.unanswered)
        return f"Round {begun.round} has begun: {again} again.", batch.batch_id

    def _repost(self, batch: Batch) -> Done:
        self.console.service.rerunner.repost(_caller(batch), batch.batch_id)
        return "The callback is being sent again.", batch.batch_id

    def _cancel(self, batch: Batch) -> Done:
        self.console.service.rerunner.cancel(_caller(batch), batch.batch_id)
        return "The batch is being cancelled.", batch.batch_id

    def _rerun_failed(self, batch: Batch) -> Done:
        """The new batch's id follows from the old batch and its round, so a repeat finds it."""
        self._require_key(batch)
        wanted = rerun_of(batch, self._terms(batch), self._chunks(batch))
        name = f"failed jobs of {batch.callback_id}"
        try:
            submitted = self.console.service.submitter.submit_batch(
                _caller(batch), wanted, name.encode(), name
            )
        except (NotSaved, OutcomeUnknown) as error:
            raise _of_the_database(error)  # noqa: B904 - it keeps a cause of its own
        if submitted.was_there:
            return "This batch runs them already, so none was submitted twice.", submitted.batch_id
        return f"A new batch has begun: {_runs(len(wanted.jobs))} again.", submitted.batch_id

    def _require_key(self, batch: Batch) -> None:
        """Without its key, each job would only get the answer that the key is revoked."""
        key = self.console.keys.find_key(batch.key)
        if key is None or not key.may_sign_for(batch.account):
            raise Conflict(
                f"Its key {batch.key} has been revoked, so its jobs cannot run: submit them with "
                "another key."
            )

    def _terms(self, batch: Batch) -> SubmissionTerms:
        terms, damage = find_terms(self.console, batch)
        if terms is None:
            raise Conflict(damage or "")
        return terms

    def _chunks(self, batch: Batch) -> Iterator[Chunk]:
        return read_chunks(self.console.store, batch, batch.chunks)


def _of_the_database(error: ServiceError) -> Exception:
    """The failure behind an error that says only that the batch was not saved, if there is one."""
    found = (each for each in chain(error) if isinstance(each, Unavailable))
    return next(found, Conflict("The new batch was not saved: retry."))


def rerun_of(batch: Batch, terms: SubmissionTerms, chunks: Iterable[Chunk]) -> Submission:
    """The jobs that did not succeed, in order and with their ids, on the terms of their batch. The
    limit `max_failed` was meant for all jobs, so it is left out, as in a restart."""
    jobs = [job for chunk in chunks for job in _not_succeeded(batch, chunk)]
    return Submission(
        jobs=tuple(replace(job, index=index) for index, job in enumerate(jobs)),
        callback_url=terms.callback_url,
        callback_results=terms.callback_results,
        callback_headers=terms.callback_headers or {},
        label=batch.label,
        metadata=terms.metadata,
        deadline=terms.deadline,
        trace=batch.trace,
    )


def _not_succeeded(batch: Batch, chunk: Chunk) -> Iterator[Job]:
    failed = chunk.failed(batch.round)
    if failed and chunk.jobs is None:
        raise Conflict("Some of its failed jobs cannot be read, so they cannot be run again.")
    return (job for job in chunk.jobs or () if job.index in failed)


def _runs(jobs: int) -> str:
    return "1 job runs" if jobs == 1 else f"{jobs:,} jobs run"


def _caller(batch: Batch) -> Caller:
    return Caller(account=batch.account, key=batch.key)
