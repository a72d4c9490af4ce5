"""Jobs and answers like those of an events platform: ids, links and names, no two alike.

They are made from a seed, so that every run measures the same bytes. They compress like real data:
keys repeat, ids do not.
"""

import json
import math
import string
from dataclasses import dataclass
from random import Random
from typing import Any

NAMESPACE, ACTION = "event", "inviteContacts"
_OF_IDS = string.ascii_letters + string.digits
_SYLLABLES = ("ka", "ro", "mi", "ne", "ta", "lu", "so", "ve", "di", "an", "er", "il", "on", "us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The bytes of JSON in a job and in its answer."""

    #: The job without its id.
    job: int
    answer: int
    #: The number of characters in its id; 0 for no id.
    id: int = 0

    def __str__(self) -> str:
        return f"{self.job} B / {self.answer} B"


HEADLINE = Sizes(job=240, answer=640, id=12)
SMALL = Sizes(job=200, answer=500)
LARGE = Sizes(job=5_000, answer=50_000)
#: The jobs that the queue libraries get.
PEERS = Sizes(job=150, answer=500)


def jobs(total: int, sizes: Sizes, seed: int = 1) -> list[dict[str, Any]]:
    """Return the jobs of one batch, numbered from 0 in `params.number`."""
    chance, of_ids = Random(seed), Random(f"ids of {seed}")
    made = [_job(number, sizes.job, chance) for number in range(total)]
    if not sizes.id:
        return made
    return [{"id": "".join(of_ids.choices(_OF_IDS, k=sizes.id)), **job} for job in made]


def answer(number: int, size: int, seed: int = 2) -> str:
    """Return the platform's answer to a job, which contains its number."""
    chance = Random(f"{seed}-{number}")
    value: dict[str, Any] = {"job": number, "requestId": _id(chance), "results": []}
    _fill(value, value["results"], size, lambda: _invitation(chance), chance)
    return dump(value)


def call_seconds(number: int) -> float:
    """Return the time that the platform takes for a job: mostly 50 to 200 ms."""
    return Random(f"call {number}").lognormvariate(math.log(0.1), 0.7)


def dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _job(number: int, size: int, chance: Random) -> dict[str, Any]:
    params: dict[str, Any] = {"number": number, "event": _id(chance), "contacts": []}
    job = {"namespace": NAMESPACE, "action": ACTION, "params": params}
    surplus = len(dump(job)) - len(dump(params))
    _fill(params, params["contacts"], size - surplus, lambda: _contact(chance), chance)
    return job


def _fill(value: dict[str, Any], rows: list[Any], size: int, row: Any, chance: Random) -> None:
    """Add rows while they fit, then a note that fills the rest."""
    value["note"] = ""
    left = size - len(dump(value))
    while len(text := dump(found := row())) < left:
        left -= len(text) + (1 if rows else 0)
        rows.append(found)
    value["note"] = _text(max(0, left), chance)


def _contact(chance: Random) -> dict[str, Any]:
    name = _name(chance)
    return {
        "id": chance.randrange(10**9),
        "name": f"{name.title()} {_name(chance).title()}",
        "email": f"{name}{chance.randrange(1000)}@example.com",
    }


def _invitation(chance: Random) -> dict[str, Any]:
    link = f"https://events.example.com/rsvp/{_id(chance)}"
    return {
        "contact": chance.randrange(10**9),
        "name": _name(chance).title(),
        "status": chance.choice(["invited", "invited", "invited", "known"]),
        "inviteLinkYes": f"{link}/yes",
        "inviteLinkNo": f"{link}/no",
    }


def _id(chance: Random) -> str:
    return f"{chance.getrandbits(128):032x}"


def _name(chance: Random) -> str:
    return "".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4)))


def _text(size: int, chance: Random) -> str:
    words = ""
    while len(words) < size:
        words += _name(chance) + " "
    return words[:size]
