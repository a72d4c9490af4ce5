"""The small HTTP server keeps connections, reads every body, and answers HEAD without a body."""

import errno
import http.client
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from batchback_local.errors import PortInUse
from batchback_local.http_server import Answer, HttpServer, Request


def echo(request: Request) -> Answer:
    return Answer(body=request.method.encode() + b" " + request.body, content_type="text/plain")


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with HttpServer(echo, name="echo") as server:
        yield server


@pytest.fixture
def connection(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=5)
    yield connection
    connection.close()


def test_a_connection_serves_many_requests(connection: http.client.HTTPConnection) -> None:
    connection.connect()
    port = connection.sock.getsockname()[1]
    for body in (b"one", b"", b"three" * 10_000):
        connection.request("POST", "/", body=body)
        assert connection.getresponse().read() == b"POST " + body
    assert connection.sock.getsockname()[1] == port


def test_a_chunked_body_is_put_together(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/", body=iter([b"ab", b"c" * 5000]), encode_chunked=True)
    assert connection.getresponse().read() == b"POST ab" + b"c" * 5000
    connection.request("POST", "/", body=b"next")
    assert connection.getresponse().read() == b"POST next"


def test_head_is_answered_without_a_body(connection: http.client.HTTPConnection) -> None:
    connection.request("HEAD", "/")
    response = connection.getresponse()
    assert (response.read(), response.headers["Content-Length"]) == (b"", "5")


def test_a_body_without_an_end_is_refused(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "many")
    connection.endheaders()
    assert connection.getresponse().status == 400


def test_a_port_in_use_is_reported_in_one_sentence(server: HttpServer) -> None:
    port = urlsplit(server.address).port or 0
    why = os.strerror(errno.EADDRINUSE)
    with pytest.raises(PortInUse, match=rf"^Port {port} cannot be used \({why}\): stop "):
        HttpServer(echo, port=port, name="second")
