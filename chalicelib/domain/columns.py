"""Arranges similar texts, such as the answers of one action, in columns, which compress better.

JSON texts of one kind differ only in their values. Each text is cut into pieces that end with a
value. Pieces that begin with the same literal form a column, which is one line of text. What all
values of a column begin and end with is kept once, in the first line, which also says which columns
make up each text.

This module does not parse JSON: any text comes back unchanged, and a text that is cut in an
unfortunate place only compresses worse.
"""

import json
import re
from collections.abc import Iterable, Sequence

from chalicelib.domain.strict_json import dump

#: A string that is not a name, or a number. It contains no control characters, which are the
#: separators here.
_VALUE = re.compile(
    r'(?<=[:,\[])("[^"\\\x00-\x1f]*+(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*+)*+"(?!:)|-?\d[0-9.eE+-]*+)'
)
#: Longer texts stay whole, because their repetitions are closer together than they would be in
#: columns.
_MOST_CHARACTERS_CUT = 4_000


def to_columns(texts: Sequence[str]) -> str:
    """Return the texts as lines: one line of JSON, then one line for each column."""
    all_parts = [_cut(text) if len(texts) > 1 else [text, ""] for text in texts]
    columns = _gather(all_parts)
    frames = {literal: _frame(values) for literal, values in columns.items()}
    lines = ["\t".join(_without(frames[literal], values)) for literal, values in columns.items()]
    numbers = {literal: number for number, literal in enumerate(columns)}
    shape_of_each = [tuple(numbers[literal] for literal in parts[::2]) for parts in all_parts]
    shapes = [*dict.fromkeys(shape_of_each)]
    head = [
        [[literal + start, end] for literal, (start, end) in frames.items()],
        shapes,
        [shapes.index(shape) for shape in shape_of_each],
    ]
    return "\n".join([dump(head), *lines])


def from_columns(stored: str) -> list[str]:
    """Return the original texts. Raises ValueError, TypeError or LookupError if the input is not in
    this form."""
    head, *lines = stored.split("\n")
    frames, shapes, of_texts = json.loads(head)
    columns = [
        [start + middle + end for middle in reversed(line.split("\t"))]
        for (start, end), line in zip(frames, lines, strict=True)
    ]
    texts = ["".join([columns[number].pop() for number in shapes[shape]]) for shape in of_texts]
    if any(columns):
        raise ValueError("more values than the texts need")
    return texts


def _cut(text: str) -> list[str]:
    """Cut a text into literals and values in turn."""
    return [*(_VALUE.split(text) if len(text) <= _MOST_CHARACTERS_CUT else [text]), ""]


def _gather(all_parts: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    """Group the values by the literal that they follow."""
    columns: dict[str, list[str]] = {}
    for parts in all_parts:
        for literal, value in zip(parts[::2], parts[1::2], strict=True):
            columns.setdefault(literal, []).append(value)
    return columns


def _frame(values: Sequence[str]) -> tuple[str, str]:
    """Return what all values begin with, and what the rest of all of them ends with."""
    start = _shared_start(values)
    end = _shared_start([value[len(start) :][::-1] for value in values])[::-1]
    return start, end


def _shared_start(values: Sequence[str]) -> str:
    least, most = min(values), max(values)
    differing = (n for n, pair in enumerate(zip(least, most, strict=False)) if len({*pair}) > 1)
    return least[: next(differing, len(least))]


def _without(frame: tuple[str, str], values: Iterable[str]) -> list[str]:
    start, end = map(len, frame)
    return [value[start : len(value) - end] for value in values]
