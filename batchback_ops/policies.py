"""What each Lambda function may do in AWS: the one source of the policies that are deployed.

Chalice reads a policy file per function and stage, fills nothing in and adds nothing to it. So the
files are made from here, for every stage of .chalice/config.json, and kept beside it. Partition,
region and account are `*` in them: a deployment is in one of each, and what is in other accounts is
theirs to open. The stage never is.
"""

import argparse
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchback.errors import CannotGoOn
from batchback.shell import Shell, Status

from batchback_ops import project
from chalicelib.errors import Misconfigured
from chalicelib.settings import Names, is_header_kept

#: A parsed .chalice/config.json.
Configuration = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something of a stage that functions may be allowed to use."""

    #: As the policies and the docs call it.
    name: str
    service: str
    #: The end of its ARN.
    path: Callable[[Names], str]
    #: Of a table: which items of it, by the partition key.
    #: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    partition_keys: str | None = None
    #: Whether a stage with these environment variables has it.
    is_there: Callable[[Mapping[str, str]], bool] = lambda _: True


def _batches(names: Names) -> str:
    return f"table/{names.batches_table}"


def _keys(names: Names) -> str:
    return f"table/{names.keys_table}"


BATCHES = Resource(name="Batches", service="dynamodb", path=_batches)
BATCHES_BY_ACCOUNT = Resource(
    name="BatchesByAccount",
    service="dynamodb",
    path=lambda names: f"{_batches(names)}/index/by_account",
)
BATCHES_DUE = Resource(
    name="BatchesDue", service="dynamodb", path=lambda names: f"{_batches(names)}/index/due"
)
#: What callers sign with, and the service in their name.
KEYS = Resource(name="Keys", service="dynamodb", path=_keys, partition_keys="key#*")
#: What callbacks are signed with.
ACCOUNTS = Resource(name="Accounts", service="dynamodb", path=_keys, partition_keys="account#*")
JOBS_QUEUE = Resource(name="JobsQueue", service="sqs", path=lambda names: names.jobs_queue)
JOBS_DEAD_QUEUE = Resource(
    name="JobsDeadQueue", service="sqs", path=lambda names: names.jobs_dead_queue
)
BATCHES_QUEUE = Resource(name="BatchesQueue", service="sqs", path=lambda names: names.batches_queue)

#: Its value is encrypted with AWS's key for parameters, which asks nobody in the account for more.
PLATFORM_HEADER = Resource(
    name="PlatformHeader",
    service="ssm",
    path=lambda names: f"parameter{names.platform_header}",
    is_there=is_header_kept,
)

#: SendMessage allows SendMessageBatch too.
_SEND = ("GetQueueUrl", "SendMessage")
#: What Lambda does in a function's name with the queue whose messages it hands over.
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
_TAKE = ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
#: And with its log. https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
_LOG = ("CreateLogGroup", "CreateLogStream", "PutLogEvents")

#: And with X-Ray, which has no resources to name, where a stage is traced.
#: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
_TRACE = ("PutTelemetryRecords", "PutTraceSegments")

#: The functions by the names that Chalice has for them. Each writes its own log besides.
MAY: Mapping[str, Mapping[Resource, tuple[str, ...]]] = {
    "api_handler": {
        BATCHES: ("BatchGetItem", "BatchWriteItem", "GetItem", "PutItem", "Query", "UpdateItem"),
        BATCHES_BY_ACCOUNT: ("Query",),
        KEYS: ("GetItem",),
        JOBS_QUEUE: _SEND,
        BATCHES_QUEUE: _SEND,
    },
    "run_jobs": {
        BATCHES: ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"),
        KEYS: ("GetItem",),
        PLATFORM_HEADER: ("GetParameter",),
        JOBS_QUEUE: (*_SEND, *_TAKE),
        BATCHES_QUEUE: _SEND,
    },
    "advance_batch": {
        BATCHES: ("GetItem", "PutItem", "Query", "UpdateItem"),
        ACCOUNTS: ("GetItem",),
        JOBS_QUEUE: _SEND,
        BATCHES_QUEUE: (*_SEND, *_TAKE),
    },
    "bury_jobs": {
        BATCHES: ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"),
        JOBS_DEAD_QUEUE: _TAKE,
        BATCHES_QUEUE: _SEND,
    },
    "sweep": {
        BATCHES: ("UpdateItem",),
        BATCHES_DUE: ("Query",),
        BATCHES_QUEUE: _SEND,
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none: it is always about all stages."""


def run(_options: argparse.Namespace, shell: Shell) -> int:
    """Brings the policy files, and what .chalice/config.json says of them, in step with this
    source, and says what it changed. Whatever else is in the configuration stays."""
    here = project.root() / ".chalice"
    configuration = project.configuration()
    wanted = policy_files(configuration)
    referring = naming_policies(configuration)
    if referring != configuration:
        wanted["config.json"] = _text(referring)
    for name in [*_left_over(here, wanted)]:
        (here / name).unlink()
        shell.say(f"removed .chalice/{name}")
    for name in [*_outdated(here, wanted)]:
        (here / name).write_text(wanted[name], "utf-8")
        shell.say(f"wrote .chalice/{name}")
    shell.say(f"every function of the stages {', '.join(configuration['stages'])} has its policy")
    return Status.OK


def policy_files(configuration: Configuration) -> dict[str, str]:
    """Every policy file of .chalice and its text; CannotGoOn where a stage has a name that its
    resources cannot have."""
    return {
        file_name(function, stage): _text(
            policy(
                function,
                _names(stage, configuration),
                configured.get("environment_variables", {}),
                is_traced=project.configured(configuration, stage, function, "xray", default=False),
            )
        )
        for stage, configured in configuration["stages"].items()
        for function in MAY
    }


def naming_policies(configuration: Configuration) -> dict[str, Any]:
    """The configuration with each function of each stage under its own policy."""
    naming = copy.deepcopy(dict(configuration))
    naming["autogen_policy"] = False
    for stage, configured in naming["stages"].items():
        functions = configured.setdefault("lambda_functions", {})
        for function in MAY:
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
    """The policy of one function in one stage with these environment variables, as IAM reads it."""
    statements = [
        _statement(resource, actions, names)
        for resource, actions in MAY[function].items()
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
    """A log group's ARN in a policy ends with `:*`, whose streams it is then too.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html"""
    group = _arn("logs", f"log-group:/aws/lambda/{lambda_name(function, stage)}:*")
    return _allow("OwnLog", "logs", _LOG, [group])


def lambda_name(function: str, stage: str) -> str:
    """What `chalice deploy` calls a function, and the template of a pipeline too. No stage can be
    taken for the beginning of another's name."""
    stack = project.stack_name(stage)
    return stack if function == "api_handler" else f"{stack}-{function}"


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
            f"Stage {stage} of .chalice/config.json needs its own name in its "
            f'environment_variables: "STAGE": "{stage}".'
        )
    try:
        return Names(stage)
    except Misconfigured as fault:
        raise CannotGoOn(
            f"A stage of .chalice/config.json cannot be called so: {fault}."
        ) from fault


def _left_over(here: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    """The policies of stages that are gone."""
    for function in MAY:
        for path in sorted(here.glob(file_name(function, "*"))):
            if path.name not in wanted:
                yield path.name


def _outdated(here: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    for name, text in wanted.items():
        if not (here / name).exists() or (here / name).read_text("utf-8") != text:
            yield name


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
