"""Reads tests/vectors/hostile-requests.json, which describes its own format."""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.app.events import http_event

_FILE = Path(__file__).parents[1] / "vectors" / "hostile-requests.json"
_HEADERS = {
    "Authorization": "Basic " + base64.b64encode(b"demo:demo-secret").decode(),
    "Content-Type": "application/json",
}
_RUN = {"action": ["run"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A request, and its answer."""

    name: str
    status: int
    #: The specificCode of an error.
    code: int = 0
    method: str = "POST"
    namespace: Any = "batch"
    query: Mapping[str, Any] | None = field(default_factory=lambda: _RUN)
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Any = ""

    @property
    def event(self) -> dict[str, Any]:
        """The request as API Gateway passes it on."""
        headers = _HEADERS | _each_of_many(self.headers, "0")
        return http_event(
            self.method,
            _text(self.namespace),
            query={name: [*map(_text, values)] for name, values in self._query.items()},
            headers={name: _text(value) for name, value in headers.items() if value is not None},
            body=_bytes(self.body),
        )

    @property
    def path(self) -> str:
        """Path and query, as far as they matter to the answer."""
        action = next(iter(self._query.get("action", ())), "")
        is_plain = isinstance(action, str) and action.isalpha()
        return f"/api/1.0/{self.namespace}?action={action if is_plain else ''}"

    @property
    def _query(self) -> dict[str, Any]:
        return _each_of_many(self.query or {}, ["0"])


def vectors() -> list[Vector]:
    return [Vector(**vector) for vector in json.loads(_FILE.read_text("utf-8"))["vectors"]]


def _each_of_many(named: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Replace each name that stands for many by that many names."""
    found: dict[str, Any] = {}
    for name, given in named.items():
        if isinstance(given, dict):
            found |= {f"{name}{number}": value for number in range(given["times"])}
        else:
            found[name] = given
    return found


def _text(part: Any) -> str:
    return _bytes(part).decode("utf-8", "surrogatepass")


def _bytes(part: Any) -> bytes:
    if isinstance(part, str):
        return part.encode("utf-8", "surrogatepass")
    if isinstance(part, list):
        return b"".join(map(_bytes, part))
    if "hex" in part:
        return bytes.fromhex(part["hex"])
    if "repeat" in part:
        return _bytes(part["repeat"]) * int(part["times"])
    if "text" in part:
        encoded: bytes = part["text"].encode(part["as"])
        return encoded
    return ",".join(_series(part)).encode()


def _series(part: Mapping[str, Any]) -> Iterator[str]:
    if "numbered" in part:
        return (part["numbered"].replace("#", str(number)) for number in range(part["times"]))
    rows = itertools.product(part["combined"], repeat=part["length"])
    return (part["as"].replace("#", "".join(row)) for row in rows)
