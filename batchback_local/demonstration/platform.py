"""The demonstration platform: an API with two actions over real HTTP, which verifies signatures.

POST /api/1.0/event?action=inviteContacts   invites contacts, and answers two links for each;
                                            there is no contact -1
POST /api/1.0/test?action=ping              answers the time
GET  /calls                                 lists the calls, oldest first
POST /behave                                sets how to answer from now on: see behavior.py
GET  /behave                                lists what was set
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from batchback_local.clock import machine_now
from batchback_local.demonstration.behavior import Behaviors, fault
from batchback_local.demonstration.faults import OF_THE_PLATFORM, Switches
from batchback_local.http_server import Answer, HttpServer, Request, json_answer
from chalicelib.domain import signing, wire_time
from chalicelib.domain.signing import SignedRequest

_API = "/api/1.0/"
#: The one contact that does not exist.
_NOBODY = -1


class DemonstrationPlatform:
    """The platform that jobs call. It records every call, including refused ones, with the time of
    the service's clock."""

    def __init__(
        self,
        *,
        key: str,
        secret: str,
        checks_signatures: bool = True,
        now: Callable[[], datetime] = machine_now,
    ) -> None:
        self._key = key
        self._secret = secret
        self._checks_signatures = checks_signatures
        self._now = now
        self._behaviors = Behaviors(["namespace", "action"])
        self.switches = Switches(OF_THE_PLATFORM, self._behaviors)
        self._calls: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def serve(self, port: int = 0) -> HttpServer:
        return HttpServer(self.answer, port=port, name="platform")

    def answer(self, request: Request) -> Answer:
        if request.method == "POST" and request.path.startswith(_API):
            return self._called(request)
        if (request.method, request.path) == ("POST", "/behave"):
            return self._behaviors.told_by(request)
        if (request.method, request.path) == ("GET", "/behave"):
            return json_answer(self._behaviors.told)
        if (request.method, request.path) == ("GET", "/calls"):
            return json_answer(self.calls_so_far())
        return _not_found(f"{request.method} {request.path}")

    def _called(self, request: Request) -> Answer:
        call = {
            "namespace": request.path.removeprefix(_API),
            "action": request.query.get("action", ""),
        }
        remembered = self._remember(request, call)
        answer = self._refusal(request) or _perform(call, request)
        behavior = self._behaviors.next(call)
        if behavior:
            time.sleep(behavior.sleep_seconds)
            answer = behavior.answer(answer)
        remembered["status"] = answer.status
        return answer

    def _remember(self, request: Request, call: dict[str, str]) -> dict[str, Any]:
        named = signing.iws_credentials(request.headers.get("x-api-authorization", ""))
        entry: dict[str, Any] = {
            **call,
            "params": _parsed(request.body),
            "idempotencyKey": request.headers.get("idempotency-key"),
            "traceparent": request.headers.get("traceparent"),
            "key": named[0] if named else None,
            "at": self._now().isoformat(timespec="milliseconds"),
            "status": None,
        }
        with self._lock:
            self._calls.append(entry)
        return entry

    def calls_so_far(self) -> list[dict[str, Any]]:
        """The calls so far, oldest first."""
        with self._lock:
            return [dict(call) for call in self._calls]

    def _refusal(self, request: Request) -> Answer | None:
        """The refusal of a request that is not signed with the key, or None if it is."""
        if not self._checks_signatures:
            return None
        signed = SignedRequest(
            headers=request.headers, targets=(request.target,), body=request.body
        )
        named = signing.iws_credentials(signed.header("x-api-authorization"))
        if not named or named[0] != self._key:
            return json_answer(fault(401, "Unauthorized"), 401)
        if not signing.is_fresh(signed, machine_now()):
            return json_answer(fault(401, "Request is stale", 23005), 401)
        if not signing.iws_verifies(signed, self._secret, named[1]):
            return json_answer(fault(401, "Unauthorized"), 401)
        return None


def _perform(call: dict[str, str], request: Request) -> Answer:
    action = _ACTIONS.get((call["namespace"], call["action"]))
    if action is None:
        return _not_found(f"{call['namespace']}.{call['action']}")
    params = _parsed(request.body)
    if not isinstance(params, dict):
        return json_answer(fault(400, "'body' does not validate", 23016), 400)
    return action(params)


def _invite_contacts(params: dict[str, Any]) -> Answer:
    for name in ("event", "contacts"):
        if name not in params:
            return json_answer(fault(400, f"'{name}' is required", 23017), 400)
    if not isinstance(params["contacts"], list):
        return json_answer(fault(400, "'contacts' does not validate", 23016), 400)
    if _NOBODY in params["contacts"]:
        return json_answer(fault(404, f"There is no contact {_NOBODY}", 24105), 404)
    return json_answer({"results": [_invite(params["event"], one) for one in params["contacts"]]})


def _invite(event: object, contact: object) -> dict[str, Any]:
    """The links of an invitation. Inviting the same contact to the same event again gives the same
    links."""
    invitation = hashlib.sha256(json.dumps([event, contact]).encode()).hexdigest()[:32]
    link = f"https://events.example.com/rsvp/{invitation}"
    return {
        "contact": contact,
        "status": "invited",
        "inviteLinkYes": f"{link}/yes",
        "inviteLinkNo": f"{link}/no",
    }


def _ping(_: dict[str, Any]) -> Answer:
    return json_answer({"ack": wire_time.compose(machine_now())})


_ACTIONS: dict[tuple[str, str], Callable[[dict[str, Any]], Answer]] = {
    ("event", "inviteContacts"): _invite_contacts,
    ("test", "ping"): _ping,
}


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return None


def _not_found(what: str) -> Answer:
    return json_answer(fault(404, f"There is no {what}"), 404)
