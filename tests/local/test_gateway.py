"""Chalice's local server, with what real clients need in addition."""

import http.client
import json
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from chalice.app import Chalice

from batchback_local.errors import PortInUse
from batchback_local.runtime.gateway import Gateway
from batchback_local.runtime.service_code import stage_configuration
from batchback_ops.gateway_responses import NO_SUCH_PATH

ALL_METHODS = ["GET", "HEAD", "POST"]


def echo_app() -> Chalice:
    app = Chalice(app_name="tiny", configure_logs=False)

    def echo(name: str) -> dict[str, object]:
        request = app.current_request
        assert request is not None
        body = request.raw_body
        assert isinstance(body, bytes)
        return {"name": name, "body": body.decode()}

    app.route("/echo/{name}", methods=ALL_METHODS, content_types=[])(echo)
    return app


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway(echo_app(), stage_configuration(), 0) as gateway:
        yield gateway


@pytest.fixture
def connection(gateway: Gateway) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(gateway.address).netloc, timeout=5)
    yield connection
    connection.close()


def test_a_connection_serves_many_requests(connection: http.client.HTTPConnection) -> None:
    for body in ("one", "", "three"):
        connection.request("POST", "/echo/x", body=body)
        assert json.loads(connection.getresponse().read())["body"] == body


def test_a_chunked_body_reaches_the_app_whole(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/echo/x", body=iter([b"ab", b"cd"]), encode_chunked=True)
    assert json.loads(connection.getresponse().read())["body"] == "abcd"
    connection.request("POST", "/echo/x", body=b"next")
    assert json.loads(connection.getresponse().read())["body"] == "next"


def test_head_is_answered_without_a_body(connection: http.client.HTTPConnection) -> None:
    connection.request("HEAD", "/echo/x")
    assert connection.getresponse().read() == b""
    connection.request("GET", "/echo/y")
    assert json.loads(connection.getresponse().read())["name"] == "y"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[(method, "/echo/x") for method in ("TRACE", "QUERY", "GETS")],
        *[("POST", path) for path in ("/", "/echo", "/echo/x/y", "//echo/x", "/echo//x", "///")],
        ("GET", "//x/echo/y"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic ZGVtbzpkZW1v"}])
def test_a_path_without_a_route_is_answered_as_api_gateway_does(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]
) -> None:
    connection.request(method, path, body="ignored", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (404, NO_SUCH_PATH.body.encode())
    for name, value in {"Content-Type": "application/json", **NO_SUCH_PATH.headers}.items():
        assert answer.headers[name] == value
    connection.request("GET", "/echo/y")
    assert json.loads(connection.getresponse().read())["name"] == "y"


def test_concurrent_requests_do_not_mix(gateway: Gateway) -> None:
    answers: dict[int, str] = {}

    def call(number: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(gateway.address).netloc, timeout=5)
        connection.request("POST", f"/echo/{number}", body=str(number))
        answers[number] = json.loads(connection.getresponse().read())["body"]
        connection.close()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: str(number) for number in range(40)}


def test_if_a_port_is_in_use_the_same_app_can_use_another(gateway: Gateway) -> None:
    app = echo_app()
    port = urlsplit(gateway.address).port or 0
    with pytest.raises(PortInUse, match=f"^Port {port} cannot be used"):
        Gateway(app, stage_configuration(), port)
    with Gateway(app, stage_configuration(), 0) as other:
        assert other.address != gateway.address
