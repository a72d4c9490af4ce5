"""Both local servers read requests as HTTP/1.1 requires, no matter what a client sends."""

import errno
import http.client
import io
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import pytest
from chalice.app import Chalice

from batchback_local.http_server import Answer, HttpServer, LocalServer, Request, RequestHandler
from batchback_local.runtime.gateway import Gateway
from batchback_local.runtime.service_code import stage_configuration

Send = Callable[..., list[tuple[int, bytes]]]


def echo(request: Request) -> Answer:
    return Answer(body=request.body, content_type="text/plain")


def echo_app() -> Chalice:
    app = Chalice(app_name="tiny", configure_logs=False)

    def answer() -> Any:
        request = app.current_request
        assert request is not None
        body = request.raw_body
        assert isinstance(body, bytes)
        return {"body": body.decode()}

    app.route("/echo", methods=["GET", "POST"], content_types=[])(answer)
    return app


@pytest.fixture(params=["small server", "gateway"])
def server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    with (
        HttpServer(echo, name="echo")
        if request.param == "small server"
        else Gateway(echo_app(), stage_configuration(), 0)
    ) as server:
        yield server


@pytest.fixture
def opened(server: LocalServer) -> Iterator[socket.socket]:
    parts = urlsplit(server.address)
    with closing(socket.create_connection((parts.hostname, parts.port), timeout=5)) as opened:
        yield opened


def answers(opened: socket.socket, *sent: bytes) -> list[tuple[int, bytes]]:
    """The status and the echoed body of every answer, after the client has closed its side."""
    for piece in sent:
        opened.sendall(piece)
    opened.shutdown(socket.SHUT_WR)
    stream, found = opened.makefile("rb"), []
    while line := stream.readline():
        fields = http.client.parse_headers(stream)
        body = stream.read(int(fields["Content-Length"]))
        is_echo = fields["Content-Type"] == "application/json" and b'"body"' in body
        found.append((int(line.split()[1]), json.loads(body)["body"].encode() if is_echo else body))
    return found


def head(*fields: bytes, method: bytes = b"POST") -> bytes:
    return b"\r\n".join([method + b" /echo HTTP/1.1", b"Host: x", *fields, b"", b""])


LAST = head(b"Content-Length: 4") + b"last"


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (head(b"Content-Length: 2") + b"ab", b"ab"),
        (head(b"Content-Length: 2", b"Content-Length: 2") + b"ab", b"ab"),
        (head(b"Transfer-Encoding: chunked") + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
        (
            head(b"Transfer-Encoding: Chunked") + b"0a;x=y\r\n0123456789\r\n0\r\nT: r\r\n\r\n",
            b"0123456789",
        ),
        (head(b"Transfer-Encoding: identity, chunked") + b"2\r\nab\r\n0\r\n\r\n", b"ab"),
        (head(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", b""),
        (head(b"Transfer-Encoding: identity", b"Content-Length: 2") + b"ab", b"ab"),
        (head(b"Transfer-Encoding: chunked", b"Content-Length: 9") + b"1\r\na\r\n0\r\n\r\n", b"a"),
        (b"\r\n" + head(), b""),
        (b"\r\n\n\r\n" + head(b"Content-Length: 1") + b"a", b"a"),
        (head(b"Content-Length: 1") + b"a\r\n", b"a"),
    ],
)
def test_a_request_is_read_to_its_end_and_no_further(
    opened: socket.socket, sent: bytes, body: bytes
) -> None:
    assert answers(opened, sent, LAST) == [(200, body), (200, b"last")]


@pytest.mark.parametrize(
    "sent",
    [
        head(b"Content-Length: many"),
        head(b"Content-Length: +1"),
        head(b"Content-Length: 1", b"Content-Length: 2"),
        head(b"Content-Length: \xb2"),
        head(b"Transfer-Encoding: gzip, chunked"),
        head(b"Transfer-Encoding: chunked, gzip"),
        head(b"Transfer-Encoding: chunked, chunked"),
        head(b"Transfer-Encoding: \xa0chunked") + b"1\r\na\r\n0\r\n\r\n",
        head(b"Transfer-Encoding: chunked") + b"nonsense\r\n",
        head(b"Transfer-Encoding: chunked") + b"0x1\r\na\r\n0\r\n\r\n",
        head(b"Transfer-Encoding: chunked") + b"-1\r\n\r\n",
        head(b"Transfer-Encoding: chunked") + b"\r\n\r\n",
        head(b"Transfer-Encoding: chunked") + b"1\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_a_malformed_request_gets_a_400_and_ends_the_connection(
    opened: socket.socket, sent: bytes
) -> None:
    [(status, body)] = answers(opened, sent, LAST)
    assert status == 400
    assert json.loads(body)["errorCode"] == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(b"Content-Length: 100000001"), 413),
        (head(b"Content-Length: " + b"9" * 30), 413),
        (head(b"Transfer-Encoding: chunked") + b"ffffffffffffffff\r\na", 413),
        (head(*[b"A: b"] * 200), 431),
        (head(b"A: " + b"b" * 70_000), 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\r\n\r\n", 400),
        (b"one two three four\r\n\r\n", 400),
        (b"POST /echo\r\n\r\n", 400),
    ],
)
def test_a_request_that_is_not_read_gets_an_error_of_the_same_form(
    opened: socket.socket, sent: bytes, status: int
) -> None:
    [(answered, body)] = answers(opened, sent, LAST)
    assert answered == status
    assert json.loads(body)["errorCode"] == status


class Gone(io.RawIOBase):
    """A connection whose other side sent this and disconnected, noticed or not."""

    def __init__(self, sent: bytes, *, is_noticed: bool) -> None:
        self._sent = io.BytesIO(sent)
        self._is_noticed = is_noticed

    def makefile(self, mode: str, _: int) -> BinaryIO:
        return self._sent if mode == "rb" else cast(BinaryIO, io.BufferedWriter(self))

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._is_noticed:
            raise BrokenPipeError
        return len(data)

    def setsockopt(self, *_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    def shutdown(self, _: int) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


@pytest.mark.parametrize("sent", [head(b"Content-Length: many"), head(b"Content-Length: 9"), b""])
@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_client_that_leaves_before_the_answer_causes_no_error(
    sent: bytes, is_noticed: bool
) -> None:
    handle: Any = RequestHandler
    handle(Gone(sent, is_noticed=is_noticed), ("127.0.0.1", 9), None)


@pytest.mark.parametrize(
    "sent",
    [
        head(b"Content-Length: 5") + b"abc",
        head(b"Transfer-Encoding: chunked") + b"5\r\nabc",
        head(b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n",
        head(b"Transfer-Encoding: chunked") + b"0\r\n",
    ],
)
def test_an_incomplete_body_is_refused(opened: socket.socket, sent: bytes) -> None:
    [(status, _)] = answers(opened, sent)
    assert status == 400


def test_a_client_that_waits_for_100_continue_gets_it(opened: socket.socket) -> None:
    """curl with a large body and Java's HttpClient send nothing more until then."""
    opened.sendall(head(b"Content-Length: 4", b"Expect: 100-continue"))
    asked = b""
    while not asked.endswith(b"\r\n\r\n"):
        asked += opened.recv(100)
    assert re.fullmatch(rb"HTTP/1\.1 100 .*\r\n\r\n", asked)
    assert answers(opened, b"last") == [(200, b"last")]
