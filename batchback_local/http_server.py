"""A small HTTP/1.1 server: passes each request to a function and sends the answer it returns."""

import json
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from batchback.server_thread import ServerThread

from batchback_local.errors import PortInUse

HOST = "127.0.0.1"
#: Connections that may wait to be accepted.
BACKLOG = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    #: Path and query as sent.
    target: str
    #: Names are in lower case. If a header is sent twice, the last counts.
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


class NoAnswer(Exception):
    """Raised instead of returning an answer: the connection ends without one."""


def json_answer(value: object, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(value).encode())


class LocalServer(ServerThread):
    """A server of the standard library that answers on 127.0.0.1 inside a `with` block."""

    def __init__(self, listen: Callable[[int], TCPServer], *, port: int, name: str) -> None:
        """`listen` creates the server on a port; 0 means any free one. PortInUse if it cannot."""
        try:
            server = listen(port)
        except OSError as error:
            raise PortInUse(port, error) from error
        super().__init__(server, name=name)
        self.address = f"http://{HOST}:{server.server_address[1]}"


class HttpServer(LocalServer):
    """Passes each request to a function, with a thread per connection."""

    def __init__(self, answer: Callable[[Request], Answer], *, port: int = 0, name: str) -> None:
        """Port 0 means any free one."""
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        super().__init__(lambda port: _Server((HOST, port), handler), port=port, name=name)


class _Server(ThreadingHTTPServer):
    request_queue_size = BACKLOG
    daemon_threads = True


class RequestHandler(BaseHTTPRequestHandler):
    """Reads whole HTTP/1.1 requests (RFC 9112), and sends the head and body of an answer together.
    What is not a valid request is answered with 400, and its connection ends."""

    protocol_version = "HTTP/1.1"
    #: The version until a request names its own, so that every answer has a status line.
    default_request_version = "HTTP/1.0"
    wbufsize = -1
    raw_requestline: bytes
    #: The body of the request that is being answered.
    body = b""

    def handle(self) -> None:
        """Ignore a client that disconnects."""
        with suppress(OSError):
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError):
            super().finish()

    def parse_request(self) -> bool:
        while self.raw_requestline in {b"\r\n", b"\n"}:  # RFC 9112, 2.2
            self.raw_requestline = self.rfile.readline(_MAX_LINE_BYTES)
        return super().parse_request() and self._reads_body()

    def handle_expect_100(self) -> bool:
        """Send it immediately, because the client waits for it."""
        is_expected = super().handle_expect_100()
        self.wfile.flush()
        return is_expected

    def _reads_body(self) -> bool:
        try:
            self.body = _body(self.headers, self.rfile)
        except _NoBody as reason:
            self.send_error(reason.status, str(reason))
            return False
        return True

    def _wait_until_heard(self) -> None:
        """Read the rest first: closing a connection with unread data may lose the answer (RFC 9112,
        9.6)."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_SECONDS)
            while self.connection.recv(_MAX_LINE_BYTES):
                pass

    def send_error(
        self,
        code: int,
        message: str | None = None,
        explain: str | None = None,  # noqa: ARG002
    ) -> None:
        """Send an error in the service's shape and end the connection. The standard library calls
        this for requests that it cannot read."""
        message = message or HTTPStatus(code).phrase
        self.close_connection = True
        error = {"errorCode": code, "message": message, "specificCode": 0}
        self.send_answer(json_answer(error, code))
        self._wait_until_heard()

    def send_answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Do not log requests."""


class _Handler(RequestHandler):
    answer: Callable[[Request], Answer]

    def _respond(self) -> None:
        request = Request(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.body,
        )
        try:
            answer = type(self).answer(request)
        except NoAnswer:
            self.close_connection = True
        else:
            self.send_answer(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _respond  # noqa: N815


class _NoBody(ValueError):
    """The body's end is unknown, or the body is incomplete. The text says why."""

    status = 400


class _TooMuch(_NoBody):
    """The body is larger than any that is accepted here."""

    status = 413


def _body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read the body, chunked or not (RFC 9112, 6)."""
    if codings := _codings(headers):
        if codings != ["chunked"]:
            raise _NoBody(f"Transfer-Encoding must be chunked, not {', '.join(codings)}")
        return b"".join(iter(lambda: _chunk(stream), b""))
    return _exactly(_length(headers), stream)


def _codings(headers: Message) -> list[str]:
    """The transfer codings, without `identity`, which old clients send."""
    named = ",".join(headers.get_all("Transfer-Encoding", [])).lower().split(",")
    return [coding for each in named if (coding := each.strip(" \t")) not in {"", "identity"}]


def _length(headers: Message) -> int:
    lengths = {*headers.get_all("Content-Length", ["0"])}
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdecimal()):
        raise _NoBody("Content-Length must be one number")
    return int(length)


def _chunk(stream: BufferedIOBase) -> bytes:
    """Read the next chunk. The last one is empty, and trailers may follow it."""
    match = _CHUNK_SIZE.fullmatch(stream.readline(_MAX_LINE_BYTES))
    if not match:
        raise _NoBody("A chunk does not begin with its size")
    chunk = _exactly(int(match[1], 16), stream)
    line = stream.readline(_MAX_LINE_BYTES)
    while not chunk and line.strip():
        line = stream.readline(_MAX_LINE_BYTES)
    if line.strip() or not line:
        raise _NoBody("A chunk does not end after its size")
    return chunk


def _exactly(size: int, stream: BufferedIOBase) -> bytes:
    if size > _MOST_BYTES:
        raise _TooMuch(f"The body is over the limit of {_MOST_BYTES} bytes")
    body = stream.read(size)
    if len(body) < size:
        raise _NoBody(f"The body ends after {len(body)} of {size} bytes")
    return body


_MAX_LINE_BYTES = 65_536
#: The most bytes of a body, or of one chunk: twice the largest callback.
_MOST_BYTES = 100_000_000
_LINGER_SECONDS = 1
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;[^\r\n]*)?\r?\n")
