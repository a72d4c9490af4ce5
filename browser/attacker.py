"""A page of another site, open in the same browser as the console."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

HOST = "127.0.0.1"
#: Names that lead to this machine in the tests' browser, as an attacker's DNS can have it.
NAMES = "*.attacker.example"


class Attacker:
    """A web server on another port, for the duration of a `with` block. All its pages are empty:
    a test says what their scripts do."""

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((HOST, 0), _EmptyPage)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def page(self, host: str = "www.attacker.example") -> str:
        return f"http://{host}:{self._server.server_port}/"


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Kittens</title>")

    def log_message(self, *_: object) -> None:
        """Do not log requests."""
