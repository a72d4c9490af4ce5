"""The demonstration receiver: accepts callbacks, verifies their signatures, records them.

    POST /any-path    accepts a callback: always answered with 200
    GET  /received    lists the callbacks, oldest first, and whether each signature verifies
    POST /behave      sets how to answer from now on: see behavior.py; `path` selects callbacks
    GET  /behave      lists what was set

It verifies with the client's `verify_callback`, which shares no code with the service's signing, so
each checks the other.
"""

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from batchback.verification import NotGenuine, verify_callback

from batchback_local.clock import machine_now
from batchback_local.demonstration.behavior import Behaviors, fault
from batchback_local.demonstration.faults import OF_THE_RECEIVER, Switches
from batchback_local.http_server import Answer, HttpServer, Request, json_answer


class DemonstrationReceiver:
    """The server that callbacks go to. It records when each came by the service's clock, and checks
    signatures by the machine's, as any receiver does."""

    def __init__(self, *, callback_secret: str, now: Callable[[], datetime] = machine_now) -> None:
        self._secret = callback_secret
        self._now = now
        self._behaviors = Behaviors(["path"])
        self.switches = Switches(OF_THE_RECEIVER, self._behaviors)
        self._received: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def serve(self, port: int = 0) -> HttpServer:
        return HttpServer(self.answer, port=port, name="receiver")

    def answer(self, request: Request) -> Answer:
        if (request.method, request.path) == ("POST", "/behave"):
            return self._behaviors.told_by(request)
        if request.method == "POST":
            return self._receive(request)
        if (request.method, request.path) == ("GET", "/behave"):
            return json_answer(self._behaviors.told)
        if (request.method, request.path) == ("GET", "/received"):
            return json_answer(self.received())
        return json_answer(fault(404, f"There is no {request.method} {request.path}"), 404)

    def received(self) -> list[dict[str, Any]]:
        """The callbacks so far, oldest first."""
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
                    "at": self._now().isoformat(timespec="milliseconds"),
                }
            )
        usual = json_answer({"received": True})
        behavior = self._behaviors.next({"path": request.path})
        if behavior is None:
            return usual
        time.sleep(behavior.sleep_seconds)
        return behavior.answer(usual)


def verifies(request: Request, secret: str) -> bool:
    """Whether one of the signatures was made with the secret, over exactly this body, within the
    last minutes."""
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
