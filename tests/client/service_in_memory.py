"""The whole real service in memory, and a session that reaches it without a network."""

from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import requests
from batchback import Client

from chalicelib.api import HttpRequest
from tests.client.scripted_service import KEY, SECRET
from tests.operations.world import World

ADDRESS = "http://batch.example.com"


class InMemorySession(requests.Session):
    """Passes each request to the service's API."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        #: The actions that were called.
        self.asked: list[str] = []

    def post(self, url: Any, data: Any = None, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        parts = urlsplit(url)
        request = HttpRequest(
            method="POST",
            namespace=parts.path.rpartition("/")[2],
            query=parse_qs(parts.query),
            headers={name.lower(): value for name, value in kwargs["headers"].items()},
            body=data,
            paths=[parts.path],
        )
        self.asked.append(cast(str, request.action))
        answer = self._world.service.api.answer(request)
        response = requests.Response()
        response.status_code = answer.status
        response._content = answer.body.encode()
        response.headers.update(answer.headers)
        return response


def client_of(world: World, session: requests.Session | None = None) -> Client:
    """A client that uses the clock of the world."""
    return Client(
        ADDRESS,
        KEY,
        SECRET,
        session=session or InMemorySession(world),
        now=world.clock.now,
        sleep=lambda seconds: world.clock.advance(seconds=seconds),
        monotonic=lambda: world.clock.now().timestamp(),
    )
