"""Parse JSON as strictly as the service does, to find faults before anything is sent.

It follows RFC 8259 and the service's additional rules: no duplicate keys in an object, no more than
64 levels of nesting, and no number that is too large for a double. The same test cases hold the
client and the service to this; only the service also limits the body as a whole.
"""

import json
import math
from itertools import accumulate
from typing import NoReturn

MAX_DEPTH = 64
#: Python reads integers up to this length (`sys.get_int_max_str_digits`).
MAX_DIGITS = 4_300


class NotStrictJson(ValueError):
    """The text is not strict JSON; the message says why."""


def parse(body: bytes) -> object:
    """Return the value of a JSON text; NotStrictJson if it is not one."""
    _check_depth(body)
    try:
        value: object = _DECODER.decode(body.decode())
    except NotStrictJson:
        raise
    except UnicodeDecodeError as error:
        raise NotStrictJson(f"is not UTF-8 (at byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise NotStrictJson(f"is not JSON ({error.msg} at character {error.pos})") from error
    except ValueError as error:
        raise NotStrictJson(f"holds an integer of more than {MAX_DIGITS} digits") from error
    return value


def dump(value: object) -> str:
    """Compact JSON text that can be encoded as UTF-8: lone surrogates stay escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()


def _check_depth(body: bytes) -> None:
    """Check the nesting before parsing, which could end in a RecursionError."""
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"").decode("latin-1")
    outside_strings = "".join(text.split('"')[::2])
    brackets = outside_strings.encode("latin-1").translate(None, delete=_NO_BRACKETS)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise NotStrictJson(f"is nested more than {MAX_DEPTH} deep")


_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes({*range(256)} - {*_STEPS})


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for key, item in pairs:
        if key in value:
            raise NotStrictJson(f"has the key {key[:100]!r} twice in one object")
        value[key] = item
    return value


def _constant(name: str) -> NoReturn:
    raise NotStrictJson(f"holds {name}, which is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotStrictJson(f"holds the number {text[:50]}, which is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
