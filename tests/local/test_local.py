"""Options, environment and configuration of `batchback local`."""

import sys
from dataclasses import fields
from typing import Any

import pytest

from batchback_local.command import local
from batchback_local.runtime import environment
from batchback_local.service import Options
from batchback_ops import project
from tests.client.user import User

#: README and contract name them: whoever changes one changes a promise.
AWS_PORT, PLATFORM_PORT, RECEIVER_PORT = 4566, 4567, 4568


def parsed(*arguments: str) -> dict[str, Any]:
    return local.make_context("local", [*arguments]).params


def test_every_option_of_the_command_line_reaches_the_service() -> None:
    assert set(parsed()) == {field.name for field in fields(Options)}


def test_the_command_line_and_the_service_have_the_same_defaults() -> None:
    assert Options(**parsed()) == Options()


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    """Status 2, and nothing starts."""
    user = User({})
    assert user.types("local", "--port", port) == 2
    assert f"'--port': '{port}' is not a whole number from 1 to 65535." in user.is_told


def test_what_is_not_installed_is_said_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one sentence, for this very Python and checkout; status 2."""
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


def test_the_fixed_ports_are_those_that_the_local_stage_looks_for() -> None:
    options = Options().with_fixed_ports()
    assert options.aws_port == AWS_PORT
    assert options.platform_port == PLATFORM_PORT
    assert options.receiver_port == RECEIVER_PORT
    stage = project.environment(project.LOCAL_STAGE)
    assert stage["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{AWS_PORT}"
    assert stage["PLATFORM_ADDRESS"] == f"http://127.0.0.1:{PLATFORM_PORT}"


def test_a_named_port_stays() -> None:
    assert Options(aws_port=5000).with_fixed_ports().aws_port == 5000


def test_what_the_user_has_set_wins_over_the_local_stage() -> None:
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
