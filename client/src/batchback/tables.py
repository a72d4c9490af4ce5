"""The tables that a terminal shows instead of JSON."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchback.shell import printable
from batchback.wire import Batches, Listed, Results


def fields(value: Mapping[str, object]) -> str:
    """One line for each field, by its name in JSON. Lines are never cut: one may hold a secret."""
    return aligned([*_flat(value)])


def batches(page: Batches) -> str:
    """One line for each batch."""
    head = ["ASYNC ID", "STATUS", "PROGRESS", "FAILED", "CALLBACK", "LABEL", "CREATED"]
    return _fitting([head, *map(_cells_of_batch, page["results"])])


def _cells_of_batch(batch: Listed) -> list[str]:
    jobs, callback = batch.get("jobs"), batch.get("callback")
    return [
        batch["asyncId"],
        batch["status"],
        f"{batch['progress']}%",
        str(jobs["failed"]) if jobs else "-",
        callback["status"] if callback else "-",
        _text(batch.get("label")),
        batch["createdAt"],
    ]


#: The columns that only some services or options return.
_DETAILS = {
    "id": "ID",
    "outcome": "OUTCOME",
    "httpStatus": "HTTP",
    "attempts": "ATTEMPTS",
    "tookMs": "TOOK MS",
}


def results(page: Results) -> str:
    """One line for each result, cut to the width of the terminal."""
    first = page["meta"]["start"] if "meta" in page else 0
    shown = [name for name in _DETAILS if any(name in each for each in page["results"])]
    head = ["JOB", *(_DETAILS[name] for name in shown), "NAMESPACE", "ACTION", "RESPONSE"]
    rows = [
        [
            str(each.get("index", place)),
            *(_text(each.get(name)) for name in shown),
            each["namespace"],
            each["action"],
            _text(each["response"]),
        ]
        for place, each in enumerate(page["results"], first)
    ]
    return _fitting([head, *rows])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """One line for each row, with two spaces between columns."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def _fitting(rows: Sequence[Sequence[str]]) -> str:
    """The aligned lines, cut to the width of the terminal."""
    width = shutil.get_terminal_size().columns
    lines = aligned(rows).split("\n")
    return "\n".join(line if len(line) <= width else f"{line[: width - 3]}..." for line in lines)


def _flat(value: Mapping[Any, object], path: str = "") -> Iterator[list[str]]:
    for name, held in value.items():
        if isinstance(held, Mapping):
            yield from _flat(held, f"{path}{name}.")
        elif isinstance(held, list) and all(isinstance(each, Mapping) for each in held):
            yield from _flat(dict(enumerate(held, 1)), f"{path}{name}.")
        else:
            yield [f"{path}{name}", _text(held)]


def _text(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
