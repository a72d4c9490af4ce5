"""One template for a whole stage, from that of `chalice package` and .chalice/resources.json.

A pipeline can then create and change functions, tables and queues in one operation, which succeeds
or is rolled back as a whole.
"""

import copy
from collections.abc import Mapping
from typing import Any

from batchback.errors import CannotGoOn

from batchback_ops import gateway_responses, project

Template = dict[str, Any]

_SECTIONS = ("Parameters", "Conditions", "Resources", "Outputs")
_FUNCTION = "AWS::Serverless::Function"
_API = "AWS::Serverless::Api"
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-gateway-responses.html
_GATEWAY_RESPONSES = "x-amazon-apigateway-gateway-responses"
#: A function that runs before these exist fails, or creates its own log group, which is worse.
_NEEDED_BY_FUNCTIONS = {"AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::SQS::Queue"}


def merged(
    functions: Template, resources: Template, stage: str, parameters: Mapping[str, str]
) -> Template:
    """Both templates in one, with the stage's parameters as defaults. CannotGoOn if both use the
    same name."""
    functions, resources = copy.deepcopy((functions, resources))
    whole = {**functions, "Description": resources["Description"]}
    for section in _SECTIONS:
        whole[section] = _joined(section, functions, resources)
    whole["Parameters"] = {
        name: {**declared, "Default": _default(declared["Type"], parameters[name])}
        for name, declared in resources["Parameters"].items()
    }
    needed = [
        name
        for name, each in resources["Resources"].items()
        if each["Type"] in _NEEDED_BY_FUNCTIONS
    ]
    for name, resource in whole["Resources"].items():
        if resource["Type"] == _FUNCTION:
            whole["Resources"][name] = _function(resource, stage, needed)
        if resource["Type"] == _API:
            # Otherwise SAM creates a second API Gateway stage besides ours, called "Stage".
            # https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-api.html
            resource["Properties"]["OpenApiVersion"] = "2.0"
            resource["Properties"]["DefinitionBody"][_GATEWAY_RESPONSES] = _gateway_responses()
    return whole


def _gateway_responses() -> Template:
    return {name: response.settings for name, response in gateway_responses.RESPONSES.items()}


def _default(kind: str, value: str) -> str | int:
    """A numeric default as a number, which the linter requires."""
    return int(value) if kind == "Number" and value.isdecimal() else value


def _joined(section: str, functions: Template, resources: Template) -> Template:
    of_functions, of_resources = functions.get(section, {}), resources.get(section, {})
    if both := sorted(of_functions.keys() & of_resources.keys()):
        raise CannotGoOn(
            f"Chalice's template also uses {', '.join(both)} in its {section}: rename them in "
            ".chalice/resources.json."
        )
    return {**of_resources, **of_functions}


def _function(resource: Template, stage: str, needed: list[str]) -> Template:
    """A function under the name that `chalice deploy` gives it, which the logs, alarms and
    dashboard use."""
    name = _function_name(resource["Properties"]["Handler"], stage)
    properties = {**resource["Properties"], "FunctionName": name}
    return {**resource, "DependsOn": needed, "Properties": properties}


def _function_name(handler: str, stage: str) -> str:
    function = "api_handler" if handler == "app.app" else handler.removeprefix("app.")
    return project.function_name(function, stage)
