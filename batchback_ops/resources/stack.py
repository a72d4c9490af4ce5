"""The operations on one CloudFormation stack, which report their progress.

Once an operation has begun, CloudFormation completes it even if the command ends, and a second
operation has to wait for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from batchback.shell import Shell

from batchback_ops.errors import NotDone

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import (
        ParameterTypeDef,
        StackEventTypeDef,
        StackTypeDef,
        TagTypeDef,
    )

_POLL_SECONDS = 2
#: In the message of an update that has nothing to do, for which AWS has no error code.
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStack.html
_NOTHING_TO_DO = "No updates are to be performed"
#: In the reason if a resource's name is taken.
_TAKEN = "HandlerErrorCode: AlreadyExists"
_WHAT_BECAME_OF_IT = {
    "ROLLBACK_COMPLETE": "could not be created",
    "UPDATE_ROLLBACK_COMPLETE": "is as it was before",
    "DELETE_FAILED": "could not be deleted",
}


class StackFailed(NotDone):
    """An operation that CloudFormation began did not succeed. The text is one sentence that says
    why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a stack should be."""

    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    #: Whether CloudFormation refuses to delete the stack.
    is_protected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack by its name, whether or not it exists. Every operation reports its events on stderr,
    returns when it is over, and raises StackFailed if it did not succeed."""

    name: str
    client: "CloudFormationClient"
    shell: Shell

    def find(self) -> "StackTypeDef | None":
        """The stack as it is, or None if there is none of this name."""
        from botocore.exceptions import ClientError

        try:
            [found] = self.client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                return None
            raise
        return found

    def create(self, plan: Plan) -> None:
        """Create the stack. If that fails, what was created is removed again."""
        answer = self.client.create_stack(
            StackName=self.name,
            TemplateBody=plan.template,
            Parameters=_parameters(plan),
            Tags=_tags(plan),
        )
        self._see_through(answer["StackId"], None, "CREATE_COMPLETE")
        self._protect(plan, is_now=False)

    def update(self, found: "StackTypeDef", plan: Plan) -> bool:
        """Update the stack. If that fails, the stack stays as it was. Return False if there was
        nothing to change."""
        before = self._newest_event(found["StackId"])
        has_begun = self._begin_update(plan)
        if has_begun:
            self._see_through(found["StackId"], before, "UPDATE_COMPLETE")
        self._protect(plan, is_now=found.get("EnableTerminationProtection", False))
        return has_begun

    def delete(self, found: "StackTypeDef") -> None:
        """Delete the stack and everything in it."""
        before = self._newest_event(found["StackId"])
        self.client.delete_stack(StackName=self.name)
        self._see_through(found["StackId"], before, "DELETE_COMPLETE")

    def _protect(self, plan: Plan, *, is_now: bool) -> None:
        """Set the protection last, because the remains of a failed creation must be deletable."""
        if plan.is_protected != is_now:
            self.client.update_termination_protection(
                StackName=self.name, EnableTerminationProtection=plan.is_protected
            )

    def _begin_update(self, plan: Plan) -> bool:
        from botocore.exceptions import ClientError

        try:
            self.client.update_stack(
                StackName=self.name,
                TemplateBody=plan.template,
                Parameters=_parameters(plan),
                Tags=_tags(plan),
            )
        except ClientError as error:
            if _NOTHING_TO_DO in error.response["Error"].get("Message", ""):
                return False
            raise
        return True

    def _see_through(self, stack_id: str, before: str | None, wanted: str) -> None:
        """Follow the operation whose events come after `before`. The stack's id, unlike its name,
        also names a deleted stack, and no other stack."""
        try:
            status, failure = self._follow(stack_id, before)
        except KeyboardInterrupt:
            self.shell.say(
                f"CloudFormation continues the operation on stack {self.name}: "
                "`batchback resources show` shows its status."
            )
            raise
        if status != wanted:
            what = _WHAT_BECAME_OF_IT.get(status, "is not as intended")
            raise StackFailed(f"Stack {self.name} {what} ({status}): {failure}")

    def _follow(self, stack_id: str, before: str | None) -> tuple[str, str]:
        """The status that the stack ends in, and the reason if something failed."""
        began_at = self.shell.monotonic()
        told: set[str] = set()
        failures: list[str] = []
        while True:
            [stack] = self.client.describe_stacks(StackName=stack_id)["Stacks"]
            events = [*self._events_since(stack_id, before)]
            for event in reversed([each for each in events if each["EventId"] not in told]):
                seconds = self.shell.monotonic() - began_at
                self.shell.say(f"{seconds:.0f} s: {_describe(event)}")
                failures += _failure(event)
            told = {each["EventId"] for each in events}
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                failures.append(stack.get("StackStatusReason", "CloudFormation gives no reason"))
                return stack["StackStatus"], failures[0]
            self.shell.sleep(_POLL_SECONDS)

    def _newest_event(self, stack_id: str) -> str | None:
        return next((event["EventId"] for event in self._events_since(stack_id, None)), None)

    def _events_since(self, stack_id: str, before: str | None) -> "Iterator[StackEventTypeDef]":
        """The events after `before`, newest first."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        events = (event for page in pages for event in page["StackEvents"])
        return takewhile(lambda event: event["EventId"] != before, events)


def is_of_a_pipeline(template: Any) -> bool:
    """Whether the template contains functions, either before or after SAM's transform."""
    kinds = {resource["Type"] for resource in template["Resources"].values()}
    return not kinds.isdisjoint({"AWS::Serverless::Function", "AWS::Lambda::Function"})


def parameters_of(found: "StackTypeDef") -> dict[str, str]:
    return {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}


def _parameters(plan: Plan) -> "list[ParameterTypeDef]":
    return [
        {"ParameterKey": name, "ParameterValue": value} for name, value in plan.parameters.items()
    ]


def _tags(plan: Plan) -> "list[TagTypeDef]":
    return [{"Key": name, "Value": value} for name, value in plan.tags.items()]


def _describe(event: "StackEventTypeDef") -> str:
    reason = event.get("ResourceStatusReason")
    told = f"{event.get('LogicalResourceId')} {event.get('ResourceStatus')}"
    return f"{told}: {reason}" if reason else told


def _failure(event: "StackEventTypeDef") -> list[str]:
    """The reason, if this is the event of a failed resource. The stack's own event only repeats
    it."""
    is_of_stack = event.get("PhysicalResourceId") == event["StackId"]
    if is_of_stack or not event.get("ResourceStatus", "").endswith("_FAILED"):
        return []
    reason = event.get("ResourceStatusReason", "CloudFormation gives no reason")
    return [f"{event.get('LogicalResourceId')}: {reason}{_hint(event, reason)}"]


def _hint(event: "StackEventTypeDef", reason: str) -> str:
    if _TAKEN not in reason:
        return ""
    if event.get("ResourceType") == "AWS::Logs::LogGroup":
        return (
            " A function that ran earlier created it: delete it and its log lines with "
            "`aws logs delete-log-group --log-group-name NAME`, then run this again."
        )
    return " It is not part of this stack: delete it where it was created, then run this again."
