"""The items of batches in the table: how they are written and read.

Table `batches`, partition key `batch_id`, sort key `part`:

    0#head                                       the head: `Batch`, an attribute for each field
    0#terms#<submission>                         what never changes besides the jobs
    1#<submission>#0007#0jobs#00                 the jobs of chunk 7, packed; #01 .. if too large
    1#<submission>#0007#1answers#0001#0000       flush 0 of round 1, packed; put once, never changed
    1#<submission>#0007#2trying#00181            exists while job 181 runs after a worker's death

Numbers are padded, so that one Query returns a chunk, or all chunks in order, sorted by `part`.
An attribute that is None, false or an empty set is absent. The usage of accounts is in `usage`.

Every item has a `format`; docs/upgrading.md has the rules for changing it. Attributes and parts
that a later release adds to a format are ignored.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chalicelib.domain import packing, unix_time
from chalicelib.domain.batch import (
    AnswersPart,
    Batch,
    CallbackAttempt,
    CallbackResults,
    Chunk,
    Counts,
    Due,
    Job,
    Listed,
    Marker,
    SubmissionTerms,
)
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.trace import TraceContext
from chalicelib.errors import TooNew

#: The version of the items' format, which is in every item. An item without one has format 1.
FORMAT = 1

HEAD = "0#head"
#: The `due` index is spread over this many partitions.
DUE_BUCKETS = 4

MINUTE = timedelta(minutes=1)
ALL = CallbackResults.ALL

Item = dict[str, Any]


def known(item: Item, up_to: int = FORMAT) -> Item:
    """Return the item if this release knows its format, or raise TooNew."""
    version = _int(item.get("format"))
    if version > up_to:
        raise TooNew("A stored item", version, up_to)
    return item


def key(batch_id: str, part: str) -> Item:
    return {"batch_id": {"S": batch_id}, "part": {"S": part}}


def terms_part(submission: str) -> str:
    return f"0#terms#{submission}"


def chunk_prefix(submission: str, chunk: int) -> str:
    return f"1#{submission}#{chunk:04}#"


def after_chunk(submission: str, chunk: int) -> str:
    """A text that sorts after the last part of a chunk."""
    return f"{chunk_prefix(submission, chunk)}~"


def chunk_of(item: Item) -> int:
    return int(item["part"]["S"].split("#")[2])


def _common(batch: Batch, part: str) -> Item:
    """The attributes of every item of a batch."""
    return {
        **key(batch.batch_id, part),
        "format": {"N": str(FORMAT)},
        "expires_at": number(batch.expires_at),
    }


def terms_item(batch: Batch, terms: SubmissionTerms) -> Item:
    attributes = {
        "callback_url": _attribute(terms.callback_url),
        "callback_results": _attribute(
            None if terms.callback_results is ALL else terms.callback_results
        ),
        "callback_headers": _attribute(packing.pack_words(terms.callback_headers)),
        "metadata": _attribute(packing.pack_words(terms.metadata)),
        "deadline": _attribute(terms.deadline // MINUTE if terms.deadline else None),
    }
    return {
        **_common(batch, terms_part(batch.submission)),
        "request_hash": {"S": terms.request_hash},
        **{name: value for name, value in attributes.items() if value is not None},
    }


def read_terms(item: Item) -> SubmissionTerms:
    known(item)
    minutes = _optional_int(item.get("deadline"))
    return SubmissionTerms(
        callback_url=_text(item.get("callback_url")),
        request_hash=item["request_hash"]["S"],
        callback_results=CallbackResults(_text(item.get("callback_results")) or ALL),
        callback_headers=_words(item.get("callback_headers")),
        metadata=_words(item.get("metadata")) or {},
        deadline=minutes * MINUTE if minutes else None,
    )


def _words(attribute: Item | None) -> Mapping[str, str] | None:
    """Read a mapping of strings. None if it cannot be read."""
    try:
        return packing.unpack_words(attribute["S"]) if attribute else {}
    except packing.Unreadable:
        return None


def jobs_items(batch: Batch, jobs: Sequence[Job]) -> Iterator[Item]:
    for chunk in batch.chunks:
        indexes = batch.indexes(chunk)
        for number, piece in enumerate(packing.pack_jobs(jobs[indexes.start : indexes.stop])):
            part = f"{chunk_prefix(batch.submission, chunk)}0jobs#{number:02}"
            yield {**_common(batch, part), "packed": {"B": piece}}


def answers_item(batch: Batch, chunk: int, part: AnswersPart) -> Item:
    prefix = chunk_prefix(batch.submission, chunk)
    return {
        **_common(batch, f"{prefix}1answers#{part.round:04}#{part.number:04}"),
        "packed": {"B": packing.pack_answers(part.answers)},
    }


def marker_part(batch: Batch, chunk: int, index: int) -> str:
    return f"{chunk_prefix(batch.submission, chunk)}2trying#{index:05}"


def marker_item(batch: Batch, chunk: int, index: int, marker: Marker) -> Item:
    return {
        **_common(batch, marker_part(batch, chunk, index)),
        "round": {"N": str(marker.round)},
        "hops": {"N": str(marker.hops)},
        "receive_count": {"N": str(marker.receive_count)},
        "deaths": {"N": str(marker.deaths)},
    }


def _marker(item: Item) -> Marker:
    return Marker(
        round=_int(item["round"]),
        hops=_int(item["hops"]),
        receive_count=_int(item["receive_count"]),
        deaths=_int(item["deaths"]),
    )


def read_chunk(batch: Batch, number: int, items: Iterable[Item]) -> Chunk:
    pieces: list[bytes] = []
    parts: list[AnswersPart] = []
    markers: dict[int, Marker] = {}
    for item in map(known, items):
        kind, *numbers = item["part"]["S"].split("#")[3:]
        if kind == "0jobs":
            pieces.append(item["packed"]["B"])
        elif kind == "2trying":
            markers[int(numbers[0])] = _marker(item)
        elif kind == "1answers":
            parts.append(_answers_part(int(numbers[0]), int(numbers[1]), item["packed"]["B"]))
    return Chunk(
        number=number,
        indexes=batch.indexes(number),
        jobs=_jobs(pieces, batch.indexes(number)),
        parts=tuple(parts),
        markers=markers,
    )


def _jobs(pieces: list[bytes], indexes: range) -> tuple[Job, ...] | None:
    try:
        return packing.unpack_jobs(pieces, indexes)
    except packing.Unreadable:
        return None


def _answers_part(round: int, number: int, packed: bytes) -> AnswersPart:
    """Read a flush. One that cannot be read keeps its number, but has no answers."""
    try:
        return AnswersPart(round=round, number=number, answers=packing.unpack_answers(packed))
    except packing.Unreadable:
        return AnswersPart(round=round, number=number, answers={})


#: The attributes for each group of counts. No job in `counts` is unanswered.
COUNTS = {
    "counts": {"succeeded": "succeeded", "failed": "failed", "result_bytes": "result_bytes"},
    "unanswered_counts": {
        "succeeded": "unanswered_succeeded",
        "failed": "unanswered_failed",
        "unanswered": "unanswered_jobs",
        "result_bytes": "unanswered_result_bytes",
    },
}


def head_item(batch: Batch) -> Item:
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    attributes = attributes_of(values, batch.batch_id)
    return {
        **_common(batch, HEAD),
        **{name: value for name, value in attributes.items() if value is not None},
    }


def attributes_of(values: Mapping[str, object], batch_id: str) -> dict[str, Any]:
    """Return fields as attributes. None means that the attribute is absent."""
    attributes: dict[str, Any] = {}
    for name, value in values.items():
        if name in COUNTS:
            for part, attribute in COUNTS[name].items():
                attributes[attribute] = {"N": str(getattr(value, part))}
        else:
            attributes[name] = _attribute(value)
    if "due_at" in values:
        is_due = values["due_at"] is not None
        attributes["due_bucket"] = {"S": due_bucket(batch_id)} if is_due else None
    return attributes


def _attribute(value: object) -> Any:
    if isinstance(value, datetime):
        return number(value)
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, bool):
        return {"BOOL": True} if value else None
    if isinstance(value, frozenset):
        return {"NS": [str(number) for number in sorted(value)]} if value else None
    if isinstance(value, TraceContext):
        return {"S": f"{value.trace_id}-{value.flags}"}
    if isinstance(value, tuple):
        return {"B": packing.pack_history(value)} if value else None
    return None if value is None else {"N": str(value)}


def number(moment: datetime) -> Any:
    """Return a time as DynamoDB's TTL requires it, in seconds since 1970, with three decimals."""
    return {"N": f"{moment.timestamp():.3f}"}


def due_bucket(batch_id: str) -> str:
    return str(int(batch_id[:8], 16) % DUE_BUCKETS)


def read_due(item: Item) -> Due:
    due_at = moment(item["due_at"])
    assert due_at is not None  # noqa: S101 - an index key is never absent
    return Due(batch_id=item["batch_id"]["S"], due_at=due_at)


def listed_key(account: str, listed: Listed) -> Item:
    """The key of a batch in the index of its account."""
    return {
        **key(listed.batch_id, HEAD),
        "account": {"S": account},
        "created_at": number(listed.created_at),
    }


def read_listed(item: Item) -> Listed:
    return Listed(batch_id=item["batch_id"]["S"], created_at=time_of(item["created_at"]["N"]))


def read_head(item: Item | None) -> Batch | None:
    return _batch(known(item)) if item and "voided" not in item else None


def _batch(item: Item) -> Batch:
    values = {name: read(item.get(name)) for name, read in _READERS.items()}
    return Batch(
        **values,
        counts=_counts("counts", item),
        unanswered_counts=_counts("unanswered_counts", item),
    )


def _counts(group: str, item: Item) -> Counts:
    return Counts(**{part: _int(item.get(name)) for part, name in COUNTS[group].items()})


def _int(attribute: Item | None) -> int:
    return int(attribute["N"]) if attribute else 0


def _optional_int(attribute: Item | None) -> int | None:
    return int(attribute["N"]) if attribute else None


def _text(attribute: Item | None) -> str | None:
    return attribute["S"] if attribute else None


def _flag(attribute: Item | None) -> bool:
    return bool(attribute and attribute["BOOL"])


def moment(attribute: Item | None) -> datetime | None:
    return None if attribute is None else time_of(attribute["N"])


def time_of(seconds: str) -> datetime:
    return unix_time.EPOCH + timedelta(microseconds=int(Decimal(seconds) * 1_000_000))


def _numbers(attribute: Item | None) -> frozenset[int]:
    return frozenset(map(int, attribute["NS"])) if attribute else frozenset()


def _trace(attribute: Item | None) -> TraceContext | None:
    return TraceContext(*attribute["S"].split("-")) if attribute else None


def _history(attribute: Item | None) -> tuple[CallbackAttempt, ...]:
    """Read the history. One that cannot be read is lost, and the batch continues without it."""
    try:
        return packing.unpack_history(attribute["B"]) if attribute else ()
    except packing.Unreadable:
        return ()


_READERS: Mapping[str, Callable[[Item | None], Any]] = {
    "batch_id": _text,
    "submission": _text,
    "account": _text,
    "key": _text,
    "total": _int,
    "chunk_size": _int,
    "state": lambda attribute: BatchState(_text(attribute) or ""),
    "round": _int,
    "created_at": moment,
    "round_began_at": moment,
    "deadline": moment,
    "expires_at": moment,
    "completed_at": moment,
    "cancelled": _flag,
    "label": _text,
    "has_metadata": _flag,
    "trace": _trace,
    "max_failed": _optional_int,
    "stopped": _flag,
    "done": _numbers,
    "unanswered": _numbers,
    "next_check_at": moment,
    "checks": _int,
    "checked_at": moment,
    "done_at_last_check": _int,
    "waits_until": moment,
    "sentinel_at": moment,
    "callback": lambda attribute: CallbackState(_text(attribute) or ""),
    "callback_round": _int,
    "attempts": _int,
    "next_try_at": moment,
    "lease": _text,
    "lease_ends_at": moment,
    "history": _history,
    "due_at": moment,
    "rerun": _text,
}
