"""The IAM policies, generated from `permissions`: one file per function and stage.

Chalice uses these files as they are. The partition, region and account in them are `*`, because a
deployment is in only one of each, and other accounts control access to their own resources. The
stage is never `*`.
"""

import copy
import json
from collections.abc import Mapping
from typing import Any

from batchback.errors import CannotGoOn

from batchback_ops import project
from batchback_ops.policies.permissions import PERMISSIONS, Resource
from chalicelib.errors import Misconfigured
from chalicelib.settings import Names

#: A parsed .chalice/config.json.
Configuration = Mapping[str, Any]

#: On its log. https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
_LOG = ("CreateLogGroup", "CreateLogStream", "PutLogEvents")

#: On X-Ray, which has no resources to name, if the stage is traced.
#: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
_TRACE = ("PutTelemetryRecords", "PutTraceSegments")


def policy_files(configuration: Configuration) -> dict[str, str]:
    """Every policy file in .chalice, and its text. CannotGoOn if a stage's name is invalid for its
    resources."""
    return {
        file_name(function, stage): json_text(
            policy(
                function,
                _names(stage, configuration),
                configured.get("environment_variables", {}),
                is_traced=project.configured(configuration, stage, function, "xray", default=False),
            )
        )
        for stage, configured in configuration["stages"].items()
        for function in PERMISSIONS
    }


def naming_policies(configuration: Configuration) -> dict[str, Any]:
    """The configuration, with each function of each stage referring to its own policy."""
    naming = copy.deepcopy(dict(configuration))
    naming["autogen_policy"] = False
    for stage, configured in naming["stages"].items():
        functions = configured.setdefault("lambda_functions", {})
        for function in PERMISSIONS:
            functions.setdefault(function, {})["iam_policy_file"] = file_name(function, stage)
    return naming


def file_name(function: str, stage: str) -> str:
    return f"policy-{stage}-{function}.json"


def policy(
    function: str,
    names: Names,
    variables: Mapping[str, str] | None = None,
    *,
    is_traced: bool = False,
) -> dict[str, Any]:
    """The policy of one function in one stage with these environment variables."""
    statements = [
        _statement(resource, actions, names)
        for resource, actions in PERMISSIONS[function].items()
        if resource.is_there(variables or {})
    ]
    statements.append(_of_log(function, names.stage))
    if is_traced:
        statements.append(_allow("Traces", "xray", _TRACE, ["*"]))
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(resource: Resource, actions: tuple[str, ...], names: Names) -> dict[str, Any]:
    statement = _allow(
        resource.name, resource.service, actions, [_arn(resource.service, resource.path(names))]
    )
    if resource.partition_keys:
        statement["Condition"] = {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [resource.partition_keys]}
        }
    return statement


def _of_log(function: str, stage: str) -> dict[str, Any]:
    """The statement for the function's log. The log group's ARN ends with `:*` to include its
    streams.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html"""
    group = _arn("logs", f"log-group:/aws/lambda/{project.function_name(function, stage)}:*")
    return _allow("OwnLog", "logs", _LOG, [group])


def _allow(
    name: str, service: str, actions: tuple[str, ...], resources: list[str]
) -> dict[str, Any]:
    return {
        "Sid": name,
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in sorted(actions)],
        "Resource": resources,
    }


def _arn(service: str, path: str) -> str:
    return f"arn:*:{service}:*:*:{path}"


def _names(stage: str, configuration: Configuration) -> Names:
    variables = configuration["stages"][stage].get("environment_variables", {})
    if variables.get("STAGE") != stage:
        raise CannotGoOn(
            f"Add the stage's name to the environment_variables of stage {stage} in "
            f'.chalice/config.json: "STAGE": "{stage}".'
        )
    try:
        return Names(stage)
    except Misconfigured as fault:
        raise CannotGoOn(f"Rename the stage {stage!r} in .chalice/config.json: {fault}.") from fault


def json_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
