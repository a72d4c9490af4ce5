"""Jobs and answers as the compressed bytes that are stored.

JSON texts inside compressed JSON: nothing of a caller's is turned into a database's own types,
which have no floats and shorter integers. The format is stored: it changes only with its version.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.domain.batch import Answer, CallbackAttempt, Job, LastCall, Verdict

#: What one stored item may hold: DynamoDB's 400 KB less keys and names, with room to spare.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ITEM_BYTES = 380_000


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Unreadable(ValueError):
    """What is stored is not what was packed."""


def pack_jobs(jobs: Sequence[Job]) -> list[bytes]:
    """The jobs of a chunk in as many pieces as items are needed."""
    packed = _pack([[job.namespace, job.action, job.params, job.id] for job in jobs])
    return [
        packed[start : start + MAX_ITEM_BYTES] for start in range(0, len(packed), MAX_ITEM_BYTES)
    ]


def unpack_jobs(pieces: Iterable[bytes], indexes: range) -> tuple[Job, ...]:
    """The jobs back; Unreadable where a piece is missing or broken."""
    try:
        rows = _unpack(b"".join(pieces))
        return tuple(Job(index, *row) for index, row in zip(indexes, rows, strict=True))
    except (ValueError, TypeError) as error:
        raise Unreadable from error


def pack_answers(answers: Mapping[int, Answer]) -> bytes:
    return _pack({index: _answer_row(answer) for index, answer in answers.items()})


def unpack_answers(packed: bytes) -> dict[int, Answer]:
    try:
        return {int(index): _answer(*row) for index, row in _unpack(packed).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise Unreadable from error


def fitting(answers: Mapping[int, Answer]) -> Iterator[dict[int, Answer]]:
    """The answers in groups that each fit one item, however badly they compress."""
    group: dict[int, Answer] = {}
    size = 0
    for index, answer in answers.items():
        weight = len(answer.response.encode())
        if group and size + weight > MAX_ITEM_BYTES:
            yield group
            group, size = {}, 0
        group[index] = answer
        size += weight
    if group:
        yield group


def pack_words(words: Mapping[str, str]) -> str | None:
    """A mapping of strings; None: it is empty."""
    return _dump(words) if words else None


def unpack_words(text: str | None) -> dict[str, str]:
    return json.loads(text) if text else {}


def pack_history(attempts: Iterable[CallbackAttempt]) -> bytes:
    """Attempts that fail often fail alike, which `zlib` makes nothing of even in a few bytes."""
    rows = [
        [(each.at - _EPOCH) // _MILLISECOND, each.status, each.error, each.took_ms]
        for each in attempts
    ]
    return zlib.compress(_dump(rows).encode())


def unpack_history(packed: bytes) -> tuple[CallbackAttempt, ...]:
    return tuple(
        CallbackAttempt(at=_EPOCH + at * _MILLISECOND, status=status, error=error, took_ms=took_ms)
        for at, status, error, took_ms in json.loads(zlib.decompress(packed))
    )


def _answer_row(answer: Answer) -> list[object]:
    call = answer.call
    made = [call.http_status, call.attempts, call.took_ms] if call else []
    return [answer.verdict, answer.response, *made]


def _answer(verdict: str, response: str, *made: Any) -> Answer:
    return Answer(Verdict(verdict), response, _last_call(*made) if made else None)


def _last_call(http_status: int | None, attempts: int, took_ms: int) -> LastCall:
    return LastCall(http_status=http_status, attempts=attempts, took_ms=took_ms)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _pack(value: object) -> bytes:
    return zlib.compress(_dump(value).encode())


def _unpack(packed: bytes) -> Any:
    try:
        return json.loads(zlib.decompress(packed))
    except zlib.error as error:
        raise ValueError from error
