"""Options, environment and configuration of `batchback local`."""

import errno
import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import pytest

from batchback_local import ready_file
from batchback_local.command import local
from batchback_local.demonstration.account import CALLBACK_SECRET
from batchback_local.errors import CannotStart, PortInUse
from batchback_local.runtime import environment
from batchback_local.service import LocalService, Options, _listening
from batchback_ops import project
from chalicelib.settings import Names
from tests.client.user import User

#: The README and the docs name these ports.
AWS_PORT, PLATFORM_PORT, RECEIVER_PORT = 4566, 4567, 4568


def parsed(*arguments: str) -> dict[str, Any]:
    return local.make_context("local", [*arguments]).params


def test_every_option_of_the_command_line_reaches_the_service() -> None:
    assert set(parsed()) == {field.name for field in fields(Options)}


def test_the_command_line_and_the_service_have_the_same_defaults() -> None:
    assert Options(**parsed()) == Options()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_an_invalid_port_is_refused(port: str) -> None:
    """The exit status is 2, and nothing starts."""
    user = User({})
    assert user.types("local", "--port", port) == 2
    assert f"'--port': '{port}' is not a whole number from 1 to 65535." in user.is_told


def test_a_missing_package_comes_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is one sentence, for this Python and this checkout. The exit status is 2."""
    monkeypatch.delitem(sys.modules, "batchback_local.service", raising=False)
    monkeypatch.setitem(sys.modules, "moto.moto_server.werkzeug_app", None)
    for module in [name for name in sys.modules if name.startswith("batchback_local.aws")]:
        monkeypatch.delitem(sys.modules, module)
    user = User({})
    assert user.types("local") == 2
    assert user.is_told == (
        "batchback: `batchback local` needs moto, which is not installed: run "
        f"`{sys.executable} -m pip install -e '{project.root()}[local]'`\n"
    )


@pytest.mark.parametrize(
    "argv", [("--secret", "s3cret\r"), ("--secret", "s3crét"), ("--secret", ""), ("--key", "a b")]
)
def test_a_key_or_a_secret_that_clients_cannot_send_is_refused(argv: tuple[str, str]) -> None:
    user = User({})
    assert user.types("local", *argv) == 2
    assert argv[0] in user.is_told
    assert "3cr" not in user.is_told


def test_the_fixed_ports_are_those_that_the_local_stage_looks_for() -> None:
    options = Options().with_fixed_ports()
    assert options.aws_port == AWS_PORT
    assert options.platform_port == PLATFORM_PORT
    assert options.receiver_port == RECEIVER_PORT
    stage = project.environment(project.LOCAL_STAGE)
    assert stage["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{AWS_PORT}"
    assert stage["PLATFORM_ADDRESS"] == f"http://127.0.0.1:{PLATFORM_PORT}"


class TestReadyFile:
    OURS: ClassVar = {"awsEndpoint": "http://127.0.0.1:1", "pid": 1, "stage": "local"}

    def test_a_ready_file_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "ready.json"
        ready_file.write(path, self.OURS)
        ready_file.write(path, {**self.OURS, "pid": 2})
        assert json.loads(path.read_text())["pid"] == 2
        ready_file.remove(path)
        ready_file.remove(path)
        assert [*tmp_path.iterdir()] == []

    def test_only_its_owner_reads_it(self, tmp_path: Path) -> None:
        """Because a program that has the console's token can act in it."""
        path = tmp_path / "ready.json"
        ready_file.write(path, self.OURS)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize("is_link", [True, False])
    def test_nothing_is_written_into_a_file_that_somebody_else_put_there(
        self, tmp_path: Path, is_link: bool
    ) -> None:
        """In a shared folder, somebody can guess the name of the unfinished file."""
        path, theirs = tmp_path / "ready.json", tmp_path / "theirs"
        theirs.write_text("theirs")
        unfinished = tmp_path / f".ready.json.{os.getpid()}"
        (unfinished.symlink_to if is_link else unfinished.hardlink_to)(theirs)
        ready_file.write(path, self.OURS)
        assert theirs.read_text() == "theirs"
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600

    @pytest.mark.parametrize("content", ["precious", "", "{}", "[1]", '{"pid": 1}', "x" * 100_001])
    def test_any_other_file_is_never_changed(self, tmp_path: Path, content: str) -> None:
        """The exit status is 2, and nothing starts."""
        path = tmp_path / "notes"
        path.write_text(content)
        user = User({})
        assert user.types("local", "--ready-file", str(path)) == 2
        assert f"--ready-file: {path} exists and is not a ready file" in user.is_told
        with pytest.raises(CannotStart):
            ready_file.write(path, self.OURS)
        assert path.read_text() == content

    def test_links_folders_and_devices_are_never_changed(self, tmp_path: Path) -> None:
        ready_file.write(tmp_path / "ours", self.OURS)
        link, broken = tmp_path / "link", tmp_path / "broken"
        link.symlink_to(tmp_path / "ours")
        broken.symlink_to(tmp_path / "nothing")
        for path in (link, broken, tmp_path, Path(os.devnull)):
            with pytest.raises(CannotStart, match="is not a ready file"):
                ready_file.remove(path)
        assert link.is_symlink()
        assert broken.is_symlink()

    def test_a_missing_folder_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(CannotStart, match=r"cannot be written \(No such file or directory\)"):
            ready_file.write(tmp_path / "none" / "ready.json", self.OURS)


class TestPorts:
    """The ports are the same at each start if they are free."""

    def test_the_usual_port_is_used(self) -> None:
        assert _listening("service", lambda port: port, None, 8000) == 8000

    def test_another_port_is_used_if_the_usual_one_is_in_use(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert _listening("receiver", not_at(4568), None, 4568) == 0
        assert capsys.readouterr().err == "Port 4568 is in use, so the receiver uses another one.\n"

    def test_a_named_port_that_is_in_use_is_an_error(self) -> None:
        with pytest.raises(PortInUse):
            _listening("AWS", not_at(9000), 9000, 4566)


def not_at(used: int) -> Callable[[int], int]:
    def listen(port: int) -> int:
        if port == used:
            raise PortInUse(port, OSError(errno.EADDRINUSE, "taken"))
        return port

    return listen


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:8000", "The whole service is up"),
        (None, "Everything is up except the HTTP API"),
    ],
)
def test_the_output_says_what_is_up(address: str | None, says: str) -> None:
    """It includes the secret that a receiver needs, which is the same at each start."""
    service = LocalService(
        address=address,
        aws_endpoint="http://a",
        region="us-east-1",
        platform="http://p",
        receiver="http://r",
        console="http://c/#token=t",
        key="demo",
        secret="s",
        callback_secret=CALLBACK_SECRET,
        names=Names("local"),
        queue_urls={},
    )
    described = service.describe()
    assert described.startswith(says)
    assert f"callbacks  signed with {CALLBACK_SECRET}\n" in described
    assert ("chalice local --stage local" in described) is (address is None)


def test_no_limit_of_python_changes_which_numbers_are_json() -> None:
    environ = {"PYTHONINTMAXSTRDIGITS": "640"}
    environment.prepare(aws_endpoint="http://127.0.0.1:1", platform="http://p", environ=environ)
    assert "PYTHONINTMAXSTRDIGITS" not in environ


def test_a_named_port_is_kept() -> None:
    assert Options(aws_port=5000).with_fixed_ports().aws_port == 5000


def test_the_users_variables_take_precedence_over_the_local_stages() -> None:
    environ = {"JOB_RETRY_SECONDS": "7", "STAGE": "mine"}
    environment.prepare(aws_endpoint="http://127.0.0.1:1", platform="http://p", environ=environ)
    assert (environ["JOB_RETRY_SECONDS"], environ["STAGE"]) == ("7", "mine")
    assert environ["ALLOWED_CALLBACK_NETWORKS"] == "127.0.0.0/8,::1/128"
    assert environ["PLATFORM_ADDRESS"] == "http://p"


def test_nothing_of_the_users_own_aws_is_left() -> None:
    environ = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ACCESS_KEY_ID": "real",
        "AWS_ENDPOINT_URL_SQS": "https://sqs.example.com",
    }
    environment.prepare(aws_endpoint="http://127.0.0.1:1", platform="http://p", environ=environ)
    assert "real" not in environ.values()
    assert "AWS_PROFILE" not in environ
    assert "AWS_ENDPOINT_URL_SQS" not in environ
    assert environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"


def test_a_platform_named_in_the_environment_is_called() -> None:
    assert environment.named_platform(None, {"PLATFORM_ADDRESS": "http://mine"}) == "http://mine"
    assert environment.named_platform("http://other", {"PLATFORM_ADDRESS": "x"}) == "http://other"
    assert environment.named_platform(None, {}) is None
