"""JSON as the commands print it: in ASCII, safe for every terminal and pipe, and with numbers as
they arrived."""

import json


class Number(float):
    """A fractional number that keeps the text it was read from: a float alone would turn `1.10`
    into `1.1`, and `1e-400` into 0."""

    text: str

    def __new__(cls, text: str) -> "Number":
        number = super().__new__(cls, text)
        number.text = text
        return number


def dump(value: object, margin: str = "\n") -> str:
    """JSON text with a line for each value and lone surrogates escaped."""
    inner = f"{margin}  "
    if isinstance(value, dict):
        items = [f"{json.dumps(name)}: {dump(held, inner)}" for name, held in value.items()]
        return _between("{", items, "}", margin)
    if isinstance(value, list | tuple):
        return _between("[", [dump(held, inner) for held in value], "]", margin)
    return value.text if isinstance(value, Number) else json.dumps(value)


def line(value: object) -> str:
    """The same JSON on one line."""
    if isinstance(value, dict):
        items = [f"{json.dumps(name)}: {line(held)}" for name, held in value.items()]
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(line, value))}]"
    return value.text if isinstance(value, Number) else json.dumps(value)


def _between(begin: str, items: list[str], end: str, margin: str) -> str:
    inner = f"{margin}  "
    return f"{begin}{inner}{f',{inner}'.join(items)}{margin}{end}" if items else begin + end
