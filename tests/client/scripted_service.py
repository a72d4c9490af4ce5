"""A real HTTP server that checks every signature and follows a script of answers."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from batchback import Job

from chalicelib.domain.signing import SignedRequest, is_fresh, iws_credentials, iws_verifies
from tests.fakes.clock import START

KEY, SECRET = "demo", "demo-secret"
BATCH = "e35e06ee592d17a42dc9e6252a058617"
JOB: Job = {"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as the service received it."""

    #: The path and the query, from /api/1.0 on.
    target: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    #: The port of the client. It stays the same on the same connection.
    port: int = 0

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_signed(self) -> bool:
        request = SignedRequest(headers=self.headers, targets=(self.target,), body=self.body)
        credentials = iws_credentials(self.headers.get("x-api-authorization", ""))
        if credentials is None or credentials[0] != KEY or not is_fresh(request, START):
            return False
        return iws_verifies(request, SECRET, credentials[1])


def refused(error_code: int, specific_code: int, message: str, *reasons: str) -> dict[str, object]:
    """The body of a refusal."""
    body = {"errorCode": error_code, "message": message, "specificCode": specific_code}
    return {**body, "additionalMessages": reasons} if reasons else body


@dataclass(slots=True)
class ScriptedService:
    """Answers 401 to an unsigned request, and otherwise the next answer of its script."""

    address: str = ""
    asked: list[Asked] = field(default_factory=list)
    _script: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)

    def answers(self, *bodies: object, status: int = 200) -> None:
        for body in bodies:
            self.answers_bytes(json.dumps(body).encode(), status=status)

    def answers_bytes(self, body: bytes, *, status: int = 200, **headers: str) -> None:
        self._script.append((status, body, headers))

    def refuses(self, error_code: int, specific_code: int, message: str, *reasons: str) -> None:
        self.answers(refused(error_code, specific_code, message, *reasons), status=error_code)

    def next_answer(self, asked: Asked) -> tuple[int, bytes, dict[str, str]]:
        self.asked.append(asked)
        if not asked.is_signed:
            return 401, b'{"errorCode": 401, "message": "Unauthorized", "specificCode": 0}', {}
        return self._script.pop(0)


@contextmanager
def scripted_service() -> Iterator[ScriptedService]:
    service = ScriptedService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            status, body, headers = service.next_answer(
                Asked(
                    target=self.path[self.path.rindex("/api/1.0") :],
                    path=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers["Content-Length"])),
                    port=self.client_address[1],
                )
            )
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


def nobodys_address() -> str:
    """An address of this machine where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"
