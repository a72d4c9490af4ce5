"""A stage as operators' commands reach it: whose AWS it is, and what goes wrong in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
from batchback.errors import CannotGoOn
from batchback.shell import Shell
from botocore import exceptions

from batchback_ops.stage import Stage, open_stage
from chalicelib.errors import TooNew, Unavailable

#: What people have set who work with real accounts.
REAL = {
    "AWS_ACCESS_KEY_ID": "real",
    "AWS_SECRET_ACCESS_KEY": "real",
    "AWS_SESSION_TOKEN": "real",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_PROFILE": "somebody",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
}


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return REAL


def stage(name: str, **environ: str) -> Stage:
    return open_stage(name, Shell(environ=environ))


class TestThisMachine:
    def test_it_is_where_the_local_service_is_whatever_the_user_has_set(
        self, real: dict[str, str]
    ) -> None:
        local = stage("local", **real)
        assert local.region == "us-east-1"
        client = local.client("dynamodb")
        assert client.meta.endpoint_url == "http://127.0.0.1:4566"
        assert client.meta.region_name == "us-east-1"
        assert client.meta.config.proxies == {}
        credentials = local._session.get_credentials()
        assert credentials
        assert (credentials.access_key, credentials.token) == ("local", None)

    def test_only_the_endpoint_can_be_another(self, real: dict[str, str]) -> None:
        local = stage("local", **real, AWS_ENDPOINT_URL="http://127.0.0.1:4801")
        assert local.client("sqs").meta.endpoint_url == "http://127.0.0.1:4801"

    def test_where_nobody_answers_it_says_what_to_start(self) -> None:
        local = stage("local", AWS_ENDPOINT_URL="http://127.0.0.1:1")
        error = exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        assert "start `batchback local`" in said(local, error)


class TestRealStages:
    def test_it_is_the_users_own_aws(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        client = stage("prod").client("dynamodb")
        assert client.meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"

    def test_a_profile_that_is_not_there_is_named(self, real: dict[str, str]) -> None:
        with pytest.raises(CannotGoOn, match=r"somebody.*set AWS_PROFILE"):
            stage("prod", **real).client("dynamodb")

    def test_without_a_region_it_says_where_to_set_one(
        self, real: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name)
        with pytest.raises(CannotGoOn, match="set AWS_DEFAULT_REGION"):
            stage("prod", **real).client("dynamodb")


def said(stage: Stage, error: Exception) -> str:
    with pytest.raises(CannotGoOn) as stopped, stage.explained_errors():
        raise error
    return str(stopped.value)


def refused(code: str) -> Exception:
    response = {"Error": {"Code": code, "Message": "because"}}
    return exceptions.ClientError(response, "PutItem")  # type: ignore[arg-type]


def by_an_adapter(error: Exception | None) -> Exception:
    """What an adapter of the service makes of it."""
    unavailable = Unavailable("DynamoDB left 7 items unread")
    unavailable.__cause__ = error
    return unavailable


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (lambda: by_an_adapter(refused("AccessDenied")), "AWS denies you PutItem: because"),
        (lambda: by_an_adapter(exceptions.NoCredentialsError()), "There are no AWS credentials"),
        (lambda: by_an_adapter(None), "DynamoDB left 7 items unread: try again."),
        (lambda: refused("ResourceNotFoundException"), "`batchback resources up --stage prod`"),
        (lambda: refused("ExpiredTokenException"), "sign in again"),
        (lambda: refused("AccessDeniedException"), "AWS denies you PutItem: because"),
        (lambda: refused("ThrottlingException"), "refused PutItem (ThrottlingException): because"),
        (exceptions.NoCredentialsError, "There are no AWS credentials"),
        (lambda: exceptions.SSOTokenLoadError(error_msg="none"), "sign in again"),
        (lambda: exceptions.TokenRetrievalError(provider="sso", error_msg="x"), "sign in again"),
        (
            lambda: exceptions.EndpointConnectionError(endpoint_url="https://a"),
            "AWS cannot be reached",
        ),
    ],
)
def test_what_aws_says_is_one_sentence(error: Callable[[], Exception], sentence: str) -> None:
    told = said(stage("prod"), error())
    assert sentence in told
    assert "\n" not in told


def test_what_a_later_release_wrote_is_told_so() -> None:
    assert said(stage("prod"), TooNew("A stored item", 2, 1)) == (
        "A stored item is of format 2, and this release knows formats up to 1: "
        "deploy the later release that wrote it, or use its checkout."
    )
