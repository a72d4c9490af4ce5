"""Jobs and answers in, the bytes of `results` and of the callback out.

The two are the same bytes, and the same every time: requests and responses are spliced in as the
texts that were stored, never parsed and written again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chalicelib.domain.batch import Answer, Batch, Chunk, Counts, Job, Verdict

#: The largest body of an answer to a caller.
MAX_PAGE_BYTES = 3_500_000
#: Lambda takes 6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html),
#: of the body as it is escaped into the function's own JSON answer.
MAX_ESCAPED_BYTES = 5_900_000
#: The largest callback that is sent: it is composed, signed and posted within one lease.
MAX_CALLBACK_BYTES = 50_000_000
#: Large enough that sending one is not all overhead, small beside a body.
_BLOCK_BYTES = 64 * 1024

_BRACKETS = len('{"asyncId":"","results":[]}') + 32
_META = 100


@dataclass(frozen=True, slots=True)
class Result:
    """One job with its answer, as the text a caller gets."""

    index: int
    text: str

    @property
    def indexed(self) -> "Result":
        """As `partial` shows it: a result that says which job it is of."""
        return Result(self.index, f'{{"index":{self.index},{self.text[1:]}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which of the results are asked for."""

    start: int
    per_page: int

    @property
    def places(self) -> range:
        return range(self.start, self.start + self.per_page)


def results_of(chunk: Chunk, round: int) -> Iterator[Result]:
    """The results of a chunk's answered jobs, in the order of the jobs."""
    answers = chunk.answers(round)
    for job in _jobs_or_blanks(chunk):
        if job.index in answers:
            yield Result(job.index, _text(job, answers[job.index]))


def count(chunk: Chunk, round: int) -> Counts:
    """What a finished chunk adds to its batch."""
    verdicts = [answer.verdict for answer in chunk.answers(round).values()]
    succeeded = verdicts.count(Verdict.SUCCEEDED)
    return Counts(
        succeeded=succeeded,
        failed=len(verdicts) - succeeded,
        unanswered=verdicts.count(Verdict.UNANSWERED),
        result_bytes=sum(len(result.text.encode()) for result in results_of(chunk, round)),
    )


def whole_size_bytes(batch: Batch) -> int:
    """The size of a completed batch's `results` and callback, without reading them."""
    return _BRACKETS + batch.answered.result_bytes + batch.total - 1


def fitting(results: Iterable[Result]) -> tuple[list[Result], bool]:
    """As many of the results, from the first on, as fit one answer whole, at least one; and whether
    these are all of them. No more are asked for than tells that."""
    taken: list[Result] = []
    size = escaped = _BRACKETS + _META
    for result in results:
        size += len(result.text.encode()) + 1
        escaped += len(json.dumps(result.text))
        if size > MAX_PAGE_BYTES or escaped > MAX_ESCAPED_BYTES:
            return taken, False
        taken.append(result)
    return taken, True


def next_start(batch: Batch, page: Page, taken: Sequence[Result], *, are_all: bool) -> int | None:
    """Where the page after this one starts; None: there is no job left. It counts jobs and not
    results, which are fewer while jobs have no answer: so every job is on one page."""
    reached = page.places.stop if are_all else taken[-1].index + 1
    return reached if reached < batch.total else None


def pieces(batch_id: str, texts: Iterable[str]) -> Iterator[bytes]:
    """The body of `results` and of the callback, piece by piece."""
    yield f'{{"asyncId":"{batch_id}","results":['.encode()
    separator = ""
    for text in texts:
        yield (separator + text).encode()
        separator = ","
    yield b"]}"


def in_blocks(pieces: Iterable[bytes]) -> Sequence[bytes]:
    """A body held once: joined into one it would be there twice, in its pieces and whole."""
    blocks: list[bytes] = []
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= _BLOCK_BYTES:
            blocks.append(bytes(block))
            block.clear()
    return [*blocks, bytes(block)]


def with_meta(body: bytes, meta: Mapping[str, object]) -> bytes:
    """A page: the body as without paging, and where it stands in the whole."""
    text = json.dumps(meta, separators=(",", ":"))
    return body[:-1] + f',"meta":{text}}}'.encode()


def meta(
    *, total: int | None, page: Page, count: int, following: int | str | None
) -> dict[str, object]:
    """Where a page stands in the whole, if that was counted, and the `start` of the following
    page; None: it is the last."""
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


def _text(job: Job, answer: Answer) -> str:
    return (
        f'{{"namespace":"{job.namespace}","action":"{job.action}",'
        f'"request":{job.params},"response":{answer.response}}}'
    )
