"""The items for what holds up jobs: how they are written and read.

They are in the table `batches`, in no index, and only while something holds up jobs:

    account#<account>   0#outage   began_at, until, misses: the account's platform is down
    stage               0#pause    until, reason: an operator has paused the stage

The database deletes them a day after `until`.
"""

from datetime import datetime, timedelta
from typing import Any

from chalicelib.adapters import items
from chalicelib.adapters.items import Item
from chalicelib.domain.holds import Holds, Outage, Pause

#: The conditions, in words.
STANDS_NO_OUTAGE = "attribute_not_exists(#part)"
STANDS_AS_SEEN = "#began_at = :began_at AND #until = :until"
BEGAN_BEFORE = "#began_at < :before"

#: Longer than the longest wait between two calls that test whether the platform is up again.
_KEPT_FOR = timedelta(days=1)

PAUSE_KEY = items.key("stage", "0#pause")


def outage_key(account: str) -> Item:
    return items.key(f"account#{account}", "0#outage")


def keys(account: str) -> list[Item]:
    """The keys of everything that may hold up an account's jobs."""
    return [outage_key(account), PAUSE_KEY]


def outage_item(account: str, outage: Outage) -> Item:
    return {
        **_common(outage_key(account), outage.until),
        "began_at": items.number(outage.began_at),
        "until": items.number(outage.until),
        "misses": {"N": str(outage.misses)},
    }


def pause_item(pause: Pause) -> Item:
    return {
        **_common(PAUSE_KEY, pause.until),
        "until": items.number(pause.until),
        "reason": {"S": pause.reason},
    }


def seen(outage: Outage) -> dict[str, Any]:
    """The values of `STANDS_AS_SEEN`."""
    return {"began_at": items.number(outage.began_at), "until": items.number(outage.until)}


def read(found: dict[str, Item]) -> Holds:
    """Read the items that exist, given by their sort keys."""
    return Holds(outage=_outage(found.get("0#outage")), pause=read_pause(found.get("0#pause")))


def read_pause(item: Item | None) -> Pause | None:
    if item is None:
        return None
    known = items.known(item)
    return Pause(until=_moment(known["until"]), reason=known["reason"]["S"])


def _outage(item: Item | None) -> Outage | None:
    if item is None:
        return None
    known = items.known(item)
    return Outage(
        began_at=_moment(known["began_at"]),
        until=_moment(known["until"]),
        misses=int(known["misses"]["N"]),
    )


def _common(key: Item, until: datetime) -> Item:
    return {
        **key,
        "format": {"N": str(items.FORMAT)},
        "expires_at": items.number(until + _KEPT_FOR),
    }


def _moment(attribute: Item) -> datetime:
    return items.time_of(attribute["N"])
