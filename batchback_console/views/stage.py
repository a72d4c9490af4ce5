"""What an operator asks about a stage as a whole: queues, dead letters, what holds up jobs, and the
doctor. It does what `batchback ops` and `batchback doctor` do, and says what they say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from batchback.errors import CannotGoOn
from batchback.shell import Shell
from flask import Blueprint, abort

from batchback_console.console import Console
from batchback_console.queues import Queues
from batchback_console.views.reading import sent
from batchback_ops.doctor.diagnosis import Finding
from batchback_ops.doctor.examination import examine
from batchback_ops.doctor.service_checks import Trial
from batchback_ops.ops import actions, batch_life, pausing
from batchback_ops.ops.dead_letters import DeadLetter
from batchback_ops.ops.heads import readable
from batchback_ops.ops.outages import outages
from chalicelib.domain.holds import Pause

#: How many dead letters are shown, and for how long others cannot take them meanwhile.
_SHOWN, _HIDDEN_SECONDS = 100, 30
_SHOWN_CHARACTERS = 200
_TAKEN_AT_ONCE = 1_000
_DEAD_LETTERS = f"/stage/dead-letters/<any({', '.join(map(repr, actions.QUEUES))}):role>"


def routes(console: Console) -> Blueprint:
    view = Blueprint("stage", __name__)
    queues = Queues(stage=console.stage)
    stage = console.stage

    @view.get("/stage")
    def show() -> dict[str, Any]:
        return _stage(console, queues)

    @view.get(_DEAD_LETTERS)
    def dead_letters(role: str) -> dict[str, Any]:
        return _dead_letters(console, role)

    @view.post(f"{_DEAD_LETTERS}/redrive")
    def redrive(role: str) -> dict[str, Any]:
        asker = _Asker(now=console.clock.now)
        came = actions.redrive(stage, asker, queue=role, is_dry_run=False, limit=_TAKEN_AT_ONCE)
        return {"said": asker.said, **came}

    @view.post(f"{_DEAD_LETTERS}/discard")
    def discard(role: str) -> dict[str, Any]:
        asker = _Asker(now=console.clock.now)
        came = actions.discard(stage, asker, queue=role, is_sure=True, limit=_TAKEN_AT_ONCE)
        return {"said": asker.said, **came}

    @view.post("/stage/pause")
    def pause() -> dict[str, Any]:
        asker = _Asker(now=console.clock.now)
        wanted = _wanted_pause(sent(), console.clock.now())
        return {**actions.begin_pause(stage, asker, wanted), "said": asker.sentences}

    @view.post("/stage/resume")
    def resume() -> dict[str, Any]:
        asker = _Asker(now=console.clock.now)
        return {**actions.resume(stage, asker), "said": asker.sentences}

    @view.post("/stage/doctor")
    def doctor() -> dict[str, Any]:
        shell = Shell(environ=stage.environ, now=console.clock.now)
        found = examine(_trial(console), stage, shell)
        return {"findings": [_finding(each) for each in found if each.check != _NOT_HERE]}

    return view


def _stage(console: Console, queues: Queues) -> dict[str, Any]:
    now = console.clock.now()
    return {
        "queues": queues.rows(now),
        "ageNote": queues.age_note(),
        "pause": batch_life.pause(console.store.find_pause(), now),
        "outages": [
            {
                "account": account,
                "since": batch_life.time(outage.began_at),
                "nextTryAt": batch_life.time(outage.until),
            }
            for account, outage in outages(console.store, now)
        ],
        "cost": _COST[console.is_local],
    }


#: The doctor's check that would run a batch.
_NOT_HERE = "batch"
_COST = {
    True: "Watching costs nothing: this AWS is on your machine.",
    False: "Watching this page costs about $0.007 an hour.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asker:
    """Collects what an operator's command says."""

    now: Callable[[], datetime]
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    @property
    def sentences(self) -> str:
        return " ".join(f"{text[:1].upper()}{text[1:]}." for text in self.said)


# ---- dead letters


def _dead_letters(console: Console, role: str) -> dict[str, Any]:
    """Take the letters, and put them back before others miss them."""
    queue = actions.QUEUES[role](console.stage)
    letters = queue.take(_SHOWN, _HIDDEN_SECONDS)
    queue.put_back(letters)
    return {
        "hiddenSeconds": _HIDDEN_SECONDS,
        "letters": _shown(letters, console),
        "note": _note(role, len(letters)),
    }


def _shown(letters: Sequence[DeadLetter], console: Console) -> list[dict[str, Any]]:
    batches = readable(console.store, {each.batch_id for each in letters if each.batch_id})
    labels = {id: batch.label for id, batch in batches.items()}
    return [
        {
            "batchId": each.batch_id,
            "label": labels.get(each.batch_id or ""),
            "sentAt": batch_life.time(each.sent_at),
            "state": _state(each),
            "body": each.body[:_SHOWN_CHARACTERS],
        }
        for each in letters
    ]


def _state(letter: DeadLetter) -> str:
    if letter.is_too_new:
        return "tooNew"
    return "unreadable" if letter.is_unreadable else "readable"


def _note(role: str, count: int) -> str | None:
    if role == "jobs-dead":
        return "bury_jobs takes these itself, and records that their jobs failed."
    return f"Only {_SHOWN} are shown; there may be more." if count == _SHOWN else None


# ---- what holds up jobs


def _wanted_pause(body: object, now: datetime) -> Pause:
    given = body if isinstance(body, dict) else {}
    until, reason = given.get("until"), given.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        abort(400, "Give a reason: what others should know, such as a ticket.")
    if not isinstance(until, str):
        abort(400, "Say until when: a time, or a span from now, such as 30m, 2h or 1d.")
    try:
        return Pause(until=pausing.end(until, now, called=until), reason=reason)
    except CannotGoOn as why:
        abort(400, str(why))


# ---- doctor


def _trial(console: Console) -> Trial:
    """No batch is run. The key of this machine's service is known; otherwise the environment may
    have one."""
    local = console.local
    if local is None:
        return Trial(no_batch=True)
    return Trial(
        address=local.service_address,
        key=local.key,
        secret=local.secret,
        no_batch=True,
        signing_time=lambda: console.clock.now() - local.ahead,
    )


def _finding(finding: Finding) -> dict[str, Any]:
    state = {True: "fine", None: "skipped", False: "problem"}[finding.ok]
    return {
        "about": finding.check,
        "state": state,
        "says": finding.found,
        "remedy": finding.remedy,
    }
