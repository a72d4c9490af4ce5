"""Check that a stage's stack, tables and queues exist and match .chalice/resources.json."""

import json
from functools import partial
from typing import Any

from batchback_ops import project
from batchback_ops.doctor.diagnosis import Check, Skipped, Wrong
from batchback_ops.doctor.function_checks import timeout_seconds
from batchback_ops.doctor.remedies import bring_up
from batchback_ops.resources.stack import parameters_of
from batchback_ops.stage import Stage

#: The states in which no operation on the stack is in progress or has failed.
_AT_REST = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
_VISIBILITY_PER_TIMEOUT = 6


def checks(stage: Stage) -> list[Check]:
    """The checks of a stage. On this machine there is no backup, and timeouts may differ."""
    names = stage.names
    tables = {"batches": names.batches_table, "keys": names.keys_table}
    queues = {
        "jobs": (names.jobs_queue, names.jobs_dead_queue),
        "batches": (names.batches_queue, names.batches_dead_queue),
        "callbacks": (names.callbacks_queue, names.callbacks_dead_queue),
    }
    common = [
        *[Check(name=f"table {key}", run=partial(_table, stage, tables[key])) for key in tables],
        *[
            Check(name=f"queue {key}", run=partial(_queue, stage, *queue))
            for key, queue in queues.items()
        ],
        Check(name="dead letters", run=partial(_dead_letters, stage)),
    ]
    return common if stage.is_local else [*_of_aws(stage), *common]


def _of_aws(stage: Stage) -> list[Check]:
    names = stage.names
    consumers = {
        "jobs": (names.jobs_queue, "run_jobs", "JobsVisibilitySeconds"),
        "jobs-dead": (names.jobs_dead_queue, "bury_jobs", "JobsDeadVisibilitySeconds"),
        "batches": (names.batches_queue, "advance_batch", "BatchesVisibilitySeconds"),
        "callbacks": (names.callbacks_queue, "call_back", "CallbacksVisibilitySeconds"),
    }
    return [
        Check(name="stack", run=partial(_stack, stage)),
        Check(name="alarms", run=partial(_alarms, stage)),
        Check(name="expiry of batches", run=partial(_expiry, stage)),
        Check(name="backup of batches", run=partial(_backup, stage, names.batches_table)),
        Check(name="backup of keys", run=partial(_backup, stage, names.keys_table)),
        *[
            Check(name=f"visibility of {key}", run=partial(_visibility, stage, *consumer))
            for key, consumer in consumers.items()
        ],
    ]


def _stack(stage: Stage) -> str:
    from botocore.exceptions import ClientError

    name = project.stack_name(stage.name)
    client = stage.client("cloudformation")
    try:
        [found] = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise Wrong(
            f"there is no stack {name} in {stage.region}",
            bring_up(stage),
        ) from error
    status: str = found["StackStatus"]
    if status not in _AT_REST:
        raise Wrong(
            f"{name} is in {status}", f"batchback resources show --stage {stage.name} shows why"
        )
    if others := _other_than_wanted(client.get_template(StackName=name)["TemplateBody"]):
        raise Wrong(f"differs from .chalice/resources.json in {', '.join(others)}", bring_up(stage))
    there, wanted = parameters_of(found), project.stack_parameters(stage.name)
    if others := [each for each, value in wanted.items() if there.get(each) != value]:
        raise Wrong(
            f"differs from the resources in .chalice/config.json in {', '.join(others)}",
            bring_up(stage),
        )
    return f"{name} is in {status} and matches .chalice/resources.json and .chalice/config.json"


def _alarms(stage: Stage) -> str:
    parameters = project.stack_parameters(stage.name)
    if parameters["Monitoring"] != "true":
        raise Skipped("this stage has no alarms, because its Monitoring is off")
    if not parameters["AlarmTopicArn"]:
        raise Wrong(
            "they notify nobody, because AlarmTopicArn is not set",
            f"set it to an SNS topic in stages.{stage.name}.resources of .chalice/config.json, "
            f"then {bring_up(stage)}",
        )
    return f"they notify {parameters['AlarmTopicArn']}"


def _other_than_wanted(body: Any) -> list[str]:
    """The resources that differ. A pipeline's template may contain more than ours."""
    there = json.loads(body) if isinstance(body, str) else body
    wanted: dict[str, Any] = json.loads(project.template())["Resources"]
    return [name for name in wanted if there["Resources"].get(name) != wanted[name]]


def _table(stage: Stage, name: str) -> str:
    table = stage.client("dynamodb").describe_table(TableName=name)["Table"]
    states = {name: table["TableStatus"]} | {
        f"index {index['IndexName']}": index.get("IndexStatus", "ACTIVE")
        for index in table.get("GlobalSecondaryIndexes", [])
    }
    if resting := [f"{each} is {state}" for each, state in states.items() if state != "ACTIVE"]:
        raise Wrong(", ".join(resting), "wait until it is ACTIVE")
    return f"{', '.join(states)}: active"


def _expiry(stage: Stage) -> str:
    answer = stage.client("dynamodb").describe_time_to_live(TableName=stage.names.batches_table)
    found = answer["TimeToLiveDescription"]
    if found.get("AttributeName") != "expires_at" or not found["TimeToLiveStatus"].startswith(
        "ENABL"
    ):
        raise Wrong("TTL is off, so nothing deletes expired batches", bring_up(stage))
    return "TTL on expires_at"


def _backup(stage: Stage, name: str) -> str:
    answer = stage.client("dynamodb").describe_continuous_backups(TableName=name)
    found = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if found.get("PointInTimeRecoveryStatus") != "ENABLED":
        raise Wrong("point-in-time recovery is off", bring_up(stage))
    return "point-in-time recovery is on"


def _queue(stage: Stage, name: str, dead: str) -> str:
    attributes = _attributes(stage, name)
    redrive = json.loads(attributes.get("RedrivePolicy", "{}"))
    if not redrive.get("deadLetterTargetArn", "").endswith(f":{dead}"):
        raise Wrong(f"its dead-letter queue is not {dead}", bring_up(stage))
    waiting = attributes["ApproximateNumberOfMessages"]
    return f"{waiting} waiting; {redrive['maxReceiveCount']} deliveries, then {dead}"


def _dead_letters(stage: Stage) -> str:
    """bury_jobs takes the dead messages of jobs, so only the others are wrong."""
    names = stage.names
    for_people = {
        "batches-dead": names.batches_dead_queue,
        "callbacks-dead": names.callbacks_dead_queue,
    }
    counts = {
        queue: int(_attributes(stage, queue)["ApproximateNumberOfMessages"])
        for queue in (*for_people.values(), names.jobs_dead_queue)
    }
    found = ", ".join(f"{queue}: {count}" for queue, count in counts.items())
    for queue, name in for_people.items():
        if counts[name]:
            options = f"--queue {queue} --stage {stage.name}"
            raise Wrong(
                found,
                f"batchback ops redrive {options}, once the cause is fixed; for messages that it "
                f"cannot read, batchback ops discard {options}",
            )
    return found


def _visibility(stage: Stage, name: str, function: str, parameter: str) -> str:
    wanted = _VISIBILITY_PER_TIMEOUT * timeout_seconds(function, stage)
    found = int(_attributes(stage, name)["VisibilityTimeout"])
    if found < wanted:
        raise Wrong(
            f"{found} s, less than 6 times the timeout of {function}, {wanted} s",
            f"set {parameter} to at least that in stages.{stage.name}.resources of "
            f".chalice/config.json, then {bring_up(stage)}",
        )
    return f"{found} s, at least 6 times the timeout of {function}"


def _attributes(stage: Stage, name: str) -> dict[str, str]:
    client = stage.client("sqs")
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    attributes: dict[str, str] = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    return attributes
