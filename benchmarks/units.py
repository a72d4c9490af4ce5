"""How DynamoDB, SQS and Lambda meter usage: their published rules as arithmetic.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

import math
from collections.abc import Mapping
from typing import Any

Item = Mapping[str, Any]

_WRITE_UNIT_BYTES = 1024
_READ_UNIT_BYTES = 4096
_SQS_CHUNK_BYTES = 64 * 1024


def item_bytes(item: Item) -> int:
    """Return the size of an item: its attributes' names and values."""
    return sum(_utf8(name) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Mapping[str, Any]) -> int:
    """Return the size of an attribute's value as the client holds it: binaries are not base64."""
    [(kind, content)] = value.items()
    if kind in {"BOOL", "NULL"}:
        return 1
    if kind == "L":
        return 3 + sum(1 + value_bytes(element) for element in content)
    if kind == "M":
        return 3 + sum(1 + _utf8(name) + value_bytes(part) for name, part in content.items())
    if kind in {"SS", "NS", "BS"}:
        return sum(value_bytes({kind[0]: element}) for element in content)
    return {"S": _utf8, "N": number_bytes, "B": len}[kind](content)


def number_bytes(text: str) -> int:
    """One byte for every two significant digits, plus one; zeros at either end do not count."""
    mantissa, _, _ = text.lower().partition("e")
    digits = mantissa.lstrip("+-").replace(".", "").strip("0")
    return math.ceil(len(digits) / 2) + 1


def write_units(size_bytes: int) -> int:
    """Return the units of a standard write: one per started KB, at least one."""
    return max(1, math.ceil(size_bytes / _WRITE_UNIT_BYTES))


def read_units(size_bytes: int, *, consistent: bool) -> float:
    """Return the units of a read, or of everything one Query reads: one per started 4 KB, at least
    one, and half of that if the read is eventually consistent. Reading a missing item costs too."""
    units = max(1, math.ceil(size_bytes / _READ_UNIT_BYTES))
    return units if consistent else units / 2


def put_units(before: Item | None, after: Item | None) -> int:
    """Return the units of a put, an update, a delete or a failed condition, by the larger of the
    item before and the item after."""
    return write_units(max(item_bytes(item) if item else 0 for item in (before, after)))


def index_units(before: Item | None, after: Item | None) -> int:
    """Return the units of changing an index entry: none if it stays the same; if its keys change,
    the old entry is deleted and the new one put."""
    if before == after:
        return 0
    return sum(write_units(item_bytes(entry)) for entry in (before, after) if entry is not None)


def sqs_requests(size_bytes: int) -> int:
    """Return the billed requests of one call with that many bytes of messages: one per started
    64 KB, at least one."""
    return max(1, math.ceil(size_bytes / _SQS_CHUNK_BYTES))


def _utf8(text: str) -> int:
    return len(text.encode())
