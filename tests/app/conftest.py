"""The real app.py, driven as by API Gateway and SQS, on adapters in memory."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from chalice.test import Client

from chalicelib import settings, wiring
from chalicelib.service import Service
from tests.app.events import batch_event, jobs_event
from tests.description import faults_of
from tests.fakes.ports import InMemory

ENVIRONMENT = {"STAGE": "local", "PLATFORM_ADDRESS": "http://127.0.0.1:9"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Front(InMemory):
    """A service in memory, and ways to call it."""

    def __init__(self, client: Client, **variables: str) -> None:
        super().__init__()
        self._client = client
        self._settings = settings.read({**ENVIRONMENT, **variables})
        self.service = Service(self._settings, self.ports)

    def replace(self, **ports: Any) -> None:
        """Replace some of the service's ports from now on."""
        self.service = Service(self._settings, replace(self.ports, **ports))

    def send(
        self,
        path: str,
        body: bytes = b"",
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer, after checking that docs/openapi.yaml describes it."""
        got = self._client.http.request(method, path, headers=headers or {}, body=body)
        answer = Answer(got.status_code, dict(got.headers), got.body)
        if method != "OPTIONS":  # Chalice's test client answers these itself
            assert faults_of(method, path, answer.status, answer.headers, answer.body) == []
        return answer

    def take(self, event: dict[str, Any]) -> Answer:
        """Return the answer to an event from API Gateway, again checked against the description."""
        import app

        got = app.app(event, Context(29))
        answer = Answer(
            got["statusCode"], {**got["headers"], **got["multiValueHeaders"]}, got["body"].encode()
        )
        asked = event["multiValueQueryStringParameters"] or {}
        namespace = quote(event["pathParameters"]["namespace"], safe="")
        path = f"/api/1.0/{namespace}?{urlencode(asked, doseq=True)}"
        method = event["requestContext"]["httpMethod"]
        assert faults_of(method, path, answer.status, answer.headers, answer.body) == []
        return answer

    def call(
        self, action: str, body: object = None, *, key: str = "demo", secret: str = "demo-secret"
    ) -> Answer:
        """Make a call with HTTP Basic; `body` is a value, or the exact bytes."""
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        path = f"/api/1.0/batch?action={action}" if "?" not in action else f"/api/1.0/{action}"
        return self.send(path, raw, headers=basic(key, secret))

    def work_off(self) -> None:
        """Give every waiting message to its function, as SQS would, until none is left."""
        import app

        while self.queue.is_busy:
            for message, _ in self.queue.take_jobs():
                app.run_jobs(jobs_event(message), Context(60))
            for check, _ in self.queue.take_batches():
                app.advance_batch(batch_event(check), Context(120))
            for callback, _ in self.queue.take_callbacks():
                app.call_back(batch_event(callback), Context(120))


@dataclass(frozen=True)
class Context:
    """A function's remaining time; Chalice's own context always says three seconds."""

    seconds: float

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def basic(key: str, secret: str) -> dict[str, str]:
    credentials = base64.b64encode(f"{key}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    import app

    with Client(app.app, stage_name="local") as client:
        yield client


@pytest.fixture
def front(client: Client, monkeypatch: pytest.MonkeyPatch) -> Front:
    return serve(client, monkeypatch)


def serve(client: Client, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Front:
    """Create a service with other settings."""
    front = Front(client, **variables)
    monkeypatch.setattr(wiring, "service", lambda: front.service)
    return front
