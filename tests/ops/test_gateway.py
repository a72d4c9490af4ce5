"""`batchback resources gateway` in moto: every error that API Gateway answers itself."""

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from batchback.shell import Status

from batchback_ops.gateway_responses import RESPONSES
from tests.client.user import User

#: No other test has an API in this region.
REGION = "eu-west-3"
COMMAND = ("resources", "gateway", "--stage", "dev")


@pytest.fixture
def apis(
    aws: None,  # noqa: ARG001 - moto must be up
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    client = boto3.client("apigateway", region_name=REGION)
    yield client
    for api in client.get_rest_apis()["items"]:
        client.delete_rest_api(restApiId=api["id"])


@pytest.fixture
def operator(apis: Any) -> User:
    assert apis
    return User(os.environ)


def made(apis: Any, name: str, stage: str) -> str:
    """The id of an API with a stage, as `chalice deploy` creates it."""
    api_id: str = apis.create_rest_api(name=name)["id"]
    [root] = apis.get_resources(restApiId=api_id)["items"]
    method = {"restApiId": api_id, "resourceId": root["id"], "httpMethod": "POST"}
    apis.put_method(**method, authorizationType="NONE")
    apis.put_integration(**method, type="MOCK")
    apis.create_deployment(restApiId=api_id, stageName=stage)
    return api_id


def answers(apis: Any, api_id: str) -> dict[str, tuple[str, Any]]:
    found = apis.get_gateway_responses(restApiId=api_id)["items"]
    return {
        each["responseType"]: (each["statusCode"], each["responseTemplates"]["application/json"])
        for each in found
    }


def test_all_of_them_get_the_services_shape(apis: Any, operator: User) -> None:
    api_id = made(apis, "batchback", "dev")
    assert operator.types(*COMMAND) == Status.OK
    assert operator.reads == {
        "restApiId": api_id,
        "region": REGION,
        "gatewayResponses": len(RESPONSES),
    }
    assert answers(apis, api_id) == {
        name: (str(response.status), response.body) for name, response in RESPONSES.items()
    }


def test_callers_get_them_because_the_api_is_redeployed(apis: Any, operator: User) -> None:
    api_id = made(apis, "batchback", "dev")
    before = apis.get_stage(restApiId=api_id, stageName="dev")["deploymentId"]
    for _ in range(2):
        assert operator.types(*COMMAND) == Status.OK
    assert apis.get_stage(restApiId=api_id, stageName="dev")["deploymentId"] != before


def test_apis_of_other_stages_and_of_others_are_left_alone(apis: Any, operator: User) -> None:
    others = [made(apis, "batchback", "prod"), made(apis, "another", "dev")]
    ours = made(apis, "batchback", "dev")
    assert operator.types(*COMMAND) == Status.OK
    assert answers(apis, ours)
    assert [answers(apis, each) for each in others] == [{}, {}]


def test_a_stage_without_an_api_says_what_to_run_first(apis: Any, operator: User) -> None:
    made(apis, "batchback", "prod")
    assert operator.types(*COMMAND) == Status.REFUSED
    assert "chalice deploy --stage dev" in operator.is_told
    assert not operator.stdout.getvalue()


def test_the_local_stage_needs_none(operator: User) -> None:
    assert operator.types("resources", "gateway", "--stage", "local") == Status.USAGE
    assert "runs on this machine" in operator.is_told
