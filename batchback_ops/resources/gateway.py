"""`batchback resources gateway`: gives API Gateway's own errors the service's shape.

`chalice deploy` defines the API without these errors. A pipeline's template includes them.
"""

from typing import Any

from batchback.shell import Shell

from batchback_ops import project
from batchback_ops.errors import NotDone
from batchback_ops.gateway_responses import RESPONSES
from batchback_ops.resources.actions import check
from batchback_ops.stage import Stage


def shape_errors(stage: Stage, shell: Shell) -> object:
    """Set the errors and redeploy the API, so that callers get them. Its routes and functions stay
    as they are. It is safe to repeat."""
    check(stage)
    client = stage.client("apigateway")
    api_id = _api_of(stage, client)
    shell.say(f"Setting {len(RESPONSES)} gateway responses of API {api_id}.")
    for name, response in RESPONSES.items():
        client.put_gateway_response(restApiId=api_id, responseType=name, **response.settings)
    client.create_deployment(restApiId=api_id, stageName=stage.name)
    return {"restApiId": api_id, "region": stage.region, "gatewayResponses": len(RESPONSES)}


def _api_of(stage: Stage, client: Any) -> str:
    """The API's id. It is found by its stage, because Chalice gives the APIs of all stages the same
    name."""
    for page in client.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            if api["name"] == project.configuration()["app_name"]:
                stages = client.get_stages(restApiId=api["id"])["item"]
                if stage.name in {each["stageName"] for each in stages}:
                    found: str = api["id"]
                    return found
    raise NotDone(
        f"Stage {stage.name} has no API in {stage.region}: run `chalice deploy --stage "
        f"{stage.name}` first, or correct AWS_DEFAULT_REGION."
    )
