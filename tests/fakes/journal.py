"""A journal that remembers its lines."""

import json


class FakeJournal:
    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def write(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})
        self.put(json.dumps(self.lines[-1], default=str))

    def put(self, line: str) -> None:
        """Where a line would be written. Writes nothing, but the guard of the log listens here."""

    def of(self, event: str) -> list[dict[str, object]]:
        return [line for line in self.lines if line["event"] == event]
