"""The errors that API Gateway answers itself, in the shape of the service's own errors.

By default API Gateway answers with only a `message`, which clients that check `errorCode` mistake
for success. Each type sets its status here, because the template cannot repeat the one that API
Gateway would choose.
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The same headers as chalicelib.api sends.
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """An error that API Gateway answers."""

    status: int
    message: str
    #: In seconds.
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
        """In the format of PutGatewayResponse and of an API's definition."""
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
    # A request with an Authorization header gets this, because API Gateway expects AWS's own there.
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
