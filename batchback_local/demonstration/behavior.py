"""Make a demonstration server slow, or make it fail: `POST /behave`.

    {"namespace": "event", "action": "inviteContacts", "status": 500, "times": 2}

The next two calls of that action are answered with 500. With `"probability": 0.2, "seed": 7`, about
one call in five is, and the seed decides which. With `"away": true`, connections end without an
answer. `{}` removes all behaviors. GET /behave lists those that are set.
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
#: The numeric fields, with the smallest and the largest value.
_NUMBERS = {
    "status": (200, 599),
    "sleepMs": (0, _LONGEST_SLEEP_MS),
    "times": (1, _FOR_EVER),
    "bytes": (2, _LARGEST_ANSWER_BYTES),
    "retryAfter": (0, _FOR_EVER),
    "probability": (0, 1),
    "seed": (0, _FOR_EVER),
}
#: The types of numbers that need not be whole.
_KINDS = {"probability": {int, float}}
_TEXTS = ("body", "contentType", "retryAfter")
_FLAGS = ("away",)


@dataclass(slots=True, kw_only=True)
class Behavior:
    """How to answer the next calls. None means as usual."""

    #: As it was asked for.
    wish: Mapping[str, Any]
    where: Mapping[str, str]
    times_left: int
    #: How likely a matching call gets this behavior, and the random generator that decides.
    probability: float
    chance: random.Random
    #: Whether connections end without an answer.
    is_away: bool
    status: int | None
    sleep_seconds: float
    #: The text of the answer, or the size of a JSON object to answer with.
    body: str | None
    size_bytes: int | None
    content_type: str
    retry_after: str | None

    @property
    def told(self) -> Mapping[str, Any]:
        """The wish, with the number of times that are left of it."""
        return {**self.wish, "times": self.times_left} if "times" in self.wish else self.wish

    def matches(self, call: Mapping[str, str]) -> bool:
        return all(call.get(name) == value for name, value in self.where.items())

    def strikes(self) -> bool:
        """Whether this matching call gets the behavior. If so, it is counted."""
        if not self.times_left or self.chance.random() >= self.probability:
            return False
        self.times_left -= 1
        return True

    def answer(self, usual: Answer) -> Answer:
        """The answer instead of the usual one, or the usual one if only a delay was set. NoAnswer
        if the server is away."""
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
            return json.dumps(fault(status, "As POST /behave asked")).encode()
        return usual.body


class Behaviors:
    """The behaviors that were set, newest first. Threads may share it."""

    def __init__(self, matching: Sequence[str]) -> None:
        """`matching` are the fields that select the calls of a behavior."""
        self._matching = matching
        self._told: list[Behavior] = []
        self._lock = threading.Lock()

    def told_by(self, request: Request) -> Answer:
        """Answer POST /behave."""
        try:
            self.tell(json.loads(request.body or b"{}"))
        except ValueError as error:
            return json_answer(fault(400, str(error)), 400)
        return json_answer({"told": True})

    @property
    def told(self) -> list[Mapping[str, Any]]:
        """What is set now, newest first."""
        with self._lock:
            return [each.told for each in self._told if each.times_left]

    def replace_all(self, wish: Mapping[str, Any] | None) -> None:
        """Set this behavior alone, or none."""
        told = [self._read(wish)] if wish else []
        with self._lock:
            self._told = told

    def tell(self, wish: object) -> None:
        """Set a behavior. It replaces the earlier one for the same calls."""
        behavior = self._read(wish) if wish else None
        with self._lock:
            self._told = (
                [behavior, *(other for other in self._told if other.where != behavior.where)]
                if behavior
                else []
            )

    def next(self, call: Mapping[str, str]) -> Behavior | None:
        """The behavior for this call, which is counted."""
        with self._lock:
            for behavior in self._told:
                if behavior.matches(call) and behavior.strikes():
                    return behavior
        return None

    def _read(self, wish: object) -> Behavior:
        known = {*self._matching, *_NUMBERS, *_TEXTS, *_FLAGS}
        if not isinstance(wish, dict) or not known.issuperset(wish):
            raise ValueError(f"the body must be an object with any of {', '.join(sorted(known))}")
        _check(wish)
        return Behavior(
            wish=wish,
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
            raise ValueError(f"'{name}' cannot be {value!r}: give {_possible(name)}")


def _possible(name: str) -> str:
    kinds = []
    if name in _NUMBERS:
        low, high = _NUMBERS[name]
        kinds = [f"a number from {low} to {high}"]
    if name in _FLAGS:
        kinds = ["true or false"]
    if name in _TEXTS or not kinds:
        kinds = [*kinds, "a text"]
    return " or ".join(kinds)


def _object_of(size_bytes: int) -> bytes:
    """A JSON object of exactly this size."""
    if size_bytes < len(b'{"data":""}'):
        return b"{" + b" " * (size_bytes - 2) + b"}"
    return b'{"data":"%s"}' % (b"x" * (size_bytes - len(b'{"data":""}')))
