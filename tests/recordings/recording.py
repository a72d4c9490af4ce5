"""Recordings as data, and how they are compared with what happens now."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.app.conftest import Answer
from tests.fakes.http import Call, Post

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "answers-before"

#: One recorded answer, call or callback: its name, whether it may gain keys, and its content.
Recorded = dict[str, Any]

#: Headers whose values contain the submission of the batch, and are not compared.
_IDS = frozenset({"webhook-id", "webhook-signature", "idempotency-key"})
#: Of a longer body only the hash is recorded.
_LONGEST_TEXT = 3_000
_LONGEST_BEGINNING = 200


def same(name: str, answer: Answer) -> Recorded:
    """An answer that must stay the same, byte for byte."""
    return _answer(name, answer, may_grow=False)


def grown(name: str, answer: Answer) -> Recorded:
    """An answer that may gain headers and keys, but must not lose or change any."""
    return _answer(name, answer, may_grow=True)


def called(call: Call) -> Recorded:
    """A call of the platform, as the port sees it."""
    return {
        "name": "call",
        "namespace": call.namespace,
        "action": call.action,
        "key": call.key,
        "body": text_of(call.body),
    }


def posted(post: Post) -> Recorded:
    """A callback, as the port sees it."""
    return {
        "name": "callback",
        "url": post.url,
        "headers": without_ids(post.headers),
        "body": text_of(post.body),
    }


def without_ids(headers: Mapping[str, str]) -> dict[str, str | None]:
    """Headers in the order in which they are sent, without the values that contain an id."""
    return {name: None if name.lower() in _IDS else value for name, value in headers.items()}


def text_of(body: bytes) -> str | dict[str, object]:
    if len(body) <= _LONGEST_TEXT:
        return body.decode()
    return {
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "begins": body[:_LONGEST_BEGINNING].decode(errors="ignore"),
    }


def differences(before: Iterable[Recorded], now: Iterable[Recorded]) -> list[str]:
    """Describe each difference from the recording."""
    before, now = [*before], [*now]
    names = [each["name"] for each in before], [each["name"] for each in now]
    if names[0] != names[1]:
        return [f"{names[1]} instead of {names[0]}"]
    return [
        f"{one['name']} (number {number}): {fault}"
        for number, (one, other) in enumerate(zip(before, now, strict=True))
        for fault in _faults(one, other)
    ]


def file_of(story: str) -> Path:
    return FOLDER / f"{story}.json"


def read(story: str) -> list[Recorded]:
    found: list[Recorded] = json.loads(file_of(story).read_text("utf-8"))
    return found


def write(story: str, seen: Iterable[Recorded]) -> None:
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps([*seen], ensure_ascii=False, indent=1)
    with file_of(story).open("x", encoding="utf-8") as file:  # fails if it exists
        file.write(text + "\n")


def _answer(name: str, answer: Answer, *, may_grow: bool) -> Recorded:
    body = answer.body.decode() if may_grow else text_of(answer.body)
    return {
        "name": name,
        "may_grow": may_grow,
        "status": answer.status,
        "headers": answer.headers,
        "body": body,
    }


def _faults(before: Recorded, now: Recorded) -> Iterator[str]:
    if not before.get("may_grow"):
        yield from (
            f"{part} is {now.get(part)!r} instead of {before.get(part)!r}"
            for part in sorted({*before, *now})
            if not _is_identical(before.get(part), now.get(part))
        )
        return
    yield from _losses("status", before["status"], now["status"])
    yield from _losses("headers", before["headers"], now["headers"])
    yield from _losses("body", _values(before["body"]), _values(now["body"]))


def _is_identical(one: object, other: object) -> bool:
    """Compare the order of keys too, because it is the order in which headers are sent."""
    return json.dumps(one) == json.dumps(other)


def _losses(where: str, before: object, now: object) -> Iterator[str]:
    """Describe what was lost or changed in a value, at every depth. Keys must keep their order."""
    if isinstance(before, dict) and isinstance(now, dict):
        kept = [key for key in now if key in before]
        if kept != [*before]:
            yield f"{where} has {kept} instead of {[*before]}"
        for key in kept:
            yield from _losses(f"{where}.{key}", before[key], now[key])
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from _losses(f"{where}[{index}]", one, other)
    elif before != now or type(before) is not type(now):
        yield f"{where} is {now!r} instead of {before!r}"


def _values(body: str) -> object:
    """The JSON value, with numbers as they are written."""
    return json.loads(body, parse_int=_Number, parse_float=_Number)


class _Number(str):
    __slots__ = ()
