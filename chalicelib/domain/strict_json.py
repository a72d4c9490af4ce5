"""JSON from callers, read more strictly than Python does, and written as compact text.

RFC 8259 throughout: NaN and Infinity are no numbers, bodies are UTF-8. Ours: a key stands once in
an object, nesting ends at 64, a million arrays and objects are enough, and a number that no double
can hold is refused, not rounded. Reading costs time and memory in proportion to the length of the
text, whatever is in it.
"""

import gc
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import NoReturn

MAX_DEPTH = 64
#: As Python's objects they take fifty times the room of their text, which is what bounds the
#: memory that a body can take.
MAX_CONTAINERS = 1_000_000
#: Python reads integers up to this length (`sys.get_int_max_str_digits`), since longer ones take
#: time in the square of it. Every one of them goes through unchanged.
MAX_DIGITS = 4_300


class NotStrictJson(ValueError):
    """The text says why, for the caller."""


def parse(body: bytes) -> object:
    """The value of a JSON text; NotStrictJson where it is none."""
    _check_shape(body)
    try:
        return _decode(body.decode())
    except NotStrictJson:
        raise
    except UnicodeDecodeError as error:
        raise NotStrictJson(f"is not UTF-8 (at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise NotStrictJson(f"is not JSON ({error.msg} at character {error.pos})") from error
    except ValueError as error:
        raise NotStrictJson(f"holds an integer of more than {MAX_DIGITS} digits") from error


def parse_answer(text: str) -> object:
    """The value of a text that goes on to others, together with texts of others. NotStrictJson if
    it is JSON, but of a kind that some reader refuses, and with it all that it came with; any other
    ValueError if it is no JSON."""
    _check_shape(text.encode())
    try:
        value: object = _ANSWER_DECODER.decode(text)
    except RecursionError as error:  # pragma: no cover - the shape is checked
        raise ValueError("is not JSON") from error
    if _SURROGATE.search(text):
        _check_characters(value)
    return value


def dump(value: object) -> str:
    """Compact JSON text that `str.encode` takes whatever strings are in it: a lone surrogate stays
    the escape it came as."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()


def _check_shape(body: bytes) -> None:
    """Refuses what must not become objects. It reads the text alone, which takes a tenth of the
    time that walking the objects would, and holds for the start of a text that breaks off too."""
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"").decode("latin-1")
    outside_strings = "".join(text.split('"')[::2]).encode("latin-1")
    brackets = outside_strings.translate(_OPENS_OR_CLOSES, delete=_NO_BRACKETS)
    if max(accumulate(map((1, -1).__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise NotStrictJson(f"is nested more than {MAX_DEPTH} deep")
    if brackets.count(0) > MAX_CONTAINERS:
        raise NotStrictJson(f"holds more than {MAX_CONTAINERS} arrays and objects")


_OPENS_OR_CLOSES = bytes.maketrans(b"[{]}", b"\0\0\1\1")
_NO_BRACKETS = bytes({*range(256)} - {*b"[{]}"})


def _decode(text: str) -> object:
    with _no_search_for_cycles():
        value: object = _DECODER.decode(text)
    return value


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """JSON holds no cycles, and the collector would look for some again and again among a million
    new lists, which takes longer than making them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotStrictJson(f"has the key {_first_repeated(pairs)[:100]!r} twice in one object")
    return value


def _first_repeated(pairs: list[tuple[str, object]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return ""


def _constant(name: str) -> NoReturn:
    raise NotStrictJson(f"holds {name}, which is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotStrictJson(f"holds the number {text[:50]}, which is too large")
    return number


def _int(text: str) -> int:
    if len(text) > _LONGEST_OF_A_DOUBLE:
        _float(text)
    return int(text)


#: The beginning of an escaped half of a character.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _check_characters(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise NotStrictJson("holds half a character (a lone surrogate)") from error


#: Digits of a number that every double holds.
_LONGEST_OF_A_DOUBLE = 308
_ANSWER_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_float, parse_int=_int)
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
