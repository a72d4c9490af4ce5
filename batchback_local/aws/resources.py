"""A stage's tables and queues in the embedded AWS."""

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from batchback_local.errors import CannotStart
from batchback_ops import project


def create_resources(
    stage: str, endpoint: str | None = None, *, visibility_seconds: int | None = None
) -> None:
    """Makes the stage's tables and queues from the template that deployments use, by
    CloudFormation; CannotStart where it will not. `visibility_seconds`: when the message of a
    worker that died comes back, where not as long as the template says."""
    cloudformation = boto3.client("cloudformation", endpoint_url=endpoint)
    stack = project.stack_name(stage)
    try:
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=project.template(),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in _parameters(stage, visibility_seconds).items()
            ],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
    except (ClientError, BotoCoreError, WaiterError) as error:
        raise CannotStart(
            f"The stack {stack} of .chalice/resources.json fails: {type(error).__name__}, so check "
            "that file."
        ) from error


def _parameters(stage: str, visibility_seconds: int | None) -> dict[str, str]:
    """moto makes no alarms, and says so of each."""
    parameters = {"Stage": stage, "Monitoring": "false"}
    if visibility_seconds is None:
        return parameters
    return {**parameters, **dict.fromkeys(_VISIBILITIES, str(visibility_seconds))}


#: The template's parameters that say how long a message is hidden while a function works on it.
_VISIBILITIES = (
    "JobsVisibilitySeconds",
    "JobsDeadVisibilitySeconds",
    "BatchesVisibilitySeconds",
    "CallbacksVisibilitySeconds",
)
