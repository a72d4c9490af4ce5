"""API Gateway: Chalice's own local HTTP server, with what real clients need besides."""

from contextlib import suppress
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
from batchback_local.http_server import ServerThread


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


class _Handler(ChaliceRequestHandler):
    """Takes chunked bodies, which API Gateway does and Chalice's server does not; answers HEAD
    without a body; sends head and body of an answer at once."""

    disable_nagle_algorithm = True
    wbufsize = -1

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # the client went away
            super().handle()

    def parse_request(self) -> bool:
        is_good: bool = super().parse_request()
        if is_good and not http_server.is_framed(self.headers):
            self.send_error(400)
            return False
        if is_good and not hasattr(self, f"do_{self.command}"):
            self._refuse_method()
            return False
        return is_good

    def _refuse_method(self) -> None:
        """API Gateway's answer to a method that no route can have, TRACE for one. The body is not
        read, so the connection ends."""
        self.close_connection = True
        self._send_http_response(
            403, {"Connection": "close"}, b'{"message": "Missing Authentication Token"}'
        )

    def _parse_payload(self) -> tuple[dict[str, Any], bytes | None]:
        body = http_server.read_body(self.headers, self.rfile)
        return dict(self.headers), body or None

    def _send_http_response_with_body(
        self, code: int, headers: dict[str, Any], body: str | bytes
    ) -> None:
        if self.command == "HEAD":
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Not a word of each request."""
