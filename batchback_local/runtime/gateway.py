"""API Gateway: Chalice's local HTTP server, with what real clients need in addition."""

import re
from functools import partial
from http.server import HTTPServer
from typing import Any

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    LocalChalice,
    LocalDevServer,
    LocalGatewayException,
    create_local_server,
)

from batchback_local import http_server
from batchback_local.http_server import Answer, LocalServer, RequestHandler
from batchback_ops.gateway_responses import NO_SUCH_PATH


class Gateway(LocalServer):
    """Serves the app's routes in a thread of this process."""

    def __init__(self, app: Chalice, config: Config, port: int) -> None:
        """Port 0 means any free one."""
        super().__init__(partial(_listen, app, config), port=port, name="gateway")


def _listen(app: Chalice, config: Config, port: int) -> HTTPServer:
    server: HTTPServer = _local_server(app, config, port).server
    server.RequestHandlerClass = partial(_Handler, app_object=app, config=config)
    server.socket.listen(http_server.BACKLOG)
    return server


def _local_server(app: Chalice, config: Config, port: int) -> LocalDevServer:
    """Chalice's server for the app. Chalice's function changes the class of the app, and fails if
    called again, which happens if the first port was in use."""
    if isinstance(app, LocalChalice):
        return LocalDevServer(app, config, http_server.HOST, port)
    return create_local_server(app, config, http_server.HOST, port)


class _Handler(ChaliceRequestHandler, RequestHandler):
    """Answers HEAD without a body, unlike Chalice's server, and gives API Gateway's own errors the
    service's shape."""

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if _begins_with_two_slashes(self.requestline) or not hasattr(self, f"do_{self.command}"):
            self._refuse_path()
            return False
        return True

    def _send_error_response(self, error: LocalGatewayException) -> None:  # noqa: ARG002
        """Refuse the path. Without authorizers, Chalice's local gateway refuses nothing else."""
        self._refuse_path()

    def _refuse_path(self) -> None:
        """Answer as API Gateway does for a path or a method without a route."""
        self.send_answer(
            Answer(
                status=NO_SUCH_PATH.status,
                body=NO_SUCH_PATH.body.encode(),
                headers=NO_SUCH_PATH.headers,
            )
        )

    def _parse_payload(self) -> tuple[dict[str, Any], bytes | None]:
        return dict(self.headers), self.body or None

    def _send_http_response_with_body(
        self, code: int, headers: dict[str, Any], body: str | bytes
    ) -> None:
        if self.command == "HEAD":
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)


def _begins_with_two_slashes(request_line: str) -> bool:
    """Whether the path begins with two slashes. Python's server merges them, but for API Gateway it
    is another path."""
    return bool(re.match(r"\S+ //", request_line))
