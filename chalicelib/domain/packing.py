"""Jobs and answers as the compressed bytes that are stored.

A pack is compressed lines of text. The first line is JSON with the short values: a column for each
field, or a single value if all values are equal. Then come the texts, arranged by `columns`. A
caller's data is never converted to a database's own types, which have no floats and shorter
integers. The format is stored, so it changes only together with its version.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Any

from chalicelib.domain import unix_time
from chalicelib.domain.batch import Answer, CallbackAttempt, Job, LastCall, Verdict
from chalicelib.domain.columns import from_columns, to_columns
from chalicelib.domain.strict_json import dump

#: The most bytes in one stored item: DynamoDB's 400 KB less keys and names, with a reserve.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ITEM_BYTES = 380_000


class Unreadable(ValueError):
    """The stored bytes are not what was packed."""


@contextmanager
def _unreadable_if_broken() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, LookupError, OverflowError, zlib.error) as error:
        raise Unreadable from error


def pack_jobs(jobs: Sequence[Job]) -> list[bytes]:
    """Pack the jobs of a chunk into as many pieces as items are needed."""
    packed = _pack(
        [job.params for job in jobs],
        [job.namespace for job in jobs],
        [job.action for job in jobs],
        [job.id for job in jobs],
    )
    return [
        packed[start : start + MAX_ITEM_BYTES] for start in range(0, len(packed), MAX_ITEM_BYTES)
    ]


@_unreadable_if_broken()
def unpack_jobs(pieces: Iterable[bytes], indexes: range) -> tuple[Job, ...]:
    """Return the jobs. Raises Unreadable if a piece is missing or broken."""
    params, namespaces, actions, ids = _unpack(b"".join(pieces), str, str, str | None)
    rows = zip(indexes, namespaces, actions, params, ids, strict=True)
    return tuple(Job(*row) for row in rows)


def pack_answers(answers: Mapping[int, Answer]) -> bytes:
    indexes = sorted(answers)
    in_order = [answers[index] for index in indexes]
    calls = [answer.call for answer in in_order]
    return _pack(
        [answer.response for answer in in_order],
        [after - before for before, after in pairwise([0, *indexes])],
        [answer.verdict for answer in in_order],
        [call and call.http_status for call in calls],
        [call and call.attempts for call in calls],
        [call and call.took_ms for call in calls],
    )


@_unreadable_if_broken()
def unpack_answers(packed: bytes) -> dict[int, Answer]:
    """Return the answers in the order of their jobs. Raises Unreadable if they are broken."""
    responses, steps, verdicts, *calls = _unpack(
        packed, int, str, int | None, int | None, int | None
    )
    rows = zip(accumulate(steps), verdicts, responses, *calls, strict=True)
    return {
        index: Answer(Verdict(verdict), response, _last_call(*call))
        for index, verdict, response, *call in rows
    }


def fitting(answers: Mapping[int, Answer]) -> Iterator[dict[int, Answer]]:
    """Split the answers into groups that each fit in one item, however badly they compress."""
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


def pack_words(words: Mapping[str, str] | None) -> str | None:
    """Pack a mapping of strings; None if it is empty."""
    return dump(words) if words else None


@_unreadable_if_broken()
def unpack_words(text: str) -> dict[str, str]:
    """Return the mapping. Raises Unreadable if it is broken."""
    words = json.loads(text)
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        raise TypeError
    return words


def pack_history(attempts: Iterable[CallbackAttempt]) -> bytes:
    """Pack attempts. Failed attempts often fail for the same reason, which `zlib` compresses to
    almost nothing."""
    rows = [
        [unix_time.compose(each.at), each.status, each.error, each.took_ms] for each in attempts
    ]
    return zlib.compress(dump(rows).encode())


@_unreadable_if_broken()
def unpack_history(packed: bytes) -> tuple[CallbackAttempt, ...]:
    """Return the attempts. Raises Unreadable if they are broken."""
    return tuple(
        CallbackAttempt(at=unix_time.parse(at), status=status, error=error, took_ms=took_ms)
        for at, status, error, took_ms in json.loads(zlib.decompress(packed))
    )


def _last_call(http_status: int | None, attempts: int | None, took_ms: int) -> LastCall | None:
    if attempts is None:
        return None
    return LastCall(http_status=http_status, attempts=attempts, took_ms=took_ms)


def _pack(texts: Sequence[str], *columns: Sequence[object]) -> bytes:
    short = dump([_once_if_equal(column) for column in columns])
    return zlib.compress(f"{short}\n{to_columns(texts)}".encode())


def _unpack(packed: bytes, *kinds: Any) -> list[list[Any]]:
    """Return the texts and then each column."""
    short, _, rest = zlib.decompress(packed).decode().partition("\n")
    texts = from_columns(rest)
    columns = zip(json.loads(short), kinds, strict=True)
    return [texts, *(_repeated(column, kind, len(texts)) for column, kind in columns)]


def _once_if_equal(column: Sequence[object]) -> object:
    return column[0] if len(set(column)) == 1 else column


def _repeated(column: object, kind: Any, times: int) -> list[Any]:
    values = column if isinstance(column, list) else [column] * times
    if not all(isinstance(value, kind) for value in values):
        raise TypeError(f"a value is no {kind}")
    return values
