"""The console's server: where it listens, how it reports failures, and how it ends."""

import socket

import pytest
import requests
from batchback.errors import CannotGoOn
from botocore.exceptions import EndpointConnectionError

from batchback_console import server as console_server
from batchback_console.guard import Guard
from batchback_console.server import HOST, ConsoleServer, create_app
from chalicelib.errors import Unavailable
from tests.console.asking import Page, console_of
from tests.console.local_service import local_tools
from tests.operations.world import World, failing

TOKEN = "a-token"


def serving(port: int = 0) -> ConsoleServer:
    return ConsoleServer(console_of(World()), port=port, token=TOKEN, say=print)


def test_its_page_and_its_data_are_at_the_address_that_it_names() -> None:
    with serving() as server:
        page, _, token = server.address.partition("#token=")
        shown = requests.get(page, timeout=10)
        assert "<!doctype html>" in shown.text.lower()
        assert shown.headers["Server"] == "batchback"
        bearer = {"Authorization": f"Bearer {token}"}
        told = requests.get(f"{page}api/console", headers=bearer, timeout=10)
        assert told.json()["stage"] == "local"


def test_only_this_machine_reaches_it() -> None:
    with serving() as server:
        assert server._server.socket.getsockname() == (HOST, server.port)
        assert HOST == "127.0.0.1"


def test_a_port_that_is_in_use_is_an_error() -> None:
    """By default, Werkzeug would end the process."""
    with serving() as first, pytest.raises(OSError, match="in use"):
        serving(first.port)


def test_the_port_is_free_afterwards() -> None:
    with serving() as server:
        port = server.port
    with serving(port) as again:
        assert again.port == port


@pytest.mark.parametrize(
    "said", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_a_request_that_is_not_http_gets_no_answer(said: bytes) -> None:
    """Otherwise, an answer could lack the headers that protect it."""
    with serving() as server, socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    "target", ["http://[/api", "http://a:99999999/", "http://127.0.0.1:{port}/api/console", "*"]
)
def test_an_address_instead_of_a_path_gets_no_answer(
    target: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It would replace `Host`, and Werkzeug prints a traceback for one that is not valid."""
    with serving() as server, socket.create_connection((HOST, server.port), 10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\n\r\n".format(port=server.port).encode())
        assert connection.recv(1) == b""
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: ", b"GET / HTTP/1.1\r\n\r\nmore"])
def test_a_client_that_stops_in_the_middle_holds_no_thread(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchback_console.server._Handler.timeout", 0.05)
    with serving() as server, socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(said)
        connection.settimeout(10)
        while connection.recv(10_000):
            pass


def test_it_waits_for_no_client_forever() -> None:
    assert console_server._Handler.timeout == 10


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "says"),
        [
            (Unavailable("DynamoDB did not answer"), "DynamoDB did not answer: retry."),
            (
                EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"),
                (
                    "The AWS of this machine does not answer: start `batchback local`, and set "
                    "AWS_ENDPOINT_URL to the AWS address that it prints."
                ),
            ),
            (CannotGoOn("Set AWS_PROFILE."), "Set AWS_PROFILE."),
        ],
    )
    def test_a_failure_of_aws_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
    ) -> None:
        world = World()
        failing(monkeypatch, world.store, "find_due", error=error)
        page = Page(console_of(world))
        answer = page.asks("GET", "/batches")
        assert (answer.status, answer.body) == (502, {"error": says})
        assert page.told == []

    def test_a_bug_is_reported_in_the_terminal_without_any_value(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The text of an exception may contain anything."""
        world = World()
        failing(monkeypatch, world.store, "find_due", error=RuntimeError("canary {'secret': 1}"))
        page = Page(console_of(world))
        answer = page.asks("GET", "/batches?label=canary")
        assert answer.status == 500
        assert answer.body == {
            "error": "This is a bug in the console: report the line that its terminal shows."
        }
        (line,) = page.told
        assert line.startswith("console: /api/batches failed: RuntimeError in ")
        assert "canary" not in line

    def test_a_bug_is_reported_without_the_requested_path(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A link on another page may contain control characters for the terminal."""
        world = World()
        failing(monkeypatch, world.store, "find", error=RuntimeError())
        page = Page(console_of(world))
        assert page.asks("GET", f"/batches/{'0' * 32}/jobs?text=%1b").status == 500
        (line,) = page.told
        assert line.startswith("console: /api/batches/<batch_id>/jobs failed: ")

    @pytest.mark.parametrize(
        "path",
        [
            "/local/clock",
            "/local/batches",
            "/local/faults",
            "/stage/pause",
            f"/batches/{1:032}/cancel",
        ],
    )
    @pytest.mark.parametrize("body", [b"[" * 100_000, b"{", b"\xff", b"", b"[]", b"NaN"])
    def test_an_invalid_body_is_refused(self, path: str, body: bytes) -> None:
        world = World()
        page = Page(console_of(world, local=local_tools(why_fixed=None, move_clock=None)))
        answer = page.asks("POST", path, data=body, content_type="application/json")
        assert (answer.status, page.told) == (400, [])

    def test_a_request_that_is_too_large_is_not_read(self) -> None:
        page = Page(console_of(World()))
        answer = page.asks("POST", "/stage/pause", json={"reason": "x" * 7_000_001})
        assert (answer.status, set(answer.body)) == (413, {"error"})


def test_a_missing_path_is_an_error_like_any_other() -> None:
    answer = Page(console_of(World())).asks("GET", "/nothing")
    assert answer.status == 404
    assert set(answer.body) == {"error"}


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html"),
        ("/batches/0123", "text/html"),
        ("/page/index.html", "text/html"),
    ],
)
def test_every_path_of_the_page_is_the_same_file(path: str, content_type: str) -> None:
    app = create_app(console_of(World()), Guard(port=1, token="t", may_act=False), print)
    answer = app.test_client().get(path, headers={"Host": "127.0.0.1:1"})
    assert answer.status_code == 200
    assert answer.mimetype == content_type


@pytest.mark.parametrize(("is_local", "poll"), [(True, 1), (False, 5)])
def test_the_page_learns_what_it_shows(is_local: bool, poll: int) -> None:
    console = console_of(World(), may_act=False, local=local_tools() if is_local else None)
    assert Page(console).gets("/console") == {
        "stage": "local",
        "isLocal": is_local,
        "mayAct": False,
        "version": "0.1.0",
        "now": "2026-11-23T14:49:07.000Z",
        "accounts": ["acme"],
        "pollSeconds": poll,
    }
