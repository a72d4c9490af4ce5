"""A small HTTP/1.1 server: a request in, an answer out. What the answer is, others know."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl, urlsplit

from batchback_local.errors import PortInUse

HOST = "127.0.0.1"
#: How often a server checks whether it is to stop.
_POLL_SECONDS = 0.05
#: Connections that may wait to be accepted.
BACKLOG = 256


class Stream(Protocol):
    """Where bodies are read from."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    #: Path and query as sent.
    target: str
    #: Names in lower case; of a header sent twice the last.
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode())


class ServerThread:
    """A server of the standard library that answers on 127.0.0.1 between `with` and its end. The
    thread does not keep the process alive."""

    def __init__(self, listen: Callable[[int], TCPServer], *, port: int, name: str) -> None:
        """`listen` makes the server at a port, 0 for a free one; PortInUse if it cannot."""
        try:
            self._server = listen(port)
        except OSError as error:
            raise PortInUse(port) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name=name, daemon=True
        )

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class HttpServer(ServerThread):
    """Gives each request to a function, in a thread per connection."""

    def __init__(self, answer: Callable[[Request], Answer], *, port: int = 0, name: str) -> None:
        """Port 0: a free one."""
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        super().__init__(lambda port: _Server((HOST, port), handler), port=port, name=name)


def is_framed(headers: Message) -> bool:
    """Whether the end of the body can be told."""
    length = headers.get("Content-Length", "0")
    return is_chunked(headers) or (length.isascii() and length.isdecimal())


def is_chunked(headers: Message) -> bool:
    return headers.get("Transfer-Encoding", "").lower() == "chunked"


def read_body(headers: Message, stream: Stream) -> bytes:
    """The body, chunked or not; ConnectionError where the client sends no true chunks."""
    if is_chunked(headers):
        return b"".join(iter(lambda: _chunk(stream), b""))
    return stream.read(int(headers.get("Content-Length", "0")))


def _chunk(stream: Stream) -> bytes:
    """The next chunk; the last one is empty, and trailers may follow it (RFC 9112, 7.1)."""
    try:
        size = int(stream.readline(1000).split(b";")[0], 16)
    except ValueError as error:
        raise ConnectionError("not a chunk") from error
    chunk = stream.read(size)
    line = stream.readline(1000)
    while size == 0 and line.strip():
        line = stream.readline(1000)
    return chunk


class _Server(ThreadingHTTPServer):
    request_queue_size = BACKLOG
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    #: Buffered: head and body of an answer leave together.
    wbufsize = -1
    answer: Callable[[Request], Answer]

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # the client went away
            super().handle()

    def parse_request(self) -> bool:
        is_good = super().parse_request()
        if is_good and not is_framed(self.headers):
            self.send_error(400)
            return False
        return is_good

    def _respond(self) -> None:
        request = Request(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=read_body(self.headers, self.rfile),
        )
        answer = type(self).answer(request)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _respond  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Not a word of each request."""
