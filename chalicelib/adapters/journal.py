"""The log: one line of JSON per unit of work, on standard output, where Lambda collects it."""

import json
import sys
import traceback
from typing import TextIO


class JsonJournal:
    """Writes each event with its fields as one line. Values are written as they are: whoever
    writes hands in no bodies, secrets or query strings."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def write(self, event: str, **fields: object) -> None:
        known = {name: value for name, value in fields.items() if value is not None}
        line = json.dumps({"event": event, **known}, default=str)
        (self._stream or sys.stdout).write(line + "\n")

    def write_exception(self, event: str, error: BaseException, **fields: object) -> None:
        """An unexpected error, with its traceback, in one line too."""
        trace = "".join(traceback.format_exception(error))
        self.write(event, error=type(error).__name__, traceback=trace, **fields)
