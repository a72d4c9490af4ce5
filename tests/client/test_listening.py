"""`batchback listen` and its server, with real connections."""

import http.client
import io
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit

import pytest
from batchback.listening import LIMITS, Arrival, Inbox, Kind, Limits, Listener, listening

from chalicelib.adapters.http import HttpReceiver
from chalicelib.domain import signing
from chalicelib.domain.address import AddressPolicy
from chalicelib.domain.outcome import Reply
from tests.client.user import Terminal, Unwritable, User
from tests.fakes.clock import START, FakeClock
from tests.samples import WEBHOOK_SECRET

BATCH = "e35e06ee592d17a42dc9e6252a058617"
RESULTS = [
    {"namespace": "a", "action": "b", "request": {}, "response": {"ok": True}},
    {"namespace": "a", "action": "c", "request": {}, "response": {"errorCode": 404}},
]
CALLBACK = json.dumps({"asyncId": BATCH, "results": RESULTS}).encode()
#: Nothing here takes this long unless it is broken.
_PATIENCE_SECONDS = 10
#: On a busy machine even a well-behaved sender may be too slow for these.
SHORT = Limits(
    at_once=2,
    seconds_for_room=0.05,
    seconds_for_head=0.1,
    seconds_for_body=0.1,
)


def signed(body: bytes = CALLBACK, *, id: str = f"{BATCH}-1", age: int = 0) -> dict[str, str]:
    return signing.webhook_headers(
        message_id=id, body=[body], secrets=[WEBHOOK_SECRET], now=START - timedelta(seconds=age)
    )


def post(
    url: str, headers: dict[str, str], body: bytes = CALLBACK, method: str = "POST"
) -> tuple[int, str]:
    """The status and the text of the answer."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    try:
        connection.request(method, address.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def say(url: str, text: bytes) -> bytes:
    """Send these bytes, and return everything that comes back until the connection ends."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(text)
        answer = b""
        try:
            while piece := connection.recv(65_536):
                answer += piece
        except ConnectionResetError:
            pass  # a reset ends the connection too
        return answer


# --- the command -------------------------------------------------------------------------------


class Lines(io.StringIO):
    """A stream that lets a test wait for its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: SimpleQueue[str] = SimpleQueue()

    def write(self, text: str) -> int:
        if text.strip():
            self.lines.put(text)
        return super().write(text)


@dataclass
class Listening:
    """A user who runs `batchback listen`. The status is set after the block."""

    user: User
    url: str = ""
    status: list[int] = field(default_factory=list)

    def told(self) -> str:
        """The next line on stderr."""
        line: str = self.user.stderr.lines.get(timeout=_PATIENCE_SECONDS)
        return line


@contextmanager
def listen(*options: str, stdout: io.StringIO | None = None) -> Iterator[Listening]:
    """Run until the command ends, which the block must cause."""
    user = User({"BATCHBACK_CALLBACK_SECRET": WEBHOOK_SECRET}, stderr=Lines())
    user.stdout = stdout or user.stdout
    session = Listening(user)
    thread = threading.Thread(
        target=lambda: session.status.append(user.types("listen", "--port", "0", *options)),
        daemon=True,
    )
    thread.start()
    session.url = session.told().split("use ")[1].split(" ")[0]
    try:
        yield session
    finally:
        thread.join(_PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_a_callback_is_verified_answered_and_printed_on_one_line() -> None:
    with listen("--once") as session:
        assert post(session.url, signed()) == (200, "")
    assert session.status == [0]
    [line] = session.user.stdout.getvalue().splitlines()
    assert json.loads(line) == json.loads(CALLBACK)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as loopback:
            loopback.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_over_ipv6_the_service_reaches_the_address_that_it_names() -> None:
    policy = AddressPolicy(allowed_networks=(ip_network("::1/128"),))
    with listen("--once", "--host", "::1") as session:
        assert re.fullmatch(r"http://\[::1\]:\d+/callback", session.url)
        reply = HttpReceiver(policy=policy).post(
            session.url,
            headers=signed(),
            private_headers={},
            body=[CALLBACK],
            timeout_seconds=_PATIENCE_SECONDS,
        )
    assert isinstance(reply, Reply)
    assert reply.status == 200
    assert json.loads(session.user.stdout.getvalue()) == json.loads(CALLBACK)


def test_on_a_terminal_it_is_a_table_with_the_number_of_failures() -> None:
    with listen("--once", stdout=Terminal()) as session:
        post(session.url, signed())
    first, head, *rows = session.user.stdout.getvalue().splitlines()
    assert first == f"{BATCH}: 2 jobs, 1 failed"
    assert head.split() == ["JOB", "NAMESPACE", "ACTION", "RESPONSE"]
    assert [row.split()[:3] for row in rows] == [["0", "a", "b"], ["1", "a", "c"]]


def test_counts_in_the_callback_take_precedence() -> None:
    body = json.dumps(
        {
            "asyncId": BATCH,
            "results": [],
            "status": "stopped",
            "jobs": {"total": 200, "succeeded": 190, "failed": 10},
            "label": "mailing\x1b[31m",
        }
    ).encode()
    with listen("--once", stdout=Terminal()) as session:
        post(session.url, signed(body), body)
    shown = f"{BATCH} mailing?[31m stopped: 200 jobs, 10 failed\n"
    assert session.user.stdout.getvalue() == shown


def test_numbers_are_printed_as_they_arrived() -> None:
    result = '{"namespace":"a","action":"b","request":{},"response":[1.10,1e-400]}'
    body = f'{{"asyncId":"{BATCH}","results":[{result}]}}'.encode()
    with listen("--once") as session:
        post(session.url, signed(body), body)
    assert '"response": [1.10, 1e-400]' in session.user.stdout.getvalue()


def test_a_duplicate_is_answered_and_reported() -> None:
    with listen(stdout=_interrupted_by("second")) as session:
        assert [post(session.url, signed())[0] for _ in range(2)] == [200, 200]
        assert f"callback {BATCH}-1 arrived again" in session.told()
        second = json.dumps({"asyncId": "second", "results": []}).encode()
        post(session.url, signed(second, id="second-1"), second)
    assert session.user.stdout.getvalue().count("\n") == 1


def test_a_callback_that_is_not_genuine_is_refused_and_reported() -> None:
    forged = {**signed(), "webhook-signature": "v1,AAAA"}
    with listen("--once") as session:
        for headers, status, sentence in [
            ({}, 400, "webhook-id is missing"),
            (forged, 401, "webhook-signature is wrong"),
            (signed(age=400), 401, "webhook-timestamp is too old"),
        ]:
            answered, text = post(session.url, headers)
            assert (answered, sentence in text) == (status, True)
            assert f"refused with {status}: {sentence}" in session.told()
        post(session.url, signed())
    assert session.status == [0]
    assert WEBHOOK_SECRET not in session.user.is_told


def test_signed_bytes_that_are_not_a_callback_are_accepted_and_reported() -> None:
    with listen("--once") as session:
        assert post(session.url, signed(b"[" * 100_000), b"[" * 100_000)[0] == 200
        assert "is not a Batchback callback" in session.told()
    assert session.user.stdout.getvalue() == ""


def test_ctrl_c_ends_it_quietly() -> None:
    with listen(stdout=_interrupted_by(BATCH)) as session:
        post(session.url, signed())
    assert session.status == [0]
    assert session.user.is_told.count("\n") == 1


def test_ctrl_c_before_the_only_callback_is_an_interruption() -> None:
    with listen("--once", stdout=_interrupted_by(BATCH)) as session:
        post(session.url, signed())
    assert session.status == [130]


def test_an_output_that_cannot_be_written_ends_it() -> None:
    with listen(stdout=Unwritable()) as session:
        post(session.url, signed())
    assert session.status == [5]
    assert f"callback {BATCH}-1 was accepted" in session.user.is_told


def _interrupted_by(text: str) -> io.StringIO:
    """A stream that raises KeyboardInterrupt when it shows this text."""

    class Interrupting(io.StringIO):
        def write(self, shown: str) -> int:
            if text in shown:
                raise KeyboardInterrupt
            return super().write(shown)

    return Interrupting()


def test_each_callback_is_saved_in_the_format_of_verify(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "callbacks"
    body = CALLBACK + b"\r\n\r\n"
    with listen("--once", "--output", str(folder)) as session:
        post(session.url, {**signed(body), "X-Token": "t\xe9"}, body)
    [file] = folder.iterdir()
    assert file.name == f"{BATCH}-1.http"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"\r\nX-Token: t\xe9\r\n" in file.read_bytes()
    user = User({"BATCHBACK_CALLBACK_SECRET": WEBHOOK_SECRET})
    assert user.types("verify", str(file)) == 0
    assert user.reads["webhookId"] == f"{BATCH}-1"


def test_a_saved_callback_counts_as_seen(tmp_path: Path) -> None:
    (tmp_path / f"{BATCH}-1.http").write_text("old")
    with listen("--output", str(tmp_path), stdout=_interrupted_by("second")) as session:
        assert post(session.url, signed())[0] == 200
        assert "arrived again" in session.told()
        second = json.dumps({"asyncId": "second", "results": []}).encode()
        post(session.url, signed(second, id="second-1"), second)
    assert (tmp_path / f"{BATCH}-1.http").read_text() == "old"


def test_a_callback_that_cannot_be_saved_is_not_accepted(tmp_path: Path) -> None:
    """The service then retries it."""
    inbox = an_inbox(folder=tmp_path / "gone")
    with a_listener(inbox) as listener:
        status, text = post(listener.url, signed())
        assert (status, "cannot be written" in text) == (500, True)
        (tmp_path / "gone").mkdir()
        assert post(listener.url, signed())[0] == 200


def test_an_unsafe_id_is_saved_in_the_folder(tmp_path: Path) -> None:
    for id in ("../up", "/etc/passwd", ".hidden", "a\\b", "x" * 200):
        with a_listener(an_inbox(folder=tmp_path)) as listener:
            assert post(listener.url, signed(id=id))[0] == 200
    names = {file.name for file in tmp_path.iterdir()}
    assert len(names) == 5
    assert all(len(name) == 69 for name in names)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--secret", "whsec_AAAA"], "the secret is damaged"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1 port 4569"),
        (["--host", "no host"], "cannot listen on no host port 4569"),
        (["--output", "/dev/null/x"], "/dev/null/x cannot be created"),
        (["--port", "70000"], "70000 is not in the range"),
    ],
)
def test_invalid_options_are_reported_in_a_sentence(options: list[str], sentence: str) -> None:
    user = User({"BATCHBACK_CALLBACK_SECRET": WEBHOOK_SECRET})
    assert user.types("listen", *options) == 2
    assert sentence in user.is_told


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        user = User({"BATCHBACK_CALLBACK_SECRET": WEBHOOK_SECRET})
        assert user.types("listen", "--port", str(port)) == 2
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use)" in user.is_told


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", socket.gethostname())],  # noqa: S104
)
def test_it_prints_an_address_that_others_can_call(host: str, shown: str) -> None:
    with listening(an_inbox(), host, 0) as listener:
        assert urlsplit(listener.url).hostname == shown.lower()


def test_ctrl_c_at_the_start_ends_it_quietly_too() -> None:
    class Interrupting(io.StringIO):
        def write(self, text: str) -> int:
            if "listening" in text:
                raise KeyboardInterrupt
            return super().write(text)

    user = User({"BATCHBACK_CALLBACK_SECRET": WEBHOOK_SECRET}, stderr=Interrupting())
    assert user.types("listen", "--port", "0") == 0


def test_without_a_secret_it_does_not_listen() -> None:
    user = User({})
    assert user.types("listen", "--port", "0") == 2
    assert "set BATCHBACK_CALLBACK_SECRET" in user.is_told


# --- hostile clients ---------------------------------------------------------------------------


def an_inbox(folder: Path | None = None) -> Inbox:
    return Inbox(secrets=[WEBHOOK_SECRET], now=FakeClock().now, folder=folder)


@contextmanager
def a_listener(inbox: Inbox | None = None, limits: Limits = LIMITS) -> Iterator[Listener]:
    with listening(inbox or an_inbox(), "127.0.0.1", 0, limits) as listener:
        yield listener


def next_of(listener: Listener) -> Arrival:
    return next(iter(listener.arrivals()))


HEAD = b"POST /callback HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (HEAD + b"\r\n", 411),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na", 411),
        (HEAD + b"Content-Length: -1\r\n\r\n", 411),
        (HEAD + b"Content-Length: many\r\n\r\n", 411),
        (HEAD + b"Content-Length: 1001\r\n\r\n", 413),
        (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 411),
        (HEAD + b"Content-Length: 2\r\n\r\n{}", 400),
        (b"GET /callback HTTP/1.1\r\n\r\n", 501),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"POST\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    ],
)
def test_a_request_that_is_not_a_callback_is_refused(request_bytes: bytes, status: int) -> None:
    with a_listener(limits=Limits(most_bytes=1_000)) as listener:
        answer = say(listener.url, request_bytes)
        assert answer == b"" or str(status).encode() in answer.split(b"\r\n")[0]
        arrival = next_of(listener)
        assert (arrival.kind, arrival.status) == (Kind.REFUSED, status)
        assert post(listener.url, signed(b"{}"), b"{}")[0] == 200


@pytest.mark.parametrize(
    "begun", [b"", b"POST", HEAD, HEAD + b"Content-Length: 9\r\n\r\n", HEAD + b"a" * 60_000]
)
def test_a_slow_sender_is_cut_off(begun: bytes) -> None:
    with a_listener(limits=SHORT) as listener:
        say(listener.url, begun)
        assert _retried(listener.url) == 200


def test_an_incomplete_body_is_refused() -> None:
    with a_listener(limits=SHORT) as listener:
        say(listener.url, HEAD + b"Content-Length: 9\r\n\r\n{}")
        assert next_of(listener).reason == "only 2 of the 9 bytes of the body arrived"


def test_a_sender_of_single_bytes_is_cut_off() -> None:
    with a_listener(limits=SHORT) as listener:
        address = urlsplit(listener.url)
        with socket.create_connection((address.hostname, address.port), timeout=0.01) as slow:
            _drip(slow)
        assert _retried(listener.url) == 200


def _drip(connection: socket.socket) -> None:
    """Send a byte at a time, until the other side ends the connection."""
    with suppress(ConnectionError):
        while True:
            connection.send(b"a")
            with suppress(TimeoutError):
                if not connection.recv(1):
                    return


def test_it_survives_a_flood_of_connections() -> None:
    with a_listener(limits=SHORT) as listener:
        address = urlsplit(listener.url)
        flood = [
            socket.create_connection((address.hostname, address.port), timeout=30)
            for _ in range(40)
        ]
        for each in flood:
            each.close()
        assert _retried(listener.url) == 200


def _retried(url: str) -> int:
    """Retry while connections are turned away, and return the status of the answer."""
    for _ in range(100):
        try:
            return post(url, signed(b"{}"), b"{}")[0]
        except (OSError, http.client.HTTPException):
            continue
    raise AssertionError("nobody answers")


def test_concurrent_copies_are_one_callback(tmp_path: Path) -> None:
    inbox = an_inbox(folder=tmp_path)
    body = b"x" * 1_000
    with a_listener(inbox) as listener:
        threads = [
            threading.Thread(target=post, args=(listener.url, signed(body), body))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        kinds = [next_of(listener).kind for _ in threads]
        for thread in threads:
            thread.join()
    assert sorted(kinds, key=str) == [Kind.AGAIN] * 19 + [Kind.NEW]
    assert len([*tmp_path.iterdir()]) == 1


def test_the_largest_callback_is_accepted() -> None:
    body = b"x" * 50_000_000
    with a_listener() as listener:
        assert post(listener.url, signed(body), body)[0] == 200
        assert len(next_of(listener).body) == len(body)
