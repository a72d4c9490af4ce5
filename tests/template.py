"""The template of the resources, as CloudFormation sees it for the stage prod."""

import json
import re
from typing import Any

from batchback_ops import project
from chalicelib.settings import Names

NAMES = Names("prod")
TEMPLATE: dict[str, Any] = json.loads(project.template())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS = {"Stage": "prod", "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:oncall"}
PSEUDO = {"AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "AWS::Partition": "aws"}
#: Values that exist only once a resource does; the template refers to them only for queues.
PHYSICAL = {
    "JobsQueue": NAMES.jobs_queue,
    "JobsDeadQueue": NAMES.jobs_dead_queue,
    "BatchesQueue": NAMES.batches_queue,
    "BatchesDeadQueue": NAMES.batches_dead_queue,
    "CallbacksQueue": NAMES.callbacks_queue,
    "CallbacksDeadQueue": NAMES.callbacks_dead_queue,
}


def resolved(value: Any, given: dict[str, str] = PARAMETERS) -> Any:
    """The value as CloudFormation sees it, once references are filled in."""
    if isinstance(value, list):
        return [resolved(each, given) for each in value]
    if not isinstance(value, dict):
        return value
    [(name, argument), *others] = [*value.items()] or [("", None)]
    if others or name not in _FUNCTIONS:
        plain = {key: resolved(each, given) for key, each in value.items()}
        return {key: each for key, each in plain.items() if each is not None}
    return _FUNCTIONS[name](argument, given)


def _ref(name: str, given: dict[str, str]) -> Any:
    if name == "AWS::NoValue":
        return None
    if name in TEMPLATE["Parameters"]:
        return given.get(name, TEMPLATE["Parameters"][name].get("Default"))
    return {**PSEUDO, **PHYSICAL}[name]


def _if(argument: list[Any], given: dict[str, str]) -> Any:
    condition, then, otherwise = argument
    holds = resolved(TEMPLATE["Conditions"][condition], given)
    return resolved(then if holds else otherwise, given)


def _sub(text: str, given: dict[str, str]) -> str:
    return re.sub(r"\$\{([A-Za-z:]+)\}", lambda match: str(_ref(match[1], given)), text)


_FUNCTIONS: dict[str, Any] = {
    "Ref": _ref,
    "Fn::Sub": _sub,
    "Fn::If": _if,
    "Fn::Join": lambda parts, given: parts[0].join(resolved(parts[1], given)),
    "Fn::Equals": lambda pair, given: resolved(pair[0], given) == resolved(pair[1], given),
    "Fn::Not": lambda one, given: not resolved(one[0], given),
    "Fn::GetAtt": lambda path, _: f"arn:{path[0]}" if path[1] == "Arn" else PHYSICAL[path[0]],
}


def of_type(kind: str, given: dict[str, str] = PARAMETERS) -> dict[str, Any]:
    """The properties of all resources of a type, by their logical name."""
    return {
        name: resolved(resource["Properties"], given)
        for name, resource in RESOURCES.items()
        if resource["Type"] == kind
    }


ALARMS = of_type("AWS::CloudWatch::Alarm")
QUEUES = of_type("AWS::SQS::Queue")
TABLES = of_type("AWS::DynamoDB::Table")
FUNCTIONS = {"batchback-prod"} | {
    f"batchback-prod-{name}"
    for name in ("run_jobs", "advance_batch", "call_back", "bury_jobs", "sweep")
}
