"""How a demonstration server is told to be slow or to fail: `POST /behave`.

    {"namespace": "event", "action": "inviteContacts", "status": 500, "times": 2}

The next two calls of that action are answered 500. With `"probability": 0.2, "seed": 7` it is one
call in five, which ones is the seed's to say. With `"away": true` nobody is there: connections end
without an answer. `{}` forgets everything that was told.
"""

import json
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchback_local.http_server import Answer, NoAnswer, Request, json_answer

_LONGEST_SLEEP_MS = 600_000
_LARGEST_ANSWER_BYTES = 100_000_000
_FOR_EVER = 10**12
#: What may be told besides what to match, with the smallest and the largest number, or text.
_NUMBERS = {
    "status": (200, 599),
    "sleepMs": (0, _LONGEST_SLEEP_MS),
    "times": (1, _FOR_EVER),
    "bytes": (2, _LARGEST_ANSWER_BYTES),
    "retryAfter": (0, _FOR_EVER),
    "probability": (0, 1),
    "seed": (0, _FOR_EVER),
}
#: Of what kind these numbers may be; the others are whole.
_KINDS = {"probability": {int, float}}
_TEXTS = ("body", "contentType", "retryAfter")
_FLAGS = ("away",)


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """What the next calls get. None: as if nothing had been told."""

    where: Mapping[str, str]
    times_left: int
    #: How likely each of the calls is to get it, and who draws.
    probability: float
    chance: random.Random
    #: Nobody is there.
    is_away: bool
    status: int | None
    sleep_seconds: float
    #: The answer's text as it is, or a JSON object of so many bytes.
    body: str | None
    size_bytes: int | None
    content_type: str
    retry_after: str | None

    def matches(self, call: Mapping[str, str]) -> bool:
        return all(call.get(name) == value for name, value in self.where.items())

    def strikes(self) -> bool:
        """Whether this call, which matches, gets it; if so that is one time less."""
        if not self.times_left or self.chance.random() >= self.probability:
            return False
        self.times_left -= 1
        return True

    def answer(self, usual: Answer) -> Answer:
        """What to answer instead of the usual, or the usual where only time was told; NoAnswer if
        nobody is there."""
        if self.is_away:
            raise NoAnswer
        status = usual.status if self.status is None else self.status
        return Answer(
            status=status,
            body=b"" if status in {204, 304} else self._text(usual, status),
            content_type=self.content_type,
            headers={} if self.retry_after is None else {"Retry-After": self.retry_after},
        )

    def _text(self, usual: Answer, status: int) -> bytes:
        if self.body is not None:
            return self.body.encode("utf-8", "backslashreplace")
        if self.size_bytes is not None:
            return _object_of(self.size_bytes)
        if status >= 300 and status != usual.status:
            return json.dumps(fault(status, "Told to answer so")).encode()
        return usual.body


class Behaviours:
    """What was told, newest first; safe to use from many threads."""

    def __init__(self, matching: Sequence[str]) -> None:
        """`matching` are the names by which a behaviour says which calls it is for."""
        self._matching = matching
        self._told: list[Behaviour] = []
        self._lock = threading.Lock()

    def told_by(self, request: Request) -> Answer:
        """Answers POST /behave."""
        try:
            self.tell(json.loads(request.body or b"{}"))
        except ValueError as error:
            return json_answer(fault(400, str(error)), 400)
        return json_answer({"told": True})

    def tell(self, wish: object) -> None:
        """From now on so; what was told before for the same calls is forgotten."""
        behaviour = self._read(wish) if wish else None
        with self._lock:
            self._told = (
                [behaviour, *(other for other in self._told if other.where != behaviour.where)]
                if behaviour
                else []
            )

    def next(self, call: Mapping[str, str]) -> Behaviour | None:
        """What is told for this call, which counts."""
        with self._lock:
            for behaviour in self._told:
                if behaviour.matches(call) and behaviour.strikes():
                    return behaviour
        return None

    def _read(self, wish: object) -> Behaviour:
        known = {*self._matching, *_NUMBERS, *_TEXTS, *_FLAGS}
        if not isinstance(wish, dict) or not known.issuperset(wish):
            raise ValueError(f"an object with some of {', '.join(sorted(known))} is expected")
        _check(wish)
        return Behaviour(
            where={name: str(wish[name]) for name in self._matching if name in wish},
            times_left=wish.get("times", _FOR_EVER),
            probability=wish.get("probability", 1),
            chance=random.Random(wish.get("seed")),  # noqa: S311 - repeatable, not secret
            is_away=wish.get("away", False),
            status=wish.get("status"),
            sleep_seconds=wish.get("sleepMs", 0) / 1000,
            body=wish.get("body"),
            size_bytes=wish.get("bytes"),
            content_type=wish.get("contentType", "application/json"),
            retry_after=None if "retryAfter" not in wish else str(wish["retryAfter"]),
        )


def fault(status: int, message: str, specific_code: int = 0) -> dict[str, Any]:
    """An error in the API's shape."""
    return {"errorCode": status, "message": message, "specificCode": specific_code}


def _check(wish: Mapping[str, Any]) -> None:
    for name, value in wish.items():
        low, high = _NUMBERS.get(name, (0, -1))
        is_number = type(value) in _KINDS.get(name, {int}) and low <= value <= high
        is_text = isinstance(value, str) and (name not in {*_NUMBERS, *_FLAGS} or name in _TEXTS)
        is_flag = isinstance(value, bool) and name in _FLAGS
        if not (is_number or is_text or is_flag):
            raise ValueError(f"'{name}' cannot be {value!r}")


def _object_of(size_bytes: int) -> bytes:
    """A JSON object of exactly so many bytes."""
    if size_bytes < len(b'{"data":""}'):
        return b"{" + b" " * (size_bytes - 2) + b"}"
    return b'{"data":"%s"}' % (b"x" * (size_bytes - len(b'{"data":""}')))
