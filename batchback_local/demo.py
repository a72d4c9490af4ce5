"""`make run`: one batch through the whole service, from request to callback, over real HTTP."""

import json
import re
import sys
from typing import Any

from batchback.errors import CallFailed, CannotGoOn

from batchback_local.demonstration.example import smallest_batch
from batchback_local.live.service import LiveService
from batchback_local.live.waiting import DidNotHappen, tries
from batchback_local.log import say
from batchback_local.service import LocalService, Options, running
from batchback_ops.command_line import stop_at_signals

#: How long the callback may take before something is wrong.
_PATIENCE_SECONDS = 30
_NEXT = """
What next:

  make serve           runs the service until Ctrl-C, with a console in your browser that shows
                       each batch live, and prints a curl command to send one
  docs/tutorial.md     takes you through a batch, its callback and its failed jobs in ten minutes
  docs/calling.md      shows every action with curl
  make test            runs the tests, after installing the development tools
  docs/deploying.md    shows how to deploy to your AWS account"""


def main() -> int:
    """Run the demo. Return the exit status: 0 if the callback comes and its signature verifies."""
    stop_at_signals()
    try:
        return _run()
    except DidNotHappen as reason:
        say(f"batchback: {reason}: see the log above")
        return 1
    except (CannotGoOn, CallFailed) as reason:
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
    say(_NEXT)
    return 0


def _send_a_batch(service: LocalService) -> dict[str, Any]:
    batch = smallest_batch(service.receiver)
    with LiveService(service.as_json(), _PATIENCE_SECONDS) as live:
        say(f"POST /api/1.0/batch?action=run\n{_pretty(batch)}\n")
        submitted = live.client.submit(batch)
        say(f"-> {json.dumps(submitted)}\n")
        _show_progress(live, submitted["asyncId"])
        callback = _callback(live, submitted["asyncId"])
    if not callback["verified"]:
        raise DidNotHappen("the callback came, but its signature does not verify")
    say(f"\nThe receiver got POST {callback['path']}, and its signature verifies:")
    return callback


def _show_progress(live: LiveService, batch_id: str) -> None:
    for _ in tries("completed", _PATIENCE_SECONDS):
        progress = live.client.progress(batch_id)
        jobs = progress["jobs"]
        say(f"{progress['progress']:3}%  {jobs['total'] - jobs['waiting']} of {jobs['total']} jobs")
        if progress["status"] != "running":
            return


def _callback(live: LiveService, batch_id: str) -> dict[str, Any]:
    for _ in tries("called back", _PATIENCE_SECONDS):
        for callback in live.get("receiver", "/received"):
            if callback["body"]["asyncId"] == batch_id:
                found: dict[str, Any] = callback
                return found
    raise AssertionError("unreachable")


def _pretty(value: object) -> str:
    """Indented JSON, with lists of numbers on one line."""
    return re.sub(r"\[\s+([\d,\s]+?)\s+\]", _on_one_line, json.dumps(value, indent=2))


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers[1].split())}]"


if __name__ == "__main__":
    sys.exit(main())
