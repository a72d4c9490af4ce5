"""The demonstration receiver: takes callbacks, checks their signatures, remembers them.

    POST /whatever    a callback: answered 200, whoever it is from
    GET  /received    what came, oldest first, and whether its signature verifies
    POST /behave      how to answer from now on: see behaviour.py; `path` says which callbacks

It verifies with the client's `verify_callback`, which knows nothing of what signs callbacks: so it
is a check of that, and not its mirror.
"""

import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

from batchback.verification import NotGenuine, verify_callback

from batchback_local.demonstration.behaviour import Behaviours, fault
from batchback_local.http_server import Answer, HttpServer, Request, json_answer


class DemonstrationReceiver:
    """Where the callbacks go."""

    def __init__(self, *, callback_secret: str) -> None:
        self._secret = callback_secret
        self._behaviours = Behaviours(["path"])
        self._received: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def serve(self, port: int = 0) -> HttpServer:
        return HttpServer(self.answer, port=port, name="receiver")

    def answer(self, request: Request) -> Answer:
        if (request.method, request.path) == ("POST", "/behave"):
            return self._behaviours.told_by(request)
        if request.method == "POST":
            return self._receive(request)
        if (request.method, request.path) == ("GET", "/received"):
            return json_answer(self.received())
        return json_answer(fault(404, f"There is no {request.method} {request.path}"), 404)

    def received(self) -> list[dict[str, Any]]:
        """What came so far, oldest first."""
        with self._lock:
            return list(self._received)

    def _receive(self, request: Request) -> Answer:
        with self._lock:
            self._received.append(
                {
                    "path": request.target,
                    "headers": dict(request.headers),
                    "body": _parsed(request.body),
                    "raw": request.body.decode("utf-8", "replace"),
                    "verified": verifies(request, self._secret),
                    "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                }
            )
        usual = json_answer({"received": True})
        behaviour = self._behaviours.next({"path": request.path})
        if behaviour is None:
            return usual
        time.sleep(behaviour.sleep_seconds)
        return behaviour.answer(usual)


def verifies(request: Request, secret: str) -> bool:
    """Whether one of the signatures was made with the secret, over this very body, just now."""
    try:
        verify_callback(request.headers, request.body, secret)
    except NotGenuine:
        return False
    return True


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
