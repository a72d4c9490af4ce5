"""The console of a stage in memory, called as its page calls it, with the token."""

from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient

from batchback_console.console import Console
from batchback_console.guard import Guard
from batchback_console.server import create_app
from batchback_ops.stage import Stage
from tests.operations.world import World

_PORT = 8001
_TOKEN = "a token"
_HEADERS = {"Host": f"127.0.0.1:{_PORT}", "Authorization": f"Bearer {_TOKEN}"}
STAGE = Stage(name="local", variables={}, environ={})


def console_of(
    world: World, *, stage: Stage = STAGE, may_act: bool = True, **given: Any
) -> Console:
    return Console(
        stage=stage,
        store=world.store,
        keys=world.keys,
        service=world.service,
        clock=world.clock,
        may_act=may_act,
        accounts=lambda: ["acme"],
        **given,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: Any


class Page:
    """Sends requests as the page does."""

    def __init__(self, console: Console) -> None:
        #: What was printed in the terminal.
        self.told: list[str] = []
        guard = Guard(port=_PORT, token=_TOKEN, may_act=console.may_act)
        self._client: FlaskClient = create_app(console, guard, self.told.append).test_client()

    def gets(self, path: str) -> Any:
        answer = self.asks("GET", path)
        assert answer.status == 200, answer.body
        return answer.body

    def raw(self, path: str) -> str:
        """The text of an answer, as it is sent."""
        return self._client.get(f"/api{path}", headers=_HEADERS).get_data(as_text=True)

    def posts(self, path: str, body: object = None) -> Answer:
        return self.asks("POST", path, json={} if body is None else body)

    def asks(self, method: str, path: str, **more: Any) -> Answer:
        answer = self._client.open(f"/api{path}", method=method, headers=_HEADERS, **more)
        return Answer(status=answer.status_code, body=answer.get_json())
