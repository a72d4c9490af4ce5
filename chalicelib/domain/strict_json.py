"""JSON at the door, stricter than Python's own reading of it, and as compact text inside.

RFC 8259 throughout: NaN and Infinity are no numbers, bodies are UTF-8. Ours: a key stands once in
an object, nesting ends at 64, and a number that no double can hold is refused, not rounded.
"""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 64
#: Python reads integers up to this length, and every one of them goes through unchanged.
MAX_DIGITS = 4_300


class NotStrictJson(ValueError):
    """The text says why, for the caller."""


def parse(body: bytes) -> object:
    """The value of a JSON text; NotStrictJson where it is none."""
    try:
        value: object = _DECODER.decode(body.decode())
    except NotStrictJson:
        raise
    except UnicodeDecodeError as error:
        raise NotStrictJson(f"is not UTF-8 (at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise NotStrictJson(f"is not JSON ({error.msg} at character {error.pos})") from error
    except RecursionError as error:
        raise NotStrictJson(_TOO_DEEP) from error
    if _is_deeper_than(value, MAX_DEPTH):
        raise NotStrictJson(_TOO_DEEP)
    return value


def dump(value: object) -> str:
    """Compact JSON text that `str.encode` takes whatever strings are in it: a lone surrogate stays
    the escape it came as."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()


_TOO_DEEP = f"is nested more than {MAX_DEPTH} deep"


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
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise NotStrictJson(f"holds an integer of more than {MAX_DIGITS} digits")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
)


def _is_deeper_than(value: object, depth: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        level = [child for container in level for child in _containers_in(container)]
    return bool(level)


def _containers_in(container: dict[str, object] | list[object]) -> list[Any]:
    children = container.values() if isinstance(container, dict) else container
    return [child for child in children if isinstance(child, dict | list)]
