"""What API Gateway answers itself, in the shape of the service's own errors.

By itself API Gateway answers with a `message` alone, and clients that go by `errorCode` take that
for success. Each type has a status of its own here, because the template cannot repeat the one that
API Gateway would choose.
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: As chalicelib.api has them, for answers of its own.
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """One error of API Gateway."""

    status: int
    message: str
    #: After how long to try again.
    retry_after: int | None = None

    @property
    def body(self) -> str:
        return json.dumps({"errorCode": self.status, "message": self.message, "specificCode": 0})

    @property
    def headers(self) -> dict[str, str]:
        retry_after = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        return {**HEADERS, **retry_after}

    @property
    def settings(self) -> dict[str, Any]:
        """As PutGatewayResponse and the description of an API have it."""
        return {
            "statusCode": str(self.status),
            "responseParameters": {
                f"gatewayresponse.header.{name}": f"'{value}'"
                for name, value in self.headers.items()
            },
            "responseTemplates": {"application/json": self.body},
        }


NO_SUCH_PATH = GatewayResponse(
    404, "There is no such path: call {address}/api/1.0/batch, with one slash between the two"
)
_REFUSED = GatewayResponse(400, "API Gateway refused the request: check its path and headers")
_FORBIDDEN = GatewayResponse(403, "API Gateway does not let you call this address")
_TOO_MANY = GatewayResponse(429, "Too many requests", retry_after=1)
_FAILED = GatewayResponse(500, "Internal server error")
_NOT_RUN = GatewayResponse(502, "Internal server error")
_TIMED_OUT = GatewayResponse(504, "No answer within 29 seconds")

RESPONSES: Mapping[str, GatewayResponse] = {
    "MISSING_AUTHENTICATION_TOKEN": NO_SUCH_PATH,
    # The same, of a request with an Authorization header, which it takes for AWS's own.
    "INVALID_SIGNATURE": NO_SUCH_PATH,
    "RESOURCE_NOT_FOUND": NO_SUCH_PATH,
    "BAD_REQUEST_BODY": _REFUSED,
    "BAD_REQUEST_PARAMETERS": _REFUSED,
    "DEFAULT_4XX": _REFUSED,
    "UNAUTHORIZED": GatewayResponse(401, "Unauthorized"),
    "ACCESS_DENIED": _FORBIDDEN,
    "EXPIRED_TOKEN": _FORBIDDEN,
    "INVALID_API_KEY": _FORBIDDEN,
    "WAF_FILTERED": _FORBIDDEN,
    "REQUEST_TOO_LARGE": GatewayResponse(413, "The body is over the limit of 3500000 bytes"),
    "UNSUPPORTED_MEDIA_TYPE": GatewayResponse(415, "Content-Type must be application/json"),
    "THROTTLED": _TOO_MANY,
    "QUOTA_EXCEEDED": _TOO_MANY,
    "API_CONFIGURATION_ERROR": _FAILED,
    "AUTHORIZER_CONFIGURATION_ERROR": _FAILED,
    "AUTHORIZER_FAILURE": _FAILED,
    "DEFAULT_5XX": _FAILED,
    "INTEGRATION_FAILURE": _NOT_RUN,
    "INTEGRATION_TIMEOUT": _TIMED_OUT,
}
