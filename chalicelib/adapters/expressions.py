"""A change of a head as DynamoDB's UpdateItem takes it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
"""

from dataclasses import dataclass, field
from typing import Any

from chalicelib.adapters.items import COUNTS, attributes_of
from chalicelib.domain.transitions import Change


def update_of(change: Change, batch_id: str) -> dict[str, Any]:
    """The expressions of a change, all of it conditional. Every attribute goes by a placeholder,
    so that none can be a reserved word."""
    using = _Placeholders()
    conditions = _conditions(change, batch_id, using)
    actions = _actions(change, batch_id, using)
    return {
        "UpdateExpression": " ".join(
            f"{action} {', '.join(parts)}" for action, parts in actions.items() if parts
        ),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": using.names,
        "ExpressionAttributeValues": using.values,
    }


@dataclass(frozen=True, slots=True)
class _Placeholders:
    """What stands in the expressions in place of names and values."""

    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def name(self, attribute: str) -> str:
        self.names[f"#{attribute}"] = attribute
        return f"#{attribute}"

    def value(self, label: str, value: Any) -> str:
        self.values[f":{label}"] = value
        return f":{label}"


def _conditions(change: Change, batch_id: str, using: _Placeholders) -> list[str]:
    conditions = [
        f"attribute_not_exists({using.name(attribute)})"
        if wanted is None
        else f"{using.name(attribute)} = {using.value('if_' + attribute, wanted)}"
        for attribute, wanted in attributes_of(change.only_if, batch_id).items()
    ]
    if change.finish is not None:
        chunk = using.value("chunk", {"N": str(change.finish)})
        conditions.append(f"NOT contains({using.name('done')}, {chunk})")
    return conditions


def _actions(change: Change, batch_id: str, using: _Placeholders) -> dict[str, list[str]]:
    put = attributes_of(change.put, batch_id)
    return {
        "SET": [
            f"{using.name(attribute)} = {using.value('put_' + attribute, value)}"
            for attribute, value in put.items()
            if value is not None
        ],
        "REMOVE": [using.name(attribute) for attribute, value in put.items() if value is None],
        "ADD": [
            f"{using.name(attribute)} {using.value('add_' + attribute, value)}"
            for attribute, value in _finished(change).items()
        ],
        "DELETE": _reopened(change, using),
    }


def _reopened(change: Change, using: _Placeholders) -> list[str]:
    """Nothing, where no chunk leaves `done`: DynamoDB has no empty sets."""
    if not change.reopen:
        return []
    return [f"{using.name('done')} {using.value('reopen', _number_set(change.reopen))}"]


def _finished(change: Change) -> dict[str, Any]:
    """What a finished chunk adds to the head."""
    if change.finish is None:
        return {}
    chunk = _number_set(frozenset({change.finish}))
    adds = {"done": chunk, "gave_up": chunk} if change.finish_unanswered else {"done": chunk}
    group = COUNTS["unanswered_counts" if change.finish_unanswered else "counts"]
    counts = {
        attribute: {"N": str(getattr(change.finish_counts, part))}
        for part, attribute in group.items()
    }
    return {**adds, **counts}


def _number_set(numbers: frozenset[int]) -> dict[str, list[str]]:
    return {"NS": [str(number) for number in sorted(numbers)]}
