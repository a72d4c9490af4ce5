"""Jobs and answers as the compressed bytes that are stored.

JSON texts inside compressed JSON: nothing of a caller's is turned into a database's own types,
which have no floats and shorter integers. The format is stored: it changes only with its version.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from chalicelib.domain.batch import Answer, Job, Verdict

#: What one stored item may hold: DynamoDB's 400 KB less keys and names, with room to spare.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ITEM_BYTES = 380_000


class Unreadable(ValueError):
    """What is stored is not what was packed."""


def pack_jobs(jobs: Sequence[Job]) -> list[bytes]:
    """The jobs of a chunk in as many pieces as items are needed."""
    packed = _pack([[job.namespace, job.action, job.params] for job in jobs])
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
    return _pack({index: [answer.verdict, answer.response] for index, answer in answers.items()})


def unpack_answers(packed: bytes) -> dict[int, Answer]:
    try:
        return {
            int(index): Answer(Verdict(verdict), response)
            for index, (verdict, response) in _unpack(packed).items()
        }
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


def _pack(value: object) -> bytes:
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _unpack(packed: bytes) -> Any:
    try:
        return json.loads(zlib.decompress(packed))
    except zlib.error as error:
        raise ValueError from error
