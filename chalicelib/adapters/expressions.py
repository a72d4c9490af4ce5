"""Composes DynamoDB expressions. `#name` always stands for the attribute `name`, whose plain name
may be a reserved word. `:name` stands for a value.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Self


def placeholders(expression: str, **values: Any) -> dict[str, Any]:
    """Return the part of a request that defines an expression's names."""
    request: dict[str, Any] = {"ExpressionAttributeNames": _names_in(expression)}
    if values:
        request["ExpressionAttributeValues"] = _named(values)
    return request


class Update:
    """What an UpdateItem changes, and under which conditions: all of it or nothing.

    Update().when("#due_at = :seen", seen=number(due_at)).set(due_at=number(until))
    """

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self._actions: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": [], "DELETE": []}
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def when(self, condition: str, **values: Any) -> Self:
        """Add a condition; one with an OR needs parentheses."""
        self._conditions.append(condition)
        self._names.update(_names_in(condition))
        self._values.update(_named(values))
        return self

    def when_equal(self, **attributes: Any) -> Self:
        """Add the condition that the attributes have these values. None means that an attribute is
        absent."""
        self._conditions += [
            f"attribute_not_exists({self._name(name)})"
            if value is None
            else f"{self._name(name)} = {self._value(f'if_{name}', value)}"
            for name, value in attributes.items()
        ]
        return self

    def set(self, **attributes: Any) -> Self:
        """Give the attributes these values. None removes an attribute."""
        for name, value in attributes.items():
            if value is None:
                self._actions["REMOVE"].append(self._name(name))
            else:
                clause = f"{self._name(name)} = {self._value(f'set_{name}', value)}"
                self._actions["SET"].append(clause)
        return self

    def set_if_absent(self, **attributes: Any) -> Self:
        """Give the attributes these values, except those that already have one."""
        self._actions["SET"] += [
            f"{self._name(name)} = if_not_exists(#{name}, {self._value(f'first_{name}', value)})"
            for name, value in attributes.items()
        ]
        return self

    def add(self, **attributes: Any) -> Self:
        """Add to numbers, and add elements to sets."""
        self._actions["ADD"] += [
            f"{self._name(name)} {self._value(f'add_{name}', value)}"
            for name, value in attributes.items()
        ]
        return self

    def delete(self, **attributes: Any) -> Self:
        """Remove elements from sets."""
        self._actions["DELETE"] += [
            f"{self._name(name)} {self._value(f'delete_{name}', value)}"
            for name, value in attributes.items()
        ]
        return self

    def request(self) -> dict[str, Any]:
        """Return these expressions as part of a request."""
        clauses = [f"{action} {', '.join(each)}" for action, each in self._actions.items() if each]
        request = {
            "UpdateExpression": " ".join(clauses),
            "ExpressionAttributeNames": self._names,
            "ExpressionAttributeValues": self._values,
        }
        if self._conditions:
            request["ConditionExpression"] = " AND ".join(self._conditions)
        return request

    def _name(self, attribute: str) -> str:
        placeholder = f"#{attribute}"
        self._names[placeholder] = attribute
        return placeholder

    def _value(self, label: str, value: Any) -> str:
        placeholder = f":{label}"
        self._values[placeholder] = value
        return placeholder


@cache
def _names_in(expression: str) -> Mapping[str, str]:
    return {f"#{name}": name for name in re.findall(r"#(\w+)", expression)}


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f":{name}": value for name, value in values.items()}
