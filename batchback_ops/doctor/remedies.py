"""How to fix a stage: with the commands that made it, or with the pipeline that did."""

import json
from typing import Any

from batchback_ops import project
from batchback_ops.resources.stack import is_of_a_pipeline
from batchback_ops.stage import Stage

_BY_ITS_PIPELINE = "deploy it with its pipeline (docs/packaging.md)"


def bring_up(stage: Stage) -> str:
    """How to bring the stage's tables, queues and logs in line with the checkout."""
    return _BY_ITS_PIPELINE if _is_of_a_pipeline(stage) else by_command(stage)


def deploy(stage: Stage) -> str:
    """How to bring its functions, triggers and API in line with the checkout."""
    return _BY_ITS_PIPELINE if _is_of_a_pipeline(stage) else f"chalice deploy --stage {stage.name}"


def by_command(stage: Stage) -> str:
    return f"batchback resources up --stage {stage.name}"


def _is_of_a_pipeline(stage: Stage) -> bool:
    from botocore.exceptions import ClientError

    client = stage.client("cloudformation")
    try:
        body: Any = client.get_template(StackName=project.stack_name(stage.name))["TemplateBody"]
    except ClientError:  # no stack, or no permission to see it: the check of the stack reports it
        return False
    return is_of_a_pipeline(json.loads(body) if isinstance(body, str) else body)
