"""The item of an account's usage in the table: how it is read and written.

Table `batches`, partition key `account#<account>`, which is the id of no batch, sort key `0#usage`.
It is in no index and exists only if something is limited. It is never deleted: for an idle account
it takes a few hundred bytes.

    slots        a set of texts `<began_at>#<batch_id>#<submission>#<round>`
    paid_until   until when the admitted jobs are paid for, to the microsecond
    pruned_at    when the slots were last pruned
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.adapters import items
from chalicelib.adapters.expressions import Update
from chalicelib.adapters.items import Item
from chalicelib.domain import unix_time
from chalicelib.domain.limits import AccountUsage, Admission, Charge, Slot

USAGE = "0#usage"
#: The conditions, in words.
_HAS_A_SLOT = "(attribute_not_exists(#slots) OR size(#slots) < :fewer_than)"
_HOLDS_THE_SLOT = "contains(#slots, :slot)"
#: Fails if the same write already took effect, so that an admission is charged only once.
_IS_NOT_IN_YET = "NOT contains(#slots, :slot)"
_NOTHING_TO_PAY = "(attribute_not_exists(#paid_until) OR #paid_until <= :now)"
_NOT_TOO_MUCH_TO_PAY = "#paid_until > :now AND #paid_until <= :no_later_than"


def key(account: str) -> Item:
    return items.key(f"account#{account}", USAGE)


def read(item: Item | None) -> AccountUsage:
    found = items.known(item or {})
    return AccountUsage(
        open=frozenset(map(_slot, found.get("slots", {}).get("SS", []))),
        paid_until=items.moment(found.get("paid_until")),
        pruned_at=items.moment(found.get("pruned_at")),
    )


def admission_of(admission: Admission) -> Update:
    """Return the write of the slot and the charge, both or neither."""
    update = _update().when(_IS_NOT_IN_YET, slot={"S": _text(admission.slot)})
    _take(update, admission)
    if admission.charge:
        _charge(update, admission.charge)
    return update


def undoing_of(admission: Admission) -> Update:
    """Return the write that undoes an admission, if its slot is still taken."""
    update = _update().when(_HOLDS_THE_SLOT, slot={"S": _text(admission.slot)})
    update.delete(slots=_set([admission.slot]))
    if admission.charge:
        update.add(paid_until=_span(-admission.charge.cost))
    return update


def vacating_of(slots: Collection[Slot]) -> Update:
    return _update().delete(slots=_set(slots))


def pruning_of(seen: datetime | None, now: datetime) -> Update:
    """Return the write that reserves the pruning, if nobody else has since `seen`."""
    pruned_at = items.number(seen) if seen else None
    return _update().when_equal(pruned_at=pruned_at).set(pruned_at=items.number(now))


def _update() -> Update:
    """Return what every write does: an existing item keeps its format."""
    return Update().set_if_absent(format={"N": str(items.FORMAT)})


def _take(update: Update, admission: Admission) -> None:
    slot = _set([admission.slot])
    if admission.fewer_than is None:
        update.set(slots=slot)
    else:
        update.when(_HAS_A_SLOT, fewer_than={"N": str(admission.fewer_than)}).add(slots=slot)


def _charge(update: Update, charge: Charge) -> None:
    now = _exact(charge.now)
    if charge.no_later_than is None:
        update.when(_NOTHING_TO_PAY, now=now).set(paid_until=_exact(charge.now + charge.cost))
    else:
        no_later_than = _exact(charge.no_later_than)
        update.when(_NOT_TOO_MUCH_TO_PAY, now=now, no_later_than=no_later_than)
        update.add(paid_until=_span(charge.cost))


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
    return _span(moment - unix_time.EPOCH)


def _span(length: timedelta) -> dict[str, str]:
    """Return seconds, to the microsecond: if many jobs are allowed, the cost of one is small."""
    microseconds = length // timedelta(microseconds=1)
    return {"N": f"{Decimal(microseconds).scaleb(-6):f}"}
