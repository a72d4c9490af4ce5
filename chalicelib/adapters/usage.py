"""What an account has going, in the table: its item, there and back, and the writes to it.

Table `batches`, partition key `account#<account>`, sort key `0#usage`: an id that no batch has, in
no index, and there only where something is limited. It is not deleted: what it remembers of an
account that has gone quiet is a few hundred bytes.

    places       the open batches: a set of texts `<began_at>#<batch_id>#<submission>#<round>`
    paid_until   until when the jobs let in are paid for, to the microsecond
    pruned_at    when the places were last looked through
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.adapters import items
from chalicelib.adapters.items import Item
from chalicelib.domain.limits import AccountUsage, Admission, Charge, Slot

USAGE = "0#usage"
#: The conditions, in words. A name without a colon is an attribute.
_HAS_A_SLOT = "(attribute_not_exists(places) OR size(places) < :fewer_than)"
_HOLDS_THE_SLOT = "contains(places, :text)"
#: A repeat of the very write that took effect: what was let in once is charged once.
_IS_NOT_IN_YET = "NOT contains(places, :text)"
_NOTHING_TO_PAY = "(attribute_not_exists(paid_until) OR paid_until <= :now)"
_NOT_TOO_MUCH_TO_PAY = "paid_until > :now AND paid_until <= :no_later_than"
_NEVER_PRUNED = "attribute_not_exists(pruned_at)"
_PRUNED_WHEN_SEEN = "pruned_at = :seen"


def key(account: str) -> Item:
    return items.key(f"account#{account}", USAGE)


def read(item: Item | None) -> AccountUsage:
    found = items.known(item or {})
    return AccountUsage(
        open=frozenset(map(_slot, found.get("places", {}).get("SS", []))),
        paid_until=items.moment(found.get("paid_until")),
        pruned_at=items.moment(found.get("pruned_at")),
    )


def admission_of(admission: Admission) -> dict[str, Any]:
    """The place and the charge, both or neither."""
    charge = [_charge(admission.charge)] if admission.charge else []
    return _update(_take(admission), *charge)


def undoing_of(admission: Admission) -> dict[str, Any]:
    """The reverse of an admission, where its slot is still there."""
    give_back = _Part(
        action="DELETE",
        what="places :places",
        only_if=_HOLDS_THE_SLOT,
        values=_held(admission.slot),
    )
    return _update(give_back, *([_refund(admission.charge)] if admission.charge else []))


def vacating_of(slots: Collection[Slot]) -> dict[str, Any]:
    return _update(_Part(action="DELETE", what="places :places", values={":places": _set(slots)}))


def pruning_of(seen: datetime | None, now: datetime) -> dict[str, Any]:
    """The claim to look through the slots, where nobody made it since `seen`."""
    values = {":now": items.number(now), **({":seen": items.number(seen)} if seen else {})}
    condition = _PRUNED_WHEN_SEEN if seen else _NEVER_PRUNED
    return _update(_Part(action="SET", what="pruned_at = :now", only_if=condition, values=values))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of a write: what it does, and on what condition."""

    action: str
    what: str
    only_if: str | None = None
    values: Mapping[str, Any]


def _take(admission: Admission) -> _Part:
    values = _held(admission.slot)
    if admission.fewer_than is None:
        return _Part(action="SET", what="places = :places", only_if=_IS_NOT_IN_YET, values=values)
    return _Part(
        action="ADD",
        what="places :places",
        only_if=f"{_HAS_A_SLOT} AND {_IS_NOT_IN_YET}",
        values={**values, ":fewer_than": {"N": str(admission.fewer_than)}},
    )


def _charge(charge: Charge) -> _Part:
    values = {":now": _exact(charge.now)}
    if charge.no_later_than is None:
        values[":paid_until"] = _exact(charge.now + charge.cost)
        what, condition = "paid_until = :paid_until", _NOTHING_TO_PAY
    else:
        values |= {":cost": _span(charge.cost), ":no_later_than": _exact(charge.no_later_than)}
        what, condition = "paid_until = paid_until + :cost", _NOT_TOO_MUCH_TO_PAY
    return _Part(action="SET", what=what, only_if=condition, values=values)


def _refund(charge: Charge) -> _Part:
    values = {":cost": _span(charge.cost)}
    return _Part(action="SET", what="paid_until = paid_until - :cost", values=values)


def _update(*parts: _Part) -> dict[str, Any]:
    """The parts as UpdateItem takes them: all of their conditions, and all that they do."""
    set_format = "#format = if_not_exists(#format, :format)"
    actions: dict[str, list[str]] = {"SET": [set_format], "ADD": [], "DELETE": []}
    for part in parts:
        actions[part.action].append(part.what)
    conditions = [part.only_if for part in parts if part.only_if]
    values = {name: value for part in parts for name, value in part.values.items()}
    return {
        "UpdateExpression": " ".join(
            f"{action} {', '.join(each)}" for action, each in actions.items() if each
        ),
        "ExpressionAttributeNames": {"#format": "format"},
        "ExpressionAttributeValues": {":format": {"N": str(items.FORMAT)}, **values},
        **({"ConditionExpression": " AND ".join(conditions)} if conditions else {}),
    }


def _held(slot: Slot) -> Item:
    return {":places": _set([slot]), ":text": {"S": _text(slot)}}


def _set(slots: Collection[Slot]) -> dict[str, list[str]]:
    return {"SS": sorted(map(_text, slots))}


def _text(slot: Slot) -> str:
    began_at = items.number(slot.began_at)["N"]
    return f"{began_at}#{slot.batch_id}#{slot.submission}#{slot.round}"


def _slot(text: str) -> Slot:
    began_at, batch_id, submission, round = text.split("#")
    return Slot(
        batch_id=batch_id,
        submission=submission,
        round=int(round),
        began_at=items.time_of(began_at),
    )


def _exact(moment: datetime) -> dict[str, str]:
    return _span(moment - items.EPOCH)


def _span(length: timedelta) -> dict[str, str]:
    """Seconds, to the microsecond: where many jobs are allowed, one of them costs little."""
    microseconds = length // timedelta(microseconds=1)
    return {"N": f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06}"}
