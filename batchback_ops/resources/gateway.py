"""`batchback resources gateway`: the errors of API Gateway itself, in the service's shape.

`chalice deploy` cannot do it: it describes the API to API Gateway without them. In the template of
a pipeline they stand beside the API.
"""

from typing import Any

from batchback.shell import Shell

from batchback_ops import project
from batchback_ops.errors import NotDone
from batchback_ops.gateway_responses import RESPONSES
from batchback_ops.resources.actions import check
from batchback_ops.stage import Stage


def shape_errors(stage: Stage, shell: Shell) -> object:
    """Repeats safely. Callers get the new answers once the API is deployed anew, which is done
    too; its routes and functions stay as they are."""
    check(stage)
    client = stage.client("apigateway")
    api_id = _api_of(stage, client)
    shell.say(f"API {api_id} gets {len(RESPONSES)} answers of its own errors.")
    for name, response in RESPONSES.items():
        client.put_gateway_response(restApiId=api_id, responseType=name, **response.settings)
    client.create_deployment(restApiId=api_id, stageName=stage.name)
    return {"restApiId": api_id, "region": stage.region, "gatewayResponses": len(RESPONSES)}


def _api_of(stage: Stage, client: Any) -> str:
    """Chalice calls the APIs of all stages the same."""
    for page in client.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            if api["name"] == project.configuration()["app_name"]:
                stages = client.get_stages(restApiId=api["id"])["item"]
                if stage.name in {each["stageName"] for each in stages}:
                    found: str = api["id"]
                    return found
    raise NotDone(
        f"Stage {stage.name} has no API in {stage.region}: run `chalice deploy --stage "
        f"{stage.name}` first, or name the right region."
    )
