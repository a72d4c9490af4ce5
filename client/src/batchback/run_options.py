"""The options of `batchback run` that set parameters of the batch."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

#: By the name of the option, which is also the name of the argument of `Client.run`.
PARAMETERS = {
    "callback_url": "callbackUrl",
    "label": "label",
    "metadata": "metadata",
    "callback_results": "callbackResults",
    "callback_headers": "callbackHeaders",
    "deadline_minutes": "deadlineMinutes",
    "max_failed": "maxFailed",
}
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")


def parameters(options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `run` that are given as options."""
    given = {wire: options.get(name) for name, wire in PARAMETERS.items()}
    return {wire: value for wire, value in given.items() if value is not None}


def _metadata(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> object:
    pairs = [_pair(text) for text in given]
    return _unique(pairs) or None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} must have the form NAME=VALUE.")
    return name, value


def _headers(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> object:
    lines = [line for text in given for line in _lines_of(text)]
    headers = _unique(map(_header, lines))
    _unique((name.lower(), name) for name in headers)
    return headers or None


def _lines_of(text: str) -> Iterable[str]:
    """The text itself, or the lines of the file that `@FILE` names."""
    return _lines_in(text[1:]) if text.startswith("@") else [text]


def _lines_in(file: str) -> Iterator[str]:
    try:
        content = Path(file).read_text("utf-8")
    except (OSError, ValueError) as error:  # ValueError: a null character, or not UTF-8
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise click.BadParameter(f"{file} cannot be read ({why}).") from None
    return (line for line in content.splitlines() if line.strip())


def _header(line: str) -> tuple[str, str]:
    """The name and value. An error does not show the line, which may hold a secret."""
    found = _HEADER.fullmatch(line)
    if not found:
        raise click.BadParameter("each header must have the form 'NAME: VALUE'.")
    return found[1], found[2]


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise click.BadParameter(f"{name!r} is given twice.")
        values[name] = value
    return values


OPTIONS = [
    click.Option(
        ["--callback-url"],
        metavar="URL",
        help="Address to POST the results to when all jobs are done.",
    ),
    click.Option(
        ["--callback-results"],
        type=click.Choice(["all", "failed", "none"]),
        help="Which results to include in the callback.",
    ),
    click.Option(
        ["--callback-header", "callback_headers"],
        metavar="'NAME: VALUE'",
        multiple=True,
        callback=_headers,
        help="Header to send with the callback. Repeat it for more. @FILE reads the headers from "
        "FILE, one per line, and so hides them from other users of this machine.",
    ),
    click.Option(
        ["--idempotency-key"],
        metavar="TEXT",
        help="Unique key of this submission. If you retry with it, the batch runs only once.",
    ),
    click.Option(
        ["--label"],
        metavar="TEXT",
        help="Name of the batch in `progress`, `list` and the callback.",
    ),
    click.Option(
        ["--metadata"],
        metavar="NAME=VALUE",
        multiple=True,
        callback=_metadata,
        help="Value to return in `progress` and in the callback. Repeat it for more.",
    ),
    click.Option(
        ["--deadline-minutes"],
        metavar="N",
        type=click.IntRange(min=1),
        help="After N minutes, fail the jobs that have no answer.",
    ),
    click.Option(
        ["--max-failed"],
        metavar="N",
        type=click.IntRange(min=0),
        help="Stop the batch when more than N jobs have failed.",
    ),
    click.Option(
        ["--traceparent"], metavar="TEXT", help="Continue this trace (W3C Trace Context)."
    ),
]
