"""Check that the stage is in this region and account.

If it is not, nothing else is checked: every check would report something missing, and an operator
who followed the remedies would create a second stage.
"""

from typing import Any

from batchback_ops import project
from batchback_ops.doctor.diagnosis import Wrong
from batchback_ops.doctor.remedies import by_command
from batchback_ops.stage import Stage


def judge(stage: Stage) -> str:
    if _has_stack(stage) or _has_function(stage):
        return stage.region
    found = f"stage {stage.name} is not in {stage.region} of this account"
    if elsewhere := _deployed_to(stage):
        raise Wrong(
            found, f"set AWS_DEFAULT_REGION to {elsewhere}, where this checkout deployed it"
        )
    raise Wrong(
        found,
        "set AWS_DEFAULT_REGION and AWS_PROFILE to where it is; if it does not exist yet, "
        f"{by_command(stage)}",
    )


def _has_stack(stage: Stage) -> bool:
    from botocore.exceptions import ClientError

    name = project.stack_name(stage.name)
    try:
        stage.client("cloudformation").describe_stacks(StackName=name)
    except ClientError as error:
        # CloudFormation answers this for a stack that does not exist.
        return error.response["Error"]["Code"] != "ValidationError"
    return True


def _has_function(stage: Stage) -> bool:
    client = stage.client("lambda")
    name = project.function_name("api_handler", stage.name)
    try:
        client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True


def _deployed_to(stage: Stage) -> str | None:
    """The region that `chalice deploy` recorded, if it is another one."""
    resources: list[dict[str, Any]] = project.deployed(stage.name)
    arns = [str(each["lambda_arn"]).split(":") for each in resources if "lambda_arn" in each]
    regions = {arn[3] for arn in arns if len(arn) > 3} - {stage.region}
    return min(regions, default=None)
