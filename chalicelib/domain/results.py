"""Turns jobs and answers into the bytes of `results` and of the callback.

Within a round, each of the two always has the same bytes, and they are identical to each other
unless the caller asked for something extra. Requests and responses are inserted as the stored
texts; they are never parsed and serialized again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from chalicelib.domain.batch import (
    Answer,
    Batch,
    CallbackResults,
    Chunk,
    Counts,
    Job,
    SubmissionTerms,
    Verdict,
)
from chalicelib.domain.dataclass import dataclass

#: The largest body of an answer to a caller.
MAX_PAGE_BYTES = 3_500_000
#: Lambda allows 6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html) for
#: the function's own JSON answer, into which the body is escaped.
MAX_ESCAPED_BYTES = 5_900_000
#: How many characters of results are read for one answer, to find those that are shown. There is
#: no time for more.
MAX_LOOKED_AT = 50_000_000
#: The largest callback that is sent: composing, signing and posting it must fit in one lease.
MAX_CALLBACK_BYTES = 50_000_000
#: Large enough to send efficiently, but small compared with a body.
_BLOCK_BYTES = 64 * 1024

_BRACKETS = len('{"asyncId":"","results":[]}') + 32
_META = 100


@dataclass(frozen=True, slots=True)
class Result:
    """One job with its answer, as the text that a caller gets."""

    index: int
    text: str
    #: False if the caller asked for other results.
    is_shown: bool = True


class Only(StrEnum):
    """Which jobs' results are shown."""

    FAILED = "failed"  #: those of every job that did not succeed
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Which results are shown, and what is added to request and response."""

    #: None for the results of all jobs.
    only: Only | None = None
    #: Shows the results so far of a running batch, each with the index of its job.
    partial: bool = False
    #: Shows each with the index and outcome of its job, and what is known of its last call.
    detailed: bool = False

    @property
    def is_weighed(self) -> bool:
        """Whether the batch already knows the size of these results, except for the indexes."""
        return self.only is None and not self.detailed

    def _shows(self, answer: Answer) -> bool:
        has_succeeded = answer.verdict is Verdict.SUCCEEDED
        return self.only is None or has_succeeded is (self.only is Only.SUCCEEDED)

    def result(self, job: Job, answer: Answer) -> Result:
        named = "" if job.id is None else f'"id":"{job.id}",'
        return Result(
            job.index,
            f'{{{named}{self._said_of(job, answer)}"namespace":"{job.namespace}",'
            f'"action":"{job.action}","request":{job.params},"response":{answer.response}}}',
            self._shows(answer),
        )

    def _said_of(self, job: Job, answer: Answer) -> str:
        if self.detailed:
            said = {"index": job.index, **_details(answer)}
        else:
            said = {"index": job.index} if self.partial else {}
        return _dump(said)[1:-1] + "," if said else ""


#: How a callback shows all results.
PLAIN = View()
_OF_CALLBACK = {CallbackResults.ALL: PLAIN, CallbackResults.FAILED: View(only=Only.FAILED)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which of the results are requested."""

    start: int
    per_page: int

    @property
    def places(self) -> range:
        return range(self.start, self.start + self.per_page)


def results_of(chunk: Chunk, round: int, view: View = PLAIN) -> Iterator[Result]:
    """Yield the results of a chunk's answered jobs, shown or not, in the order of the jobs."""
    answers = chunk.answers(round)
    for job in _jobs_or_blanks(chunk):
        if job.index in answers:
            yield view.result(job, answers[job.index])


def count(chunk: Chunk, round: int) -> Counts:
    """Return what a finished chunk adds to the counts of its batch."""
    verdicts = [answer.verdict for answer in chunk.answers(round).values()]
    succeeded = verdicts.count(Verdict.SUCCEEDED)
    return Counts(
        succeeded=succeeded,
        failed=len(verdicts) - succeeded,
        unanswered=verdicts.count(Verdict.UNANSWERED),
        result_bytes=sum(len(result.text.encode()) for result in results_of(chunk, round)),
    )


def whole_size_bytes(batch: Batch, more: Mapping[str, object] | None = None) -> int:
    """Return the size of a completed batch's `results`, or of a callback with all of them and
    `more`, without reading them."""
    follows = len(_dump(more)) - 1 if more else 0
    return _BRACKETS + batch.answered.result_bytes + batch.total - 1 + follows


def callback_view(batch: Batch, which: CallbackResults) -> View | None:
    """Return how the callback shows results; None if it has none."""
    if which is CallbackResults.FAILED and not batch.answered.failed:
        return None
    return _OF_CALLBACK.get(which)


def summary(batch: Batch, terms: SubmissionTerms) -> dict[str, object]:
    """Return what the callback says about the batch after the results. It is empty unless the
    caller gave one of the keys that ask for it, and it is the same throughout a round."""
    has_name = batch.label is not None
    is_plain = terms.callback_results is CallbackResults.ALL and batch.max_failed is None
    if is_plain and not has_name and not terms.metadata:
        return {}
    counts = batch.answered
    return {
        "status": batch.status,
        "jobs": {"total": batch.total, "succeeded": counts.succeeded, "failed": counts.failed},
        **({"label": batch.label} if has_name else {}),
        **({"metadata": {**terms.metadata}} if terms.metadata else {}),
    }


def fitting(results: Iterable[Result]) -> tuple[list[Result], int | None]:
    """Return as many of the shown results as fit in one answer, and the index of the first one that
    does not fit, or None if all of them fit. At least one result is passed, and none is read after
    the first that does not fit."""
    taken: list[Result] = []
    size = escaped = _BRACKETS + _META
    looked_at = 0
    for result in results:
        looked_at += len(result.text)
        if result.is_shown:
            size += len(result.text.encode()) + 1
            escaped += len(json.dumps(result.text))
        is_full = size > MAX_PAGE_BYTES or escaped > MAX_ESCAPED_BYTES
        if is_full or looked_at > MAX_LOOKED_AT:
            return taken, result.index
        if result.is_shown:
            taken.append(result)
    return taken, None


def next_start(batch: Batch, page: Page, stopped_at: int | None) -> int | None:
    """Return where the next page starts; None if there is no job left. Pages count jobs, not
    results, of which there may be fewer, so that every job is on one page."""
    reached = page.places.stop if stopped_at is None else stopped_at
    return reached if reached < batch.total else None


def pieces(
    batch_id: str, texts: Iterable[str], more: Mapping[str, object] | None = None
) -> Iterator[bytes]:
    """Yield the body of `results` or of the callback piece by piece; `more` follows the results."""
    yield f'{{"asyncId":"{batch_id}","results":['.encode()
    separator = ""
    for text in texts:
        yield (separator + text).encode()
        separator = ","
    yield f"],{_dump(more)[1:]}".encode() if more else b"]}"


def in_blocks(pieces: Iterable[bytes], most_bytes: int) -> Sequence[bytes] | None:
    """Return a body in blocks. Joining the pieces would hold it in memory twice. None if it is
    larger than `most_bytes`; then the rest is not read."""
    blocks: list[bytes] = []
    block = bytearray()
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most_bytes:
            return None
        block += piece
        if len(block) >= _BLOCK_BYTES:
            blocks.append(bytes(block))
            block.clear()
    return [*blocks, bytes(block)]


def meta(
    *, total: int | None, page: Page, count: int, following: int | str | None
) -> dict[str, object]:
    """Describe a page: its position, the total if that was counted, and the `start` of the
    following page, which is None on the last one."""
    counted = {} if total is None else {"totalResults": total}
    return {
        **counted,
        "start": page.start,
        "perPage": page.per_page,
        "count": count,
        "next": following,
    }


def _jobs_or_blanks(chunk: Chunk) -> Iterator[Job]:
    if chunk.jobs is not None:
        return iter(chunk.jobs)
    return (Job(index, "", "", "{}") for index in chunk.indexes)


def _details(answer: Answer) -> dict[str, object]:
    call = answer.call
    return {
        "outcome": answer.verdict.name.lower(),
        "httpStatus": call and call.http_status,
        "attempts": call and call.attempts,
        "tookMs": call and call.took_ms,
    }


def _dump(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"))
