"""`batchback console`: its options, its message if it cannot start, and how it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from batchback_console import command
from batchback_console.server import ConsoleServer
from batchback_local.http_server import HttpServer, json_answer
from batchback_ops import project
from tests.client.user import User
from tests.console.asking import console_of
from tests.operations.world import World

TOKEN = re.compile(r"the console is at (http://127\.0\.0\.1:\d+/)#token=([\w-]{43})\n")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """What is behind the console."""
    world = World()

    def connect(*_: Any, may_act: bool, **__: Any) -> Any:
        return console_of(world, may_act=may_act)

    monkeypatch.setattr("batchback_console.console.connect", connect)
    monkeypatch.setattr("batchback_ops.stage.Stage.client", lambda *_: None)
    monkeypatch.setattr(command, "stop_at_signals", lambda: None)
    return world


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, user: User) -> list[Any]:
    """What the page gets while the command waits, which ends it."""
    answers: list[Any] = []

    def wait() -> None:
        found = TOKEN.search(user.is_told)
        assert found
        bearer = {"Authorization": f"Bearer {found[2]}"}
        answers.append(requests.get(f"{found[1]}api/console", headers=bearer, timeout=10).json())
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "wait_for_the_signal", wait)
    return answers


@pytest.fixture
def user() -> User:
    return User({})


@pytest.mark.usefixtures("world")
class TestServing:
    def test_it_serves_the_address_that_it_prints_until_ctrl_c(
        self, user: User, shown: list[Any]
    ) -> None:
        """The exit status is 0."""
        assert user.types("console", "--stage", "local") == 0
        assert "batchback: Ctrl-C stops it\n" in user.is_told
        assert user.stdout.getvalue() == ""
        (about,) = shown
        assert (about["stage"], about["isLocal"]) == ("local", False)

    @pytest.mark.parametrize(("option", "may"), [((), False), (("--allow-actions",), True)])
    def test_it_is_read_only_unless_actions_are_allowed(
        self, user: User, shown: list[Any], option: tuple[str, ...], may: bool
    ) -> None:
        user.types("console", "--stage", "local", *option)
        assert shown[0]["mayAct"] is may

    def test_a_named_port_that_is_in_use_is_an_error(self, user: User) -> None:
        with ConsoleServer(console_of(World()), port=0, token="t", say=print) as other:
            assert user.types("console", "--stage", "local", "--port", str(other.port)) == 2
            assert user.is_told == (
                f"batchback: Port {other.port} cannot be used (Address already in use): name "
                "another.\n"
            )

    def test_without_a_named_port_any_free_one_is_used(
        self, user: User, shown: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ConsoleServer(console_of(World()), port=0, token="t", say=print) as other:
            monkeypatch.setattr("batchback_console.server.PREFERRED_PORT", other.port)
            assert user.types("console", "--stage", "local") == 0
            assert len(shown) == 1
            assert f":{other.port}/" not in user.is_told


@pytest.mark.usefixtures("world")
def test_without_flask_it_says_what_to_install(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("batchback_console.")]:
        if module not in {command.__name__, "batchback_console.console"}:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "flask", None)
    assert user.types("console", "--stage", "local") == 2
    assert user.is_told == (
        "batchback: `batchback console` needs flask, which is not installed: run "
        f"`{sys.executable} -m pip install -e '{project.root()}[console]'`\n"
    )


def test_a_stage_that_cannot_be_read_is_reported_before_anything_is_served(user: User) -> None:
    assert user.types("console", "--stage", "nowhere") == 2
    assert "There is no stage 'nowhere' in .chalice/config.json" in user.is_told
    assert "console is at" not in user.is_told


def test_without_aws_it_says_so_and_ends() -> None:
    """A real process ends with status 2, one sentence and no traceback."""
    ran = subprocess.run(
        [sys.executable, "-m", "batchback", "console", "--stage", "local"],
        env={**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        cwd=project.root(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "batchback: The AWS of this machine does not answer: start `batchback local`, and set "
        "AWS_ENDPOINT_URL to the AWS address that it prints.\n"
    )


def test_a_signal_ends_it_with_status_0(aws_of_a_process: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "batchback", "console", "--stage", "local"],
        env={**os.environ, "AWS_ENDPOINT_URL": aws_of_a_process},
        cwd=project.root(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        assert TOKEN.search(process.stderr.readline())
        assert process.stderr.readline() == "batchback: Ctrl-C stops it\n"
        process.send_signal(signal.SIGTERM)
        assert (process.wait(30), process.stderr.read()) == (0, "")


@pytest.fixture
def aws_of_a_process() -> Iterator[str]:
    """An AWS that answers every request as if the item was missing."""
    with HttpServer(lambda _: json_answer({}), name="aws") as server:
        yield server.address
