"""The stage `local` cannot reach beyond this machine, no matter what the user's environment
holds."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import Session

from batchback_local.http_server import Answer, HttpServer, Request
from chalicelib import settings, wiring
from chalicelib.errors import Misconfigured

#: What .chalice/config.json sets, except the endpoint.
STAGE = {
    "STAGE": "local",
    "PLATFORM_ADDRESS": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
}
HERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
ELSEWHERE = "http://192.0.2.1:9"


@pytest.fixture
def aws_of_this_machine() -> Iterator[HttpServer]:
    """Answers every request with nothing."""

    def answer(_: Request) -> Answer:
        return Answer(body=b"{}", content_type="application/x-amz-json-1.0")

    with HttpServer(answer, name="aws") as server:
        yield server


@pytest.fixture
def config_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("aws") / "config"
    path.write_text(
        f"[default]\nignore_configured_endpoint_urls = true\nendpoint_url = {ELSEWHERE}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HTTP_PROXY": ELSEWHERE, "http_proxy": ELSEWHERE},
        {"ALL_PROXY": ELSEWHERE, "all_proxy": ELSEWHERE},
        {"AWS_ENDPOINT_URL_DYNAMODB": ELSEWHERE, "AWS_ENDPOINT_URL_SQS": ELSEWHERE},
        {"AWS_PROFILE": "of-somebody-else", "AWS_DEFAULT_PROFILE": "of-somebody-else"},
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_DEFAULTS_MODE": "auto"},
        {"AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"},
        {"AWS_SESSION_TOKEN": "real\nand broken"},
        {"AWS_CONFIG_FILE": "CONFIG"},
        {"AWS_CONFIG_FILE": os.devnull + "/none", "AWS_CA_BUNDLE": "/none"},
        {"AWS_REGION": "eu-west-1"},
    ],
    ids=lambda variables: ",".join(variables) or "nothing",
)
def test_requests_reach_only_the_aws_of_this_machine(
    aws_of_this_machine: HttpServer,
    config_file: str,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
) -> None:
    for name, value in {**STAGE, **variables}.items():
        monkeypatch.setenv(name, config_file if value == "CONFIG" else value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_of_this_machine.address)
    with pytest.MonkeyPatch.context() as patch:
        environ = {**os.environ}
        settings.stay_on_this_machine(environ)
        patch.setattr(os, "environ", environ)
        once = Config(connect_timeout=1, retries={"total_max_attempts": 1})
        for service in ("dynamodb", "sqs"):
            client = Session().create_client(service, config=once)
            assert client.meta.endpoint_url == aws_of_this_machine.address
        table: Any = Session().create_client("dynamodb", config=once)
        assert "Item" not in table.get_item(TableName="any", Key={"id": {"S": "1"}})


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "https://dynamodb.us-east-1.amazonaws.com",
        "http://192.0.2.1:4566",
        "http://127.0.0.1.example.com:4566",
        "http://user@example.com",
        "http://192.0.2.1\\@127.0.0.1:4566",
        "http://192.0.2.1@127.0.0.1:4566",
        "http://127.0.0.1\t:4566",
        "127.0.0.1:4566",
        "http://[::1",
    ],
)
def test_without_an_aws_of_this_machine_nothing_starts(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """The error names the variable that is wrong."""
    for name, value in {**STAGE, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    wiring.service.cache_clear()
    with pytest.raises(Misconfigured, match=r"AWS_ENDPOINT_URL must be an address of this machine"):
        wiring.service()


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:4566", "http://localhost:1", "http://[::1]:2", "http://127.9.9.9"],
)
def test_any_address_of_this_machine_is_accepted(endpoint: str) -> None:
    environ = {**STAGE, "AWS_ENDPOINT_URL": endpoint}
    settings.stay_on_this_machine(environ)
    assert {name: environ[name] for name in STAGE} == STAGE
    assert environ["AWS_ENDPOINT_URL"] == endpoint


def test_other_stages_keep_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Lambda the variables are AWS's own."""
    for name, value in {**STAGE, "STAGE": "prod", "AWS_SESSION_TOKEN": "of the role"}.items():
        monkeypatch.setenv(name, value)
    before = {**os.environ}
    wiring.service.cache_clear()
    wiring.service()
    assert {**os.environ} == before
    wiring.service.cache_clear()
