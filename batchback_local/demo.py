"""`make run`: one batch through the whole service, from request to callback, over real HTTP."""

import base64
import http.client
import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from batchback.errors import CannotGoOn

from batchback_local.command import stop_at_signals
from batchback_local.log import say
from batchback_local.service import LocalService, Options, example_batch, running

#: How long the callback may take before something is wrong.
_PATIENCE_SECONDS = 30
_POLL_SECONDS = 0.1


class DemoFailed(Exception):
    """The text is the reason."""


def main() -> int:
    """The exit status: 0 when the callback has come and its signature verifies."""
    stop_at_signals()
    try:
        return _run()
    except (CannotGoOn, DemoFailed) as reason:
        say(f"batchback: {reason}")
        return 1
    except KeyboardInterrupt:
        say("batchback: interrupted")
        return 130


def _run() -> int:
    out = sys.stdout
    say("Starting the service: an embedded AWS, a platform to call, a receiver for the callback.")
    with running(Options()) as service:
        say(f"The service is at {service.address}\n")
        callback = _send_a_batch(service)
        print(_pretty(callback["body"]), file=out, flush=True)
    return 0


def _send_a_batch(service: LocalService) -> dict[str, Any]:
    batch = example_batch(service.receiver)
    say(f"POST /api/1.0/batch?action=run\n{_pretty(batch)}\n")
    answer = _call(service, "run", batch)
    say(f"-> {json.dumps(answer)}\n")
    _show_progress(service, answer["asyncId"])
    callback = _callback(service, answer["asyncId"])
    if not callback["verified"]:
        raise DemoFailed("the callback came, and its signature does not verify")
    say(f"\nPOST {callback['path']} came to the receiver, and its signature verifies:")
    return callback


def _show_progress(service: LocalService, batch_id: str) -> None:
    for _ in _tries("the batch did not complete"):
        progress = _call(service, "progress", {"async": batch_id})
        jobs = progress["jobs"]
        say(f"{progress['progress']:3}%  {jobs['total'] - jobs['waiting']} of {jobs['total']} jobs")
        if progress["status"] != "running":
            return


def _callback(service: LocalService, batch_id: str) -> dict[str, Any]:
    for _ in _tries("no callback came"):
        for callback in _json(service.receiver, "GET", "/received"):
            if callback["body"]["asyncId"] == batch_id:
                found: dict[str, Any] = callback
                return found
    raise AssertionError("unreachable")


def _tries(otherwise: str) -> Iterator[None]:
    """Again and again until the patience is at its end, and DemoFailed then."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        yield
        time.sleep(_POLL_SECONDS)
    raise DemoFailed(f"{otherwise} within {_PATIENCE_SECONDS} s: the log above says more")


def _call(service: LocalService, action: str, params: dict[str, Any]) -> Any:
    credentials = base64.b64encode(f"{service.key}:{service.secret}".encode()).decode()
    return _json(
        str(service.address),
        "POST",
        f"/api/1.0/batch?action={action}",
        body=json.dumps(params),
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
    )


def _json(address: str, method: str, path: str, **request: Any) -> Any:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_PATIENCE_SECONDS)
    try:
        connection.request(method, path, **request)
        response = connection.getresponse()
        content = response.read().decode()
    except OSError as error:
        raise DemoFailed(f"{method} {path}: {error}") from error
    finally:
        connection.close()
    if response.status != 200:
        raise DemoFailed(f"{method} {path} was answered {response.status}: {content}")
    return json.loads(content)


def _pretty(value: object) -> str:
    """Indented JSON, with lists of numbers on one line."""
    return re.sub(r"\[\s+([\d,\s]+?)\s+\]", _on_one_line, json.dumps(value, indent=2))


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers[1].split())}]"


if __name__ == "__main__":
    sys.exit(main())
