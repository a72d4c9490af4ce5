"""A stage's tables and queues in the embedded AWS."""

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from batchback_local.errors import CannotStart
from batchback_ops import project


def create_resources(
    stage: str, endpoint: str | None = None, *, visibility_seconds: int | None = None
) -> None:
    """Create the stage's tables and queues with CloudFormation, from the template that deployments
    use. CannotStart if that fails. `visibility_seconds` replaces the template's visibility timeout,
    after which the message of a dead worker comes back."""
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
            f"The stack {stack} cannot be created ({type(error).__name__}): check "
            ".chalice/resources.json."
        ) from error


def _parameters(stage: str, visibility_seconds: int | None) -> dict[str, str]:
    """The template's parameters. Monitoring is off, because moto creates no alarms and warns about
    each."""
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
