"""What the local service says while it runs: on stderr, for people.

The service logs a line of JSON for each request, message and delivery on stdout, where Lambda
collects it. Here that becomes words, and what went as it should is left out where there is much of
it.
"""

import io
import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO

#: What is left out: the events of which there are many, when they end so.
_EXPECTED: dict[str, set[object]] = {"call failed": {"failed"}, "request": {200}}
#: Fields that say nothing here, where there is one account, or that are shown otherwise.
_UNSHOWN = {"event", "stage", "account", "traceback", "round"}


def say(text: str) -> None:
    """One line on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class ReadableLog(io.TextIOBase):
    """Stands in for stdout."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for line in text.splitlines():
            shown = _readable(line)
            if shown:
                self._stream.write(shown + "\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def _readable(line: str) -> str:
    """The line for people; empty: not worth one."""
    fields = _fields(line)
    if fields is None:
        return line
    event = fields["event"]
    if fields.get("outcome", fields.get("status")) in _EXPECTED.get(event, set()):
        return ""
    shown = " ".join(f"{name}={value}" for name, value in fields.items() if _is_shown(name))
    trace = fields.get("traceback", "")
    return f"{datetime.now().astimezone():%H:%M:%S} {event} {shown}\n{trace}".rstrip()


def _is_shown(name: str) -> bool:
    """Metrics, and what CloudWatch reads of them, do not begin with a small letter."""
    return name not in _UNSHOWN and name[0].islower()


def _fields(line: str) -> Mapping[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "event" in fields else None
