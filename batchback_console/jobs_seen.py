"""Remembers the outcome of each job, so that watching a batch reads only what has changed.

The jobs of a finished chunk do not change within a round, so they are read once. Only some of the
others are read each time, because a large batch that waits would otherwise be read again and again.
The answers of one batch can be as large as 3.5 GB, so each look reads only a part of them.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchback_ops.ops.parts import read_chunks
from chalicelib.domain.batch import Answer, Batch, Chunk, Job, Verdict
from chalicelib.operations.ports import BatchStore

#: How much of an error is kept.
ERROR_CHARACTERS = 300
#: How many unfinished chunks are read again each time.
_READ_AGAIN = 20
#: How many chunks that are not needed may be read between two that are, to save a request.
_GAP = 3
#: How many bytes of answers a look reads: of new chunks, and of those that it reads again. It ends
#: after the chunk that reaches the limit.
_MOST_BYTES, _MOST_BYTES_AGAIN = 32_000_000, 4_000_000
#: About 100 MB.
_MOST_BATCHES, _MOST_JOBS = 50, 200_000
#: The keys under which APIs explain an error, in order of preference.
_EXPLANATIONS = ("message", "error", "detail", "title")

SUCCEEDED, FAILED, UNANSWERED, WAITING = "s", "f", "u", "w"
_LETTERS = {
    Verdict.SUCCEEDED: SUCCEEDED,
    Verdict.FAILED: FAILED,
    Verdict.UNANSWERED: UNANSWERED,
}


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job and its outcome so far."""

    index: int
    id: str | None
    namespace: str
    action: str
    #: A letter: s, f, u or w.
    outcome: str
    http_status: int | None = None
    error: str | None = None
    attempts: int | None = None
    took_ms: int | None = None
    #: False: its chunk has not been read yet.
    is_read: bool = True

    def as_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "id": self.id,
            "namespace": self.namespace,
            "action": self.action,
            "outcome": self.outcome,
            "httpStatus": self.http_status,
            "error": self.error,
            "attempts": self.attempts,
            "tookMs": self.took_ms,
        }


def seen_job(index: int, job: Job | None, answer: Answer | None) -> SeenJob:
    """A job and its outcome. `job` is None if it cannot be read, `answer` None while it waits."""
    named = (job.id, job.namespace, job.action) if job else (None, "", "")
    if answer is None:
        return SeenJob(index, *named, WAITING)
    call = answer.call
    return SeenJob(
        index,
        *named,
        _LETTERS[answer.verdict],
        call.http_status if call else None,
        None if answer.verdict is Verdict.SUCCEEDED else _error(answer),
        call.attempts if call else None,
        call.took_ms if call else None,
    )


@dataclass(slots=True)
class _SeenChunk:
    jobs: Sequence[SeenJob]
    #: Whether the chunk was finished when it was read.
    is_final: bool
    #: In which reading of the batch it was read.
    read: int


@dataclass(slots=True)
class _SeenBatch:
    """The chunks of one round of a batch."""

    chunks: dict[int, _SeenChunk] = field(default_factory=dict)
    readings: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, store: BatchStore, batch: Batch) -> None:
        """Read what has changed, up to the limits of one look."""
        self.readings += 1
        missing = [number for number in batch.chunks if self._is_outdated(number, batch)]
        self._read(store, batch, missing, _MOST_BYTES)
        self._read(store, batch, self._next_unfinished(), _MOST_BYTES_AGAIN)

    def _read(
        self, store: BatchStore, batch: Batch, numbers: Iterable[int], most_bytes: int
    ) -> None:
        found = (each for run in _runs(numbers) for each in read_chunks(store, batch, run))
        for chunk in found:
            self._keep(batch, chunk)
            most_bytes -= _answered_bytes(chunk)
            if most_bytes <= 0:
                return

    def jobs(self, number: int, batch: Batch) -> Sequence[SeenJob]:
        """The jobs of a chunk. If it was never read, they count as waiting."""
        if number in self.chunks:
            return self.chunks[number].jobs
        return [
            SeenJob(index, None, "", "", WAITING, is_read=False) for index in batch.indexes(number)
        ]

    def _next_unfinished(self) -> list[int]:
        """The chunk that was read longest ago, and those after it, because neighbors are read in
        one request. Those that this look has read are left out."""
        unfinished = [
            number
            for number, chunk in sorted(self.chunks.items())
            if not chunk.is_final and chunk.read < self.readings
        ]
        if not unfinished:
            return []
        first = min(unfinished, key=lambda number: self.chunks[number].read)
        return [number for number in unfinished if first <= number < first + _READ_AGAIN]

    def _is_outdated(self, number: int, batch: Batch) -> bool:
        """Whether the chunk was never read, or has been finished since."""
        seen = self.chunks.get(number)
        return seen is None or (number in batch.done and not seen.is_final)

    def _keep(self, batch: Batch, chunk: Chunk) -> None:
        answers = chunk.answers(batch.round)
        jobs = chunk.jobs or [None] * len(chunk.indexes)
        seen = [
            seen_job(index, job, answers.get(index))
            for index, job in zip(chunk.indexes, jobs, strict=True)
        ]
        is_final = chunk.number in batch.done
        self.chunks[chunk.number] = _SeenChunk(seen, is_final, self.readings)


class JobsSeen:
    """The jobs of the batches that were shown recently. Threads may share it."""

    def __init__(self) -> None:
        self._batches: OrderedDict[tuple[str, str, int], _SeenBatch] = OrderedDict()
        self._lock = threading.Lock()

    def jobs(self, store: BatchStore, batch: Batch) -> list[SeenJob]:
        """All jobs of a batch, in their order. If the answers are large, it takes several looks
        until all are read."""
        seen = self._seen(batch)
        with seen.lock:
            seen.look(store, batch)
            return [job for number in batch.chunks for job in seen.jobs(number, batch)]

    def _seen(self, batch: Batch) -> _SeenBatch:
        key = batch.batch_id, batch.submission, batch.round
        with self._lock:
            seen = self._batches.setdefault(key, _SeenBatch())
            self._batches.move_to_end(key)
            while len(self._batches) > 1 and self._is_full:
                self._batches.popitem(last=False)
            return seen

    @property
    def _is_full(self) -> bool:
        jobs = sum(
            len(chunk.jobs) for seen in self._batches.values() for chunk in [*seen.chunks.values()]
        )
        return len(self._batches) > _MOST_BATCHES or jobs > _MOST_JOBS


def _answered_bytes(chunk: Chunk) -> int:
    """The approximate size of its answers in all rounds."""
    return sum(len(each.response) for part in chunk.parts for each in part.answers.values())


def _runs(numbers: Iterable[int]) -> Iterator[range]:
    """Ranges that contain the numbers, and few others: a request costs more than a chunk."""
    run = range(0)
    for number in numbers:
        if run and number >= run.stop + _GAP:
            yield run
            run = range(0)
        run = range(run.start if run else number, number + 1)
    if run:
        yield run


def _error(answer: Answer) -> str:
    """What went wrong, such as `404 No such contact`."""
    status = answer.call and answer.call.http_status
    try:
        response = json.loads(answer.response)
    except (ValueError, RecursionError):
        response = None
    told = response if isinstance(response, dict) else {}
    code = told.get("errorCode", status)
    texts = [told[name] for name in _EXPLANATIONS if isinstance(told.get(name), str)]
    said = texts[0] if texts else answer.response
    return f"{code} {said}"[:ERROR_CHARACTERS] if _is_code(code) else said[:ERROR_CHARACTERS]


def _is_code(code: object) -> bool:
    return isinstance(code, int) and not isinstance(code, bool) and 0 <= code < 1_000_000
