"""The embedded AWS: moto's server on 127.0.0.1, made atomic."""

import io
import sys
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from batchback_local.aws.moto_patches import (
    Dispatcher,
    import_cloudformation,
    let_queues_follow,
    make_moto_atomic,
)
from batchback_local.clock import LocalClock
from batchback_local.http_server import HOST, Answer, HttpServer, Request

Headers = list[tuple[str, str]]


class EmbeddedAws(HttpServer):
    """moto's server in this process. It starts empty, and its data ends with the process."""

    def __init__(self, port: int = 0, *, clock: LocalClock | None = None) -> None:
        """Port 0 means any free one. Delayed messages come when this clock says, or else the
        machine's."""
        make_moto_atomic()
        let_queues_follow(clock)
        import_cloudformation()
        services = Dispatcher(create_backend_app)
        super().__init__(partial(_answer, services), port=port, name="aws")


def _answer(services: DomainDispatcherApplication, request: Request) -> Answer:
    """moto's answer, through WSGI. moto's own server closes the connection after each answer, which
    doubles the time of a request."""
    heads: list[tuple[str, Headers]] = []

    def start_response(status: str, headers: Headers, *_: object) -> None:
        heads.append((status, headers))

    body = b"".join(services(_environ(request), start_response))
    status, headers = heads[-1]
    named = dict(headers)
    content_type = named.pop("Content-Type", "application/octet-stream")
    named.pop("Content-Length", None)
    return Answer(status=int(status[:3]), body=body, content_type=content_type, headers=named)


def _environ(request: Request) -> dict[str, Any]:
    """The request as a WSGI environment (PEP 3333)."""
    parts = urlsplit(request.target)
    headers = {name.upper().replace("-", "_"): value for name, value in request.headers.items()}
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path, "latin-1"),
        "QUERY_STRING": parts.query,
        "CONTENT_TYPE": headers.pop("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "SERVER_NAME": HOST,
        "SERVER_PORT": headers.get("HOST", "").rpartition(":")[2],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{f"HTTP_{name}": value for name, value in headers.items()},
    }
