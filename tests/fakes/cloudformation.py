"""CloudFormation following a script: operations take their time, and fail."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from batchback_ops import project

Event = dict[str, str]


def event(resource: str, status: str, reason: str | None = None, kind: str = "") -> Event:
    told = {"LogicalResourceId": resource, "ResourceStatus": status, "ResourceType": kind}
    return told if reason is None else {**told, "ResourceStatusReason": reason}


def refusal(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass(frozen=True)
class Poll:
    """What the next description of an operation shows."""

    status: str
    events: tuple[Event, ...] = ()
    reason: str | None = None


@dataclass
class ScriptedCloudFormation:
    """A stack in some status, and what each description of it shows once an operation has begun."""

    status: str | None
    script: list[Poll] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    is_protected: bool = False
    has_nothing_to_change: bool = False
    reason: str | None = None
    #: The operations that were begun, in order.
    asked: list[str] = field(default_factory=list)
    #: Oldest first.
    events: list[dict[str, str]] = field(default_factory=list)

    STACK_ID = "arn:aws:cloudformation:eu-north-1:123456789012:stack/batchback/1"

    def __post_init__(self) -> None:
        if self.status is not None:
            self._happen(event("OldTable", "CREATE_FAILED", "an old story"))

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803 - boto3's own
        if self.asked and self.script:
            self._look(self.script.pop(0))
        elif self.asked:
            assert not str(self.status).endswith("_IN_PROGRESS"), "the script ends too early"
        is_gone = self.status == "DELETE_COMPLETE" and StackName != self.STACK_ID
        if self.status is None or is_gone:
            told = f"Stack {StackName} does not exist"
            raise refusal("ValidationError", told, "DescribeStacks")
        parameters = [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in self.parameters.items()
        ]
        stack = {
            "StackId": self.STACK_ID,
            "StackStatus": self.status,
            "Parameters": parameters,
            "EnableTerminationProtection": self.is_protected,
        }
        return {"Stacks": [stack | ({"StackStatusReason": self.reason} if self.reason else {})]}

    def create_stack(self, *, Parameters: list[dict[str, str]], **_: object) -> Any:  # noqa: N803
        self.parameters = {each["ParameterKey"]: each["ParameterValue"] for each in Parameters}
        return self._begin("create", "CREATE_IN_PROGRESS")

    def update_stack(self, *, Parameters: list[dict[str, str]], **_: object) -> Any:  # noqa: N803
        if self.has_nothing_to_change:
            raise refusal("ValidationError", "No updates are to be performed.", "UpdateStack")
        self.parameters = {each["ParameterKey"]: each["ParameterValue"] for each in Parameters}
        return self._begin("update", "UPDATE_IN_PROGRESS")

    def delete_stack(self, **_: object) -> Any:
        return self._begin("delete", "DELETE_IN_PROGRESS")

    def update_termination_protection(
        self,
        *,
        EnableTerminationProtection: bool,  # noqa: N803
        **_: object,
    ) -> None:
        self.is_protected = EnableTerminationProtection
        self.asked.append("protect" if self.is_protected else "unprotect")

    def get_template(self, **_: object) -> Any:
        return {"TemplateBody": json.loads(project.template())}

    def get_paginator(self, name: str) -> "ScriptedCloudFormation":
        assert name == "describe_stack_events"
        return self

    def paginate(self, *, StackName: str) -> Iterator[Any]:  # noqa: N803
        """One event per page, newest first."""
        assert StackName == self.STACK_ID
        yield from ({"StackEvents": [each]} for each in reversed(self.events))

    def _begin(self, what: str, status: str) -> Any:
        self.asked.append(what)
        self.status = status
        self.reason = None
        self._happen(event("batchback", status))
        return {"StackId": self.STACK_ID}

    def _look(self, poll: Poll) -> None:
        self.status = poll.status
        self.reason = poll.reason
        for each in poll.events:
            self._happen(each)

    def _happen(self, told: Event) -> None:
        ids = {"EventId": str(len(self.events)), "StackId": self.STACK_ID}
        of_stack = {"PhysicalResourceId": self.STACK_ID}
        of_what = of_stack if told["LogicalResourceId"] == "batchback" else {}
        self.events.append({**told, **ids, **of_what})
