"""Evaluates policies by IAM's rules, as far as our policies use them. Reading a policy fails if it
uses anything else, so that nothing counts as allowed by mistake.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One action on one resource."""

    action: str
    resource: str
    #: dynamodb:LeadingKeys of a DynamoDB call, if it names them.
    partition_keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """The smallest part that a policy could do without."""

    statement: str
    action: str
    resource: str


class Policy:
    """An identity policy, the only one of its role."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Raise ValueError if the document holds anything that this evaluator does not know."""
        if set(document) != {"Version", "Statement"} or document["Version"] != "2012-10-17":
            raise ValueError(f"no policy: {sorted(document)}")
        statements = [_Statement.read(each) for each in document["Statement"]]
        self._allowing = [each for each in statements if each.effect == "Allow"]
        self._denying = [each for each in statements if each.effect == "Deny"]

    @property
    def permissions(self) -> set[Permission]:
        """All permissions that it grants."""
        return {each for statement in self._allowing for each in statement.permissions}

    def judge(self, request: Request) -> Permission | None:
        """Return the first permission that allows the request. None if it is denied, because a
        statement denies it or because none allows it."""
        if any(statement.covers(request) for statement in self._denying):
            return None
        covering = (statement.covers(request) for statement in self._allowing)
        return next(filter(None, covering), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    effect: str
    permissions: tuple[Permission, ...]
    #: Patterns, one of which every partition key of a request must match. None allows any key.
    partition_keys: tuple[str, ...] | None

    @classmethod
    def read(cls, statement: Mapping[str, Any]) -> "_Statement":
        unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
        if unknown or statement["Effect"] not in {"Allow", "Deny"}:
            raise ValueError(f"a statement of another kind: {statement}")
        return cls(
            effect=statement["Effect"],
            permissions=tuple(
                Permission(statement=statement["Sid"], action=action, resource=resource)
                for action in _several(statement["Action"])
                for resource in _several(statement["Resource"])
            ),
            partition_keys=_partition_keys(statement.get("Condition", {})),
        )

    def covers(self, request: Request) -> Permission | None:
        """Return the permission that covers the request."""
        if not self._may_have_keys(request.partition_keys):
            return None
        return next((each for each in self.permissions if _falls_under(request, each)), None)

    def _may_have_keys(self, keys: tuple[str, ...] | None) -> bool:
        """ForAllValues:StringLike. A request whose keys are not known does not pass, which is
        stricter than IAM."""
        if self.partition_keys is None:
            return True
        patterns = [_pattern(each) for each in self.partition_keys]
        return keys is not None and all(
            any(pattern.fullmatch(key) for pattern in patterns) for key in keys
        )


def _falls_under(request: Request, permission: Permission) -> bool:
    action = _pattern(permission.action.lower()).fullmatch(request.action.lower())
    return bool(action and _pattern(permission.resource).fullmatch(request.resource))


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """`*` is any text and `?` any character. (Within an ARN a `*` ends at a colon, unless it is the
    last character before one; in our policies it always is.)
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html"""
    regex = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(regex, re.DOTALL)


def _partition_keys(condition: Mapping[str, Any]) -> tuple[str, ...] | None:
    if not condition:
        return None
    match condition:
        case {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": patterns, **more}, **others} if (
            not more and not others
        ):
            return _several(patterns)
    raise ValueError(f"a condition of another kind: {condition}")


def _several(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
