"""Batches to send to the demonstration platform."""

import json
from typing import Any

_INVITE = {"namespace": "event", "action": "inviteContacts"}
_PING = {"namespace": "test", "action": "ping"}


def smallest_batch(receiver: str) -> dict[str, Any]:
    """The two jobs from the API's documentation."""
    return {
        "jobs": [
            {**_INVITE, "params": {"event": 1, "contacts": [1, 2, 3]}},
            {**_INVITE, "params": {"event": 2, "contacts": [1, 2, 4]}},
        ],
        "callbackUrl": f"{receiver}/callback",
    }


def varied_batch(receiver: str) -> dict[str, Any]:
    """Twelve jobs. Most succeed; four fail, each for another reason."""
    invited = [
        {"id": f"event-{event}", **_INVITE, "params": {"event": event, "contacts": [event, 9]}}
        for event in range(1, 8)
    ]
    return {
        "label": "Example",
        "jobs": [
            {"id": "ping", **_PING},
            *invited,
            {"id": "no-such-contact", **_INVITE, "params": {"event": 8, "contacts": [-1]}},
            {"id": "no-contacts", **_INVITE, "params": {"event": 9}},
            {"id": "not-a-list", **_INVITE, "params": {"event": 10, "contacts": "all"}},
            {"id": "no-such-action", "namespace": "event", "action": "cancelEvent"},
        ],
        "callbackUrl": f"{receiver}/callback",
    }


def one_job_a_line(batch: dict[str, Any]) -> str:
    """The batch as JSON with a line for each job, so that all jobs fit on the screen."""
    jobs = ",\n    ".join(map(json.dumps, batch["jobs"]))
    around = json.dumps({**batch, "jobs": []}, indent=2)
    return around.replace("[]", f"[\n    {jobs}\n  ]", 1)
