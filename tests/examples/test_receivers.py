"""The example receivers, run unchanged against callbacks that the real code signs and sends over
real HTTP. Four are servers; the one for shells verifies by hand."""

import base64
import http.client
import importlib.util
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import pytest

from batchback_local.http_server import Answer, HttpServer, LocalServer, Request
from chalicelib.adapters.http import HttpReceiver
from chalicelib.domain import signing
from chalicelib.domain.address import AddressPolicy
from chalicelib.domain.outcome import Reply
from tests.examples.runtimes import EXAMPLES, built, needed

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(200, 264 - 8))).decode()
#: Nothing here takes this long unless it is broken.
PATIENCE_SECONDS = 30

Headers = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """A running example."""

    address: str
    #: Returns the next line that it prints, one for each callback that it processes.
    line: Callable[[], str]

    def signed(
        self,
        body: bytes,
        *secrets: str,
        message_id: str = "",
        age: timedelta = timedelta(),
    ) -> Headers:
        """A callback signed as the service signs it."""
        return signing.webhook_headers(
            message_id=message_id or f"{uuid.uuid4().hex}-1",
            body=[body],
            secrets=secrets or [SECRET],
            now=datetime.now(UTC) + self._ahead - age,
        )

    @cached_property
    def _ahead(self) -> timedelta:
        """How far its clock is ahead of ours: Go always uses the machine's clock."""
        connection = http.client.HTTPConnection(
            urlsplit(self.address).netloc, timeout=PATIENCE_SECONDS
        )
        connection.request("GET", "/")
        shown = connection.getresponse().headers.get("Date")
        connection.close()
        return parsedate_to_datetime(shown) - datetime.now(UTC) if shown else timedelta()

    def gets(self, headers: Mapping[str, str], body: bytes) -> int:
        """The status that it answers to a callback that the service could send."""
        policy = AddressPolicy(allowed_networks=(ip_network("127.0.0.0/8"),))
        reply = HttpReceiver(policy=policy).post(
            f"{self.address}/callback",
            headers={"Content-Type": "application/json", **headers},
            private_headers={},
            body=[body],
            timeout_seconds=PATIENCE_SECONDS,
        )
        assert isinstance(reply, Reply), reply
        return reply.status

    def gets_from_a_stranger(self, headers: Mapping[str, str | bytes | None], body: bytes) -> int:
        """The status that it answers to a request that the service would never send. None: without
        that header."""
        connection = http.client.HTTPConnection(
            urlsplit(self.address).netloc, timeout=PATIENCE_SECONDS
        )
        connection.putrequest("POST", "/callback")
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        status = connection.getresponse().status
        connection.close()
        return status


@contextmanager
def program(*command: str, folder: Path, complains: bool = False) -> Iterator[Receiver]:
    """A server that keeps its callbacks in the folder. Its stderr is empty, or contains a complaint
    if one is expected."""
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own examples
            [*command, "0", str(folder / "callbacks")],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=os.environ | {"CALLBACK_SECRET": SECRET},
            text=True,
        )
    lines: Queue[str] = Queue()
    reader = threading.Thread(target=lambda: [*map(lines.put, process.stdout or [])], daemon=True)
    reader.start()
    try:
        listening = lines.get(timeout=PATIENCE_SECONDS)
        yield Receiver(
            address=listening.removeprefix("listening on ").strip(),
            line=lambda: lines.get(timeout=PATIENCE_SECONDS),
        )
    finally:
        process.kill()
        process.wait()
        reader.join()
        assert process.stdout
        process.stdout.close()
    assert bool((folder / "stderr").read_text("utf-8")) is complains


@contextmanager
def php_server(folder: Path, secret: str | None = SECRET) -> Iterator[Receiver]:
    """PHP's own server, which writes its address and its requests to stderr. The example prints
    nothing; the .json files are in the folder."""
    callbacks = folder / "callbacks"
    callbacks.mkdir()
    known = {} if secret is None else {"CALLBACK_SECRET": secret}
    process = subprocess.Popen(  # noqa: S603 - our own example
        [needed("php"), "-S", "127.0.0.1:0", str(EXAMPLES / "receiver.php")],
        stderr=subprocess.PIPE,
        env=os.environ | {"CALLBACK_FOLDER": str(callbacks)} | known,
        text=True,
    )
    said: Queue[str] = Queue()
    reader = threading.Thread(target=lambda: [*map(said.put, process.stderr or [])], daemon=True)
    reader.start()
    taken: set[Path] = set()

    def line() -> str:
        [new] = {*callbacks.glob("*.json")} - taken
        taken.add(new)
        return str(json.loads(new.read_bytes())["asyncId"])

    try:
        listening = re.search(r"\((http://.*)\) started", said.get(timeout=PATIENCE_SECONDS))
        assert listening
        yield Receiver(address=listening[1], line=line)
    finally:
        process.kill()
        process.wait()
        reader.join()
        assert process.stderr
        process.stderr.close()
    assert [*callbacks.glob("unfinished-*")] == []
    complaints = [said.get() for _ in range(said.qsize())]
    assert [each for each in complaints if "PHP " in each] == []


@contextmanager
def by_hand(folder: Path) -> Iterator[Receiver]:
    """A server that passes what it gets to verify.sh, as somebody at a shell would."""
    lines: Queue[str] = Queue()

    def answer(request: Request) -> Answer:
        body = folder / uuid.uuid4().hex
        body.write_bytes(request.body)
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        given = [request.headers.get(name, "") for name in names]
        done = subprocess.run(  # noqa: S603 - our own example
            ["sh", str(EXAMPLES / "verify.sh"), str(body), *given],  # noqa: S607
            capture_output=True,
            env=os.environ | {"CALLBACK_SECRET": SECRET},
            check=False,
        )
        if done.returncode == 0:
            assert done.stdout == b"verified\n"
            lines.put(json.loads(request.body)["asyncId"])
        is_well = (done.returncode, done.stderr) in {(0, b""), (1, b"")}
        return Answer(status=500 if not is_well else 401 if done.returncode else 204)

    with HttpServer(answer, name="by hand") as server:
        yield Receiver(address=server.address, line=lambda: lines.get(timeout=PATIENCE_SECONDS))


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("python")
    with program(sys.executable, str(EXAMPLES / "receiver.py"), folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    folder = tmp_path_factory.mktemp("node")
    with program(needed("node"), str(EXAMPLES / "receiver.js"), folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return built(str(EXAMPLES / "receiver.go"), tmp_path_factory.mktemp("built") / "receiver")


@pytest.fixture(scope="module")
def go(go_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with program(go_program, folder=tmp_path_factory.mktemp("go")) as running:
        yield running


@pytest.fixture(scope="module")
def php(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with php_server(tmp_path_factory.mktemp("php")) as running:
        yield running


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    needed("openssl")
    with by_hand(tmp_path_factory.mktemp("shell")) as running:
        yield running


@pytest.fixture(params=["python", "node", "go"])
def server(request: pytest.FixtureRequest) -> Receiver:
    running: Receiver = request.getfixturevalue(request.param)
    return running


@pytest.fixture(params=["python", "node", "go", "php", "shell"])
def receiver(request: pytest.FixtureRequest) -> Receiver:
    running: Receiver = request.getfixturevalue(request.param)
    return running


def a_body(name: str = "") -> bytes:
    """Bytes that no JSON library would produce again exactly."""
    name = name or uuid.uuid4().hex
    return f'{{ "asyncId":"{name}","results":[1.0, "é\\ud83d" ,\t2e1]}}\n'.encode()


class TestGenuine:
    def test_a_callback_is_accepted_and_processed(self, receiver: Receiver) -> None:
        body = a_body("one")
        assert receiver.gets(receiver.signed(body), body) == 204
        assert receiver.line().split()[0] == "one"

    @pytest.mark.parametrize(
        "secrets", [(SECRET, OTHER_SECRET), (OTHER_SECRET, SECRET)], ids=["new", "old"]
    )
    def test_during_a_rotation_either_secret_verifies(
        self, receiver: Receiver, secrets: Sequence[str]
    ) -> None:
        body = a_body("rotating")
        assert receiver.gets(receiver.signed(body, *secrets), body) == 204
        assert receiver.line().split()[0] == "rotating"

    def test_an_additional_signature_of_another_kind_does_no_harm(self, receiver: Receiver) -> None:
        body = a_body("beside")
        headers = receiver.signed(body)
        headers["webhook-signature"] = f"v1a,AAAA {headers['webhook-signature']}"
        assert receiver.gets(headers, body) == 204
        assert receiver.line().split()[0] == "beside"

    def test_the_next_round_is_another_callback(self, receiver: Receiver) -> None:
        id = uuid.uuid4().hex
        for number in (1, 2):
            body = a_body(f"round-{number}")
            assert receiver.gets(receiver.signed(body, message_id=f"{id}-{number}"), body) == 204
            assert receiver.line().split()[0] == f"round-{number}"


class TestForged:
    def test_another_body_is_refused(self, receiver: Receiver) -> None:
        body = a_body()
        for other in (body + b" ", body.replace(b"1.0", b"1.00"), b"", json.dumps({}).encode()):
            assert receiver.gets(receiver.signed(body), other) == 401

    def test_another_secret_is_refused(self, receiver: Receiver) -> None:
        body = a_body()
        assert receiver.gets(receiver.signed(body, OTHER_SECRET), body) == 401

    def test_another_id_or_time_is_refused(self, receiver: Receiver) -> None:
        body = a_body()
        headers = receiver.signed(body)
        later = str(int(headers["webhook-timestamp"]) + 1)
        for change in ({"webhook-id": f"{uuid.uuid4().hex}-1"}, {"webhook-timestamp": later}):
            assert receiver.gets({**headers, **change}, body) == 401

    @pytest.mark.parametrize("minutes", [6, -6, 60 * 24 * 365])
    def test_a_time_too_far_from_now_is_refused(self, receiver: Receiver, minutes: int) -> None:
        body = a_body()
        assert receiver.gets(receiver.signed(body, age=timedelta(minutes=minutes)), body) == 401

    def test_malformed_headers_are_refused_and_break_nothing(self, receiver: Receiver) -> None:
        body = a_body()
        for change in _nonsense(receiver.signed(body)):
            headers = {**receiver.signed(body), **change}
            assert receiver.gets_from_a_stranger(headers, body) in {400, 401}, change
        assert receiver.gets(receiver.signed(body), body) == 204
        receiver.line()


def _nonsense(headers: Headers) -> Iterator[dict[str, str | bytes | None]]:
    """Changes that make one of the headers invalid."""
    right = headers["webhook-signature"]
    for name in headers:
        yield {name: None}
        yield {name: ""}
    yield {"webhook-id": b"\xff\xfe"}
    yield {"webhook-id": "i" * 10_000}
    for signature in (
        *("v1", "v1,", "v1,*", "v2,AAAA", ",", " ", "v1,,", "v1 ,AAAA", "null", "*", "v1,[a-z]*"),
        *(b"v1,\xc3\xa9", "v1," + "A" * 9_000, right[:-1], right + "A", f"v1,{right}"),
    ):
        yield {"webhook-signature": signature}
    for timestamp in (
        *("soon", "-1", "1e9", "0x10", "NaN", "Infinity", "1e400", "9" * 400, "9" * 18, "08"),
        *(b"\xd9\xa3", "$(id)", "0"),
    ):
        yield {"webhook-timestamp": timestamp}


#: None: the variable is not set.
NO_SECRETS = [None, "", "whsec_", "whsec_AAAA", "whsec_" + "*" * 44, SECRET.removeprefix("whsec_")]


class TestWithoutASecret:
    @pytest.mark.parametrize("secret", NO_SECRETS)
    @pytest.mark.parametrize("language", ["python", "node", "go"])
    def test_a_server_does_not_start(
        self, request: pytest.FixtureRequest, tmp_path: Path, language: str, secret: str | None
    ) -> None:
        command: list[str]
        match language:
            case "python":
                command = [sys.executable, str(EXAMPLES / "receiver.py")]
            case "node":
                command = [needed("node"), str(EXAMPLES / "receiver.js")]
            case _:
                command = [request.getfixturevalue("go_program")]
        known = {} if secret is None else {"CALLBACK_SECRET": secret}
        done = subprocess.run(  # noqa: S603 - our own examples
            [*command, "0", str(tmp_path / "callbacks")],
            env=os.environ | known,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "CALLBACK_SECRET=whsec_..." in done.stderr
        assert [*tmp_path.iterdir()] == []

    def test_php_refuses_every_callback(self, tmp_path: Path) -> None:
        for number, secret in enumerate(NO_SECRETS):
            folder = tmp_path / str(number)
            folder.mkdir()
            with php_server(folder, secret) as receiver:
                body = a_body()
                forged = receiver.signed(body, "whsec_", SECRET)
                assert receiver.gets(forged, body) == 500
                assert [*(folder / "callbacks").iterdir()] == []


class TestServers:
    def test_a_repeated_callback_is_accepted_again_and_processed_once(
        self, server: Receiver
    ) -> None:
        body, id = a_body("again"), f"{uuid.uuid4().hex}-1"
        for seconds in (60, 30, 0):
            headers = server.signed(body, message_id=id, age=timedelta(seconds=seconds))
            assert server.gets(headers, body) == 204
        last = a_body("last")
        assert server.gets(server.signed(last), last) == 204
        assert [server.line().split()[0] for _ in range(2)] == ["again", "last"]

    def test_a_body_over_the_limit_is_refused_unread(self, server: Receiver) -> None:
        assert server.gets_from_a_stranger({"Content-Length": "50000001"}, b"") == 413

    def test_a_request_without_a_length_is_refused(self, server: Receiver) -> None:
        chunked = {"Content-Length": None, "Transfer-Encoding": "chunked"}
        assert server.gets_from_a_stranger(chunked, b"0\r\n\r\n") == 411

    @pytest.mark.parametrize("length", ["", "x", "-1", "9" * 5_000])
    def test_an_invalid_length_is_refused(self, server: Receiver, length: str) -> None:
        status = server.gets_from_a_stranger({"Content-Length": length}, b"")
        assert status in {400, 401, 411, 413}


def grow_older(folder: Path, span: timedelta) -> None:
    """Make everything that is stored there older."""
    callbacks = folder / "callbacks"
    if callbacks.is_file():
        with closing(sqlite3.connect(callbacks)) as database, database:
            statement = "UPDATE callbacks SET came_at = came_at - ?"
            database.execute(statement, (span.total_seconds(),))
        return
    for path in callbacks.rglob("*"):
        came_at = path.stat().st_mtime - span.total_seconds()
        os.utime(path, (came_at, came_at))
        if path.name == "came_at":
            path.write_text(f"{int(path.read_text()) - int(span.total_seconds())}\n")


class TestForgetting:
    """An id is remembered for 72 hours: a batch lives for 60, and its callbacks never come
    later."""

    @pytest.fixture(params=["python", "node", "go"])
    def command(self, request: pytest.FixtureRequest) -> list[str]:
        match request.param:
            case "python":
                return [sys.executable, str(EXAMPLES / "receiver.py")]
            case "node":
                return [needed("node"), str(EXAMPLES / "receiver.js")]
            case _:
                return [request.getfixturevalue("go_program")]

    def test_a_server_remembers_an_id_after_71_hours_but_not_after_73(
        self, command: list[str], tmp_path: Path
    ) -> None:
        id, worked_on = f"{uuid.uuid4().hex}-1", []
        for hours in (0, 71, 2):
            grow_older(tmp_path, timedelta(hours=hours))
            with program(*command, folder=tmp_path) as server:
                self._post(server, a_body("again"), id)
                self._post(server, a_body("last"), f"{uuid.uuid4().hex}-1")
                worked_on.append(server.line().split()[0])
                if worked_on[-1] == "again":
                    worked_on.append(server.line().split()[0])
                wait_until(lambda: waiting(tmp_path / "callbacks") == set())
        assert worked_on == ["again", "last", "last", "again", "last"]

    def test_unprocessed_callbacks_are_not_forgotten(
        self, command: list[str], tmp_path: Path
    ) -> None:
        with program(*command, folder=tmp_path, complains=True) as server:
            self._post(server, b"no JSON", "one-1")
            wait_until(lambda: (tmp_path / "stderr").stat().st_size > 0)
        grow_older(tmp_path, timedelta(days=365))
        with program(*command, folder=tmp_path, complains=True) as server:
            self._post(server, a_body("last"), "two-1")
            assert server.line().split()[0] == "last"
            wait_until(lambda: waiting(tmp_path / "callbacks") == {"one-1"})

    def test_php_forgets_only_processed_callbacks(self, tmp_path: Path) -> None:
        id, stored = f"{uuid.uuid4().hex}-1", tmp_path / "callbacks"
        with php_server(tmp_path) as receiver:
            self._post(receiver, a_body(), id)
            waiting, done = stored / f"{id}.json", stored / f"{id}.done"
            grow_older(tmp_path, timedelta(hours=71))
            self._post(receiver, a_body(), id)
            assert [*stored.iterdir()] == [waiting]
            waiting.rename(done)
            self._post(receiver, a_body(), id)
            assert [*stored.iterdir()] == [done]
            grow_older(tmp_path, timedelta(hours=2))
            self._post(receiver, a_body(), id)
            assert [*stored.iterdir()] == [waiting]
            grow_older(tmp_path, timedelta(days=365))
            self._post(receiver, a_body(), "other-1")
            assert waiting.exists()

    def test_verify_sh_remembers_ids_in_its_folder(self, tmp_path: Path) -> None:
        needed("openssl")
        folder, id = tmp_path / "callbacks", f"{uuid.uuid4().hex}-1"
        seen_before = (2, "verified, and seen before\n", "")
        assert self._verify(tmp_path, id) == (0, "verified\n", "")
        assert self._verify(tmp_path, id) == seen_before
        grow_older(tmp_path, timedelta(hours=71))
        assert self._verify(tmp_path, id) == seen_before
        grow_older(tmp_path, timedelta(hours=2))
        assert self._verify(tmp_path, id) == (0, "verified\n", "")
        assert [path.name for path in folder.iterdir()] == [id]
        assert self._verify(tmp_path, "../outside")[0] == 1
        assert {path.name for path in tmp_path.iterdir()} == {"body", "callbacks"}

    def _verify(self, folder: Path, id: str) -> tuple[int, str, str]:
        body = folder / "body"
        body.write_bytes(b"{}")
        headers = signing.webhook_headers(
            message_id=id, body=[b"{}"], secrets=[SECRET], now=datetime.now(UTC)
        )
        done = subprocess.run(  # noqa: S603 - our own example
            ["sh", str(EXAMPLES / "verify.sh"), str(body), *headers.values(), folder / "callbacks"],  # noqa: S607
            capture_output=True,
            env=os.environ | {"CALLBACK_SECRET": SECRET},
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def _post(self, receiver: Receiver, body: bytes, id: str) -> None:
        assert receiver.gets(receiver.signed(body, message_id=id), body) == 204


def waiting(callbacks: Path) -> set[str]:
    """The ids of the callbacks that are not processed yet."""
    if not callbacks.is_file():
        return {path.stem for path in callbacks.glob("*.json")}
    with closing(sqlite3.connect(callbacks)) as database:
        found = database.execute("SELECT id FROM callbacks WHERE body IS NOT NULL")
        return {id for (id,) in found}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Check repeatedly, because nothing notifies the test."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


class TestPython:
    @pytest.fixture
    def example(self) -> Any:
        """The example as a module."""
        spec = importlib.util.spec_from_file_location("receiver", EXAMPLES / "receiver.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @contextmanager
    def running(self, example: Any, path: Path) -> Iterator[Receiver]:
        with LocalServer(
            lambda port: example.Receiver(port, SECRET, path), port=0, name="receiver"
        ) as server:
            yield Receiver(address=server.address, line=str)

    def test_it_answers_before_it_processes(self, example: Any, tmp_path: Path) -> None:
        answered, worked = threading.Event(), threading.Event()

        def work(_: object) -> None:
            assert answered.wait(PATIENCE_SECONDS)
            worked.set()

        example.work = work
        with self.running(example, tmp_path / "callbacks") as receiver:
            body = a_body()
            assert receiver.gets(receiver.signed(body), body) == 204
            answered.set()
            assert worked.wait(PATIENCE_SECONDS)

    def test_unfinished_callbacks_are_resumed(
        self, example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tried: Queue[str] = Queue()

        def fail(callback: Any) -> None:
            tried.put(callback["asyncId"])
            raise OSError

        example.work = fail
        with self.running(example, tmp_path / "callbacks") as receiver:
            body = a_body("unfinished")
            assert receiver.gets(receiver.signed(body), body) == 204
            assert tried.get(timeout=PATIENCE_SECONDS) == "unfinished"
        example.work = lambda callback: tried.put(callback["asyncId"])
        with self.running(example, tmp_path / "callbacks"):
            assert tried.get(timeout=PATIENCE_SECONDS) == "unfinished"
        assert "OSError" in capsys.readouterr().err


#: Code before the example, which replaces its processing.
_SAY = "const say = console.log; console.log = (first, ...more) => more.length ? %s : say(first);"


class TestNode:
    def test_it_answers_before_it_processes(self, tmp_path: Path) -> None:
        """Its processing never ends here, and blocks the whole process."""
        with self.instead(tmp_path, "(() => { for (;;); })()") as receiver:
            body = a_body()
            assert receiver.gets(receiver.signed(body), body) == 204

    def test_unfinished_callbacks_are_resumed(self, tmp_path: Path) -> None:
        body = a_body("unfinished")
        failing = "(() => { throw new Error('no'); })()"
        with self.instead(tmp_path, failing, complains=True) as receiver:
            assert receiver.gets(receiver.signed(body), body) == 204
            assert receiver.gets(receiver.signed(body), body + b" ") == 401  # the failure is over
        with self.instead(tmp_path, "say('listening on taken up: ' + first)") as receiver:
            assert receiver.address == "taken up: unfinished"

    @contextmanager
    def instead(self, folder: Path, work: str, *, complains: bool = False) -> Iterator[Receiver]:
        before = folder / "before.js"
        before.write_text(_SAY % work)
        script = str(EXAMPLES / "receiver.js")
        with program(
            *(needed("node"), "--require", str(before), script),
            folder=folder,
            complains=complains,
        ) as running:
            yield running
