"""API Gateway's own errors are errors of the contract."""

import json
from typing import Any

import pytest
from botocore.session import Session

from batchback_ops.gateway_responses import HEADERS, NO_SUCH_PATH, RESPONSES
from chalicelib import api
from tests.description import description

SCHEMAS = description().document["components"]["schemas"]
ERROR = {"anyOf": [SCHEMAS["Error"], SCHEMAS["GatewayError"]]}


def test_every_kind_that_api_gateway_has_is_shaped() -> None:
    """One that is missing would get the default body, whose status would differ from its own."""
    kinds: Any = Session().get_service_model("apigateway").shape_for("GatewayResponseType")
    assert RESPONSES.keys() == {*kinds.enum}


@pytest.mark.parametrize("name", RESPONSES)
def test_each_says_its_status_as_the_contracts_errors_do(name: str) -> None:
    response = RESPONSES[name]
    answer = json.loads(response.body)
    assert description().faults(ERROR, answer) == []
    assert (answer["errorCode"], answer["specificCode"]) == (response.status, 0)
    assert response.settings["statusCode"] == str(answer["errorCode"])
    assert response.settings["responseTemplates"] == {"application/json": response.body}


@pytest.mark.parametrize("name", RESPONSES)
def test_nothing_in_it_is_a_variable_of_api_gateways(name: str) -> None:
    """Their values are not always JSON, and may contain a caller's secret."""
    assert "$" not in RESPONSES[name].body


@pytest.mark.parametrize("name", RESPONSES)
def test_each_has_the_headers_of_every_answer(name: str) -> None:
    parameters = RESPONSES[name].settings["responseParameters"]
    assert {**api._HEADERS} == {**HEADERS, "Content-Type": "application/json"}
    for header, value in HEADERS.items():
        assert parameters[f"gatewayresponse.header.{header}"] == f"'{value}'"


def test_too_many_requests_says_when_to_try_again() -> None:
    for name, response in RESPONSES.items():
        assert ("Retry-After" in response.headers) is (response.status == 429), name


def test_the_limit_of_a_body_is_the_services() -> None:
    assert str(api.MAX_BODY_BYTES) in RESPONSES["REQUEST_TOO_LARGE"].message


def test_what_a_slash_too_many_leads_to_says_so() -> None:
    assert "one slash" in NO_SUCH_PATH.message
