"""The log of the local service: on stderr, for people.

The service logs each request, message and delivery as a line of JSON on stdout, where Lambda
collects it. Here the lines become words, and frequent events are left out if they went as expected.
"""

import io
import json
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TextIO

#: The frequent events, with the outcomes that are left out.
_EXPECTED: dict[str, set[object]] = {"call failed": {"failed"}, "request": {200}}
#: Fields that are always the same here, or that are shown in another way.
_UNSHOWN = {"event", "stage", "account", "traceback", "round"}


def say(text: str) -> None:
    """Print one line on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class ReadableLog(io.TextIOBase):
    """Replaces stdout, and writes log lines as words to a stream, with the time of the service's
    clock."""

    def __init__(self, stream: TextIO, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._now = now

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for line in text.splitlines():
            shown = _readable(line, self._now())
            if shown:
                self._stream.write(shown + "\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def _readable(line: str, now: datetime) -> str:
    """The line for people. It is empty if the event is left out."""
    fields = _fields(line)
    if fields is None:
        return line
    event = fields["event"]
    if fields.get("outcome", fields.get("status")) in _EXPECTED.get(event, set()):
        return ""
    shown = " ".join(f"{name}={value}" for name, value in fields.items() if _is_shown(name))
    trace = fields.get("traceback", "")
    return f"{now.astimezone():%H:%M:%S} {event} {shown}\n{trace}".rstrip()


def _is_shown(name: str) -> bool:
    """Whether to show a field. Those of metrics do not begin with a lower-case letter."""
    return name not in _UNSHOWN and name[0].islower()


def _fields(line: str) -> Mapping[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) and "event" in fields else None
