"""What `batchback resources` does with a stage's CloudFormation stack, and what it prints.

Two files in the checkout define the stack, so that the same command gives everybody the same stack:
the template, and the stage's `resources` in .chalice/config.json, which are its parameters.
"""

import json
from typing import TYPE_CHECKING, Any

from batchback.errors import CannotGoOn
from batchback.shell import Shell

from batchback_ops import project
from batchback_ops.errors import NotDone
from batchback_ops.resources.stack import Plan, Stack, StackFailed, is_of_a_pipeline, parameters_of
from batchback_ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient


# ---- up


def up(stage: Stage, shell: Shell) -> object:
    """Create or update the stack. It is safe to repeat: an up-to-date stack is not touched."""
    stack = _stack(stage, shell)
    plan = _plan(stage)
    found = stack.find()
    if found is not None and found["StackStatus"] == "ROLLBACK_COMPLETE":
        stack.shell.say(
            f"A failed creation left stack {stack.name}: deleting and creating it again."
        )
        stack.delete(found)
        found = None
    if found is None:
        stack.create(plan)
    else:
        _refuse_unless_ready(stage, stack, found)
        if not stack.update(found, plan):
            stack.shell.say(f"Stack {stack.name} is up to date: nothing to change.")
    return _state(stage, stack)


def _plan(stage: Stage) -> Plan:
    parameters = _parameters(stage)
    return Plan(
        template=project.template(),
        parameters=parameters,
        tags=project.tags(stage.name),
        is_protected=parameters["DeletionProtection"] == "true",
    )


def _parameters(stage: Stage) -> dict[str, str]:
    parameters = project.stack_parameters(stage.name)
    for name, value in parameters.items():
        if value.startswith("arn:") and value.split(":")[3] != stage.region:
            raise CannotGoOn(
                f"{name} of stages.{stage.name}.resources in .chalice/config.json is not in the "
                f"stage's region: name one in {stage.region}."
            )
    return parameters


def _refuse_unless_ready(stage: Stage, stack: Stack, found: "StackTypeDef") -> None:
    _refuse_while_busy(stage, stack, found)
    if is_of_a_pipeline(_template_of(stack)):
        raise NotDone(
            f"A pipeline made the stack {stack.name} from `batchback package`, and this command "
            "would delete its functions and its API: change it with the pipeline."
        )
    status = found["StackStatus"]
    if status not in _READY:
        way_out = _WAYS_OUT.get(status, _DELETE_FIRST).format(
            stage=stage.name, stack=stack.name, region=stage.region
        )
        reason = found.get("StackStatusReason", "CloudFormation gives no reason")
        raise NotDone(f"Stack {stack.name} is in {status} ({reason}): {way_out}.")


def _refuse_while_busy(stage: Stage, stack: Stack, found: "StackTypeDef") -> None:
    status = found["StackStatus"]
    if status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        raise NotDone(
            f"Stack {stack.name} is in {status}, so another operation is in progress: wait until "
            f"`batchback resources show --stage {stage.name}` shows that it is over."
        )


#: The states in which a stack can be updated.
_READY = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}
#: The only way out of CREATE_FAILED, ROLLBACK_FAILED, DELETE_FAILED and REVIEW_IN_PROGRESS.
_DELETE_FIRST = "run `batchback resources down --stage {stage}`, then this again"
_WAYS_OUT = {
    "UPDATE_FAILED": "fix what the reason names, then run "
    "`aws cloudformation rollback-stack --stack-name {stack} --region {region}`",
    "UPDATE_ROLLBACK_FAILED": "fix what the reason names, then run "
    "`aws cloudformation continue-update-rollback --stack-name {stack} --region {region}`",
}


# ---- down


def down(stage: Stage, shell: Shell, *, is_sure: bool, is_forced: bool) -> object:
    """Delete the stack. It is safe to repeat: if there is no stack, this succeeds."""
    stack = _stack(stage, shell)
    found = stack.find()
    if found is None:
        shell.say(f"There is no stack {stack.name} in {stage.region}: nothing to delete.")
    else:
        if found["StackStatus"] != "DELETE_IN_PROGRESS":
            _refuse_while_busy(stage, stack, found)
            _refuse_while_protected(stage, stack, found)
            if not is_forced:
                _refuse_while_batches_are_open(stage)
            if not is_sure:
                _ask(stage, shell)
        _delete(stack, found)
    return {"stack": stack.name, "region": stage.region, "status": "DELETE_COMPLETE"}


def _refuse_while_protected(stage: Stage, stack: Stack, found: "StackTypeDef") -> None:
    """Refuse only if `up` can end the protection. A failed creation may leave protected tables that
    an update of the stack no longer reaches."""
    is_protected = parameters_of(found).get("DeletionProtection") == "true"
    if is_protected and found["StackStatus"] in _READY:
        bring_up = f"run `batchback resources up --stage {stage.name}`"
        if is_of_a_pipeline(_template_of(stack)):
            bring_up = "deploy it with its pipeline"
        raise NotDone(
            f"Stage {stage.name} is protected from deletion. To delete it anyway, set "
            f"DeletionProtection to false in stages.{stage.name}.resources of "
            f".chalice/config.json, {bring_up}, then run this again."
        )


def _refuse_while_batches_are_open(stage: Stage) -> None:
    """Refuse while jobs are to be run or callbacks are to be sent. Such a batch has a due time, so
    it is in the index `due`."""
    count = _open_batches(stage)
    if count:
        raise NotDone(
            f"Stage {stage.name} has open batches: {count}. Their jobs are still running, or their "
            f"callback is still to be sent. Wait until `batchback resources show --stage "
            f"{stage.name}` counts none, or abandon them with --force."
        )


def _ask(stage: Stage, shell: Shell) -> None:
    if not shell.stdin.isatty():
        raise CannotGoOn("Without a terminal this cannot ask for confirmation: add --yes.")
    shell.say(
        f"This deletes for good, in {stage.region}: all keys and accounts of stage {stage.name}, "
        "all its batches and their results, its queues, and its functions' logs. Functions that "
        f"are still deployed will fail, so run `chalice delete --stage {stage.name}` first."
    )
    shell.say(f"To delete the stage, type its name, {stage.name}:")
    if shell.stdin.readline().decode(errors="replace").strip() != stage.name:
        raise NotDone("That is not the stage's name, so nothing was deleted: run this again.")


def _delete(stack: Stack, found: "StackTypeDef") -> None:
    try:
        stack.delete(found)
    except StackFailed as failure:
        raise StackFailed(
            f"{failure} (If a table is protected, run `aws dynamodb update-table "
            "--no-deletion-protection-enabled --table-name NAME`, then this again.)"
        ) from failure


# ---- show


def show(stage: Stage, shell: Shell) -> object:
    return _state(stage, _stack(stage, shell))


def _state(stage: Stage, stack: Stack) -> object:
    found = stack.find()
    if found is None:
        raise NotDone(
            f"Stage {stage.name} has no resources in {stage.region}: create them with "
            f"`batchback resources up --stage {stage.name}`, or correct AWS_DEFAULT_REGION."
        )
    return {
        "stack": stack.name,
        "region": stage.region,
        "status": found["StackStatus"],
        "statusReason": found.get("StackStatusReason") or None,
        "parameters": parameters_of(found),
        "outputs": _outputs_of(found),
        "outOfDate": _differences(_plan(stage), stack, found),
        "drift": found.get("DriftInformation", {}).get("StackDriftStatus", "NOT_CHECKED"),
        "openBatches": _open_batches(stage),
    }


def _differences(plan: Plan, stack: Stack, found: "StackTypeDef") -> list[str]:
    """What `up` would change. Nothing if a pipeline made the stack, because `up` refuses it."""
    differences = []
    template = _template_of(stack)
    if is_of_a_pipeline(template):
        return []
    if template != json.loads(plan.template):
        differences.append("template")
    if {each["Key"]: each["Value"] for each in found.get("Tags", [])} != plan.tags:
        differences.append("tags")
    is_now = parameters_of(found)
    wanted = plan.parameters
    return differences + [name for name in wanted if wanted[name] != is_now.get(name)]


def _template_of(stack: Stack) -> Any:
    body: Any = stack.client.get_template(StackName=stack.name)["TemplateBody"]
    return json.loads(body) if isinstance(body, str) else body


def _outputs_of(found: "StackTypeDef") -> dict[str, str]:
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


def _open_batches(stage: Stage) -> int | None:
    """How many batches have a due time, or None if there is no table of batches."""
    from chalicelib.adapters.items import DUE_BUCKETS

    client: DynamoDBClient = stage.client("dynamodb")
    pages = client.get_paginator("query")
    try:
        return sum(
            page["Count"]
            for bucket in range(DUE_BUCKETS)
            for page in pages.paginate(
                TableName=stage.names.batches_table,
                IndexName="due",
                Select="COUNT",
                KeyConditionExpression="due_bucket = :bucket",
                ExpressionAttributeValues={":bucket": {"S": str(bucket)}},
            )
        )
    except client.exceptions.ResourceNotFoundException:
        return None


# ---- the stage


def _stack(stage: Stage, shell: Shell) -> Stack:
    check(stage)
    name = project.stack_name(stage.name)
    return Stack(name=name, client=stage.client("cloudformation"), shell=shell)


def check(stage: Stage) -> None:
    """Check that the template, the functions, Chalice and the alarms use the same stage name, from
    which each derives other names."""
    if stage.is_local:
        raise CannotGoOn(
            f"The stage {stage.name} runs on this machine, where `batchback local` creates the "
            "resources: name another stage."
        )
    _ = stage.names
    configured = {
        "environment_variables.STAGE": stage.variables.get("STAGE"),
        "api_gateway_stage": project.api_gateway_stage(stage.name),
    }
    for what, value in configured.items():
        if value != stage.name:
            raise CannotGoOn(
                f"stages.{stage.name}.{what} in .chalice/config.json must be {stage.name!r}, "
                f"not {value!r}: tables, queues and alarms are named after the stage."
            )
