"""What only the console of the local service can do: send a batch, make the platform or the
receiver fail, and move the clock."""

import threading
from datetime import timedelta
from typing import Any, NoReturn

from flask import Blueprint, abort

from batchback_console.console import Console
from batchback_console.local_tools import Demonstration, Fault, LocalTools, NotPossible
from batchback_console.views.reading import sent
from batchback_ops.ops.batch_life import time

#: How far the clock may be moved at once: longer than any batch is kept.
_MOST_SECONDS = 30 * 86_400


def routes(console: Console) -> Blueprint:
    view = Blueprint("local", __name__)
    moving = threading.Lock()

    @view.get("/local")
    def show() -> dict[str, Any]:
        return _state(console, _tools(console))

    @view.post("/local/batches")
    def send() -> dict[str, str]:
        return {"batchId": _send(_tools(console), _given("text"))}

    @view.post("/local/faults")
    def fail() -> dict[str, Any]:
        _fail(_server(_tools(console), _given("of")), _given("name"))
        return _state(console, _tools(console))

    @view.post("/local/clock")
    def move() -> dict[str, Any]:
        with moving:  # so that the second of two moves sees what the first has made due
            _move(console, _tools(console))
        return _state(console, _tools(console))

    return view


def _send(tools: LocalTools, text: object) -> str:
    if not isinstance(text, str):
        abort(400, "`text` must be the text of a batch.")
    try:
        return tools.send(text)
    except NotPossible as reason:
        abort(422, str(reason))


def _fail(server: Demonstration, name: object) -> None:
    if not (name is None or isinstance(name, str)):
        abort(400, "`name` must be the name of a fault, or null.")
    try:
        server.fail(name)
    except NotPossible as reason:
        abort(409, str(reason))


def _move(console: Console, tools: LocalTools) -> None:
    if tools.why_fixed:
        abort(409, tools.why_fixed)
    tools.move_clock(_span(console, tools))


def _tools(console: Console) -> LocalTools:
    if console.local is None:
        abort(404, "Only the console of `batchback local` can do this.")
    return console.local


def _given(field: str) -> Any:
    body = sent()
    if not isinstance(body, dict):
        abort(400, "The body must be a JSON object.")
    return body.get(field)


def _server(tools: LocalTools, of: object) -> Demonstration:
    if of == "receiver":
        return tools.receiver
    if of != "platform":
        abort(400, "`of` must be platform or receiver.")
    if tools.platform is None:
        abort(409, f"The platform at {tools.platform_address} is your own: it has no switches.")
    return tools.platform


def _span(console: Console, tools: LocalTools) -> timedelta:
    """How far to move the clock."""
    if _given("to") == "next":
        due = tools.next_due(console.store) or _nothing_is_due()
        return max(timedelta(), due.at - console.clock.now())
    seconds = _given("seconds")
    if type(seconds) is not int or not 1 <= seconds <= _MOST_SECONDS:
        abort(400, f"`to` must be next, or `seconds` a whole number from 1 to {_MOST_SECONDS}.")
    return timedelta(seconds=seconds)


def _nothing_is_due() -> NoReturn:
    abort(409, "Nothing is due: no open batch waits for anything.")


def _state(console: Console, tools: LocalTools) -> dict[str, Any]:
    now = console.clock.now()
    pause = console.store.find_pause()
    return {
        "platform": {
            "address": tools.platform_address,
            "isDemonstration": tools.platform is not None,
            "fault": _fault(tools.platform),
        },
        "receiver": {"address": tools.receiver_address, "fault": _fault(tools.receiver)},
        "faults": {"platform": _faults(tools.platform), "receiver": _faults(tools.receiver)},
        "clock": _clock(console, tools),
        "isPaused": pause is not None and pause.lasts(now),
        "example": tools.example,
        "serviceAddress": tools.service_address,
    }


def _clock(console: Console, tools: LocalTools) -> dict[str, Any]:
    due = None if tools.why_fixed else tools.next_due(console.store)
    return {
        "now": time(console.clock.now()),
        "aheadSeconds": tools.ahead.total_seconds(),
        "nextDue": due and {"at": time(due.at), "what": due.what},
        "whyFixed": tools.why_fixed,
    }


def _fault(server: Demonstration | None) -> dict[str, str] | None:
    return _named(server.fault) if server and server.fault else None


def _faults(server: Demonstration | None) -> list[dict[str, str]]:
    return [_named(each) for each in server.faults] if server else []


def _named(fault: Fault) -> dict[str, str]:
    return {"name": fault.name, "title": fault.title}
