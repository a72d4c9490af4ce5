"""Parses callers' JSON more strictly than Python does, and writes compact JSON.

RFC 8259 requires that NaN and Infinity are refused and that bodies are UTF-8. The other rules are
our own: a key may occur only once in an object, nesting is limited to 64 levels and a text to a
million arrays and objects, and a number too large for a double is refused, not rounded. Parsing
takes time and memory in proportion to the length of the text, whatever it contains.
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
#: As Python objects, arrays and objects take fifty times the size of their text. This limits the
#: memory that a body can take.
MAX_CONTAINERS = 1_000_000
#: Python parses integers up to this length (`sys.get_int_max_str_digits`), because parsing takes
#: quadratic time. All of these pass through unchanged.
MAX_DIGITS = 4_300


class NotStrictJson(ValueError):
    """The text is not JSON, or not strict enough. The message tells the caller why."""


def parse(body: bytes) -> object:
    """Return the value of a JSON text, or raise NotStrictJson."""
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
    """Return the value of a text that is later sent together with texts of others. Raises
    NotStrictJson if some reader would refuse this JSON, and everything sent with it; raises another
    ValueError if the text is not JSON."""
    _check_shape(text.encode())
    try:
        value: object = _ANSWER_DECODER.decode(text)
    except RecursionError as error:  # pragma: no cover - the shape was checked
        raise ValueError("is not JSON") from error
    if _SURROGATE.search(text):
        _check_characters(value)
    return value


def dump(value: object) -> str:
    """Return compact JSON text that `str.encode` accepts, whatever strings it contains: a lone
    surrogate stays escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()


def _check_shape(body: bytes) -> None:
    """Refuse texts that must not be turned into objects. Scanning the text takes a tenth of the
    time of walking the objects, and also works if the text breaks off. A text with fewer
    brackets than one may nest needs no scan."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
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
    """Turn off the garbage collector: JSON contains no cycles, but the collector would search a
    million new lists for them, which takes longer than creating them."""
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


#: The beginning of an escaped surrogate, which is half of a character.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _check_characters(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise NotStrictJson("holds half a character (a lone surrogate)") from error


#: Every number with this many digits fits in a double.
_LONGEST_OF_A_DOUBLE = 308
_ANSWER_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_float, parse_int=_int)
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
