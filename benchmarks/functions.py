"""The service's Lambda functions: their names, handlers and events."""

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from batchback_local.runtime.invocation import Context
from batchback_ops import project
from benchmarks import payloads

API, RUN_JOBS, CALL_BACK = "api", "run_jobs", "call_back"
#: The functions that every batch needs.
FUNCTIONS = (API, RUN_JOBS, CALL_BACK)

KEY, SECRET = "demo", "demo-secret"

_CONFIGURED_AS = {API: "api_handler"}


def handler(function: str) -> Callable[[dict[str, Any], Context], Any]:
    """Return a function's handler. This imports app.py, so the environment must be set by now."""
    import app

    handlers: dict[str, Any] = {
        API: app.app,
        RUN_JOBS: app.run_jobs,
        CALL_BACK: app.call_back,
    }
    found: Callable[[dict[str, Any], Context], Any] = handlers[function]
    return found


@dataclass(frozen=True, slots=True)
class Given:
    """The limits that Lambda sets a function."""

    memory_mb: int
    seconds: int


def given(function: str) -> Given:
    """Return the limits in .chalice/config.json."""
    config = json.loads((project.root() / ".chalice" / "config.json").read_text("utf-8"))
    of_function = config["lambda_functions"][_CONFIGURED_AS.get(function, function)]
    return Given(of_function["lambda_memory_size"], of_function["lambda_timeout"])


def gateway_event(action: str, body: object, **headers: str) -> dict[str, Any]:
    """Return a caller's request as API Gateway passes it to Lambda.

    https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
    """
    credentials = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    sent: Mapping[str, str] = {
        "Authorization": f"Basic {credentials}",
        "Content-Type": "application/json",
        **headers,
    }
    return {
        "resource": "/api/1.0/{namespace}",
        "path": "/api/1.0/batch",
        "httpMethod": "POST",
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": {"action": action},
        "multiValueQueryStringParameters": {"action": [action]},
        "pathParameters": {"namespace": "batch"},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/api/1.0/{namespace}",
            "httpMethod": "POST",
            "path": "/api/api/1.0/batch",
            "stage": "api",
            "requestId": str(uuid.uuid4()),
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": payloads.dump(body),
        "isBase64Encoded": False,
    }
