"""API Gateway: Chalice's own local HTTP server, with what real clients need besides."""

from functools import partial
from http.server import HTTPServer
from typing import Any

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    LocalChalice,
    LocalDevServer,
    create_local_server,
)

from batchback_local import http_server
from batchback_local.http_server import RequestHandler, ServerThread


class Gateway(ServerThread):
    """Serves the app's routes in a thread of this process."""

    def __init__(self, app: Chalice, config: Config, port: int) -> None:
        """Port 0: a free one."""
        super().__init__(partial(_listen, app, config), port=port, name="gateway")


def _listen(app: Chalice, config: Config, port: int) -> HTTPServer:
    server: HTTPServer = _local_server(app, config, port).server
    server.RequestHandlerClass = partial(_Handler, app_object=app, config=config)
    server.socket.listen(http_server.BACKLOG)
    return server


def _local_server(app: Chalice, config: Config, port: int) -> LocalDevServer:
    """Chalice's function gives the app another class, and breaks when that is done twice: where
    the port of the first try was in use."""
    if isinstance(app, LocalChalice):
        return LocalDevServer(app, config, http_server.HOST, port)
    return create_local_server(app, config, http_server.HOST, port)


class _Handler(ChaliceRequestHandler, RequestHandler):
    """Answers HEAD without a body, which Chalice's server does not."""

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if not hasattr(self, f"do_{self.command}"):
            self._refuse_method()
            return False
        return True

    def _refuse_method(self) -> None:
        """API Gateway's answer to a method that no route can have, TRACE for one."""
        self._send_http_response(403, {}, b'{"message": "Missing Authentication Token"}')
        self.wfile.flush()

    def _parse_payload(self) -> tuple[dict[str, Any], bytes | None]:
        return dict(self.headers), self.body or None

    def _send_http_response_with_body(
        self, code: int, headers: dict[str, Any], body: str | bytes
    ) -> None:
        if self.command == "HEAD":
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)
