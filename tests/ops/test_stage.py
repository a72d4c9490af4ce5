"""How the operators' commands reach a stage: which AWS they use, and that they report what goes
wrong in one sentence."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from batchback.errors import CannotGoOn
from batchback.shell import Shell
from botocore import exceptions
from moto.core.models import botocore_stubber

from batchback_ops.stage import Stage, open_stage
from chalicelib.errors import TooNew, Unavailable
from tests.client.user import User

#: Variables of users who work with real accounts.
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
    def test_it_is_the_local_services_no_matter_what_the_user_has_set(
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

    @pytest.mark.parametrize(
        "endpoint",
        ["https://dynamodb.eu-west-1.amazonaws.com", "http://192.0.2.1:4566", "nonsense"],
    )
    def test_an_endpoint_elsewhere_is_refused(self, endpoint: str) -> None:
        """Keys and their secrets would be written there."""
        with pytest.raises(CannotGoOn, match=r"is not on this machine, .* unset it") as refused:
            stage("local", AWS_ENDPOINT_URL=endpoint).client("dynamodb")
        assert SECRET not in str(refused.value)

    def test_without_an_answer_it_says_what_to_start(self) -> None:
        local = stage("local", AWS_ENDPOINT_URL="http://127.0.0.1:1")
        error = exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        assert "start `batchback local`" in said(local, error)


class TestRealStages:
    def test_it_is_the_users_own_aws(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        client = stage("prod").client("dynamodb")
        assert client.meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"

    def test_a_missing_profile_is_named(self, real: dict[str, str]) -> None:
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
    """The error into which an adapter of the service translates it."""
    unavailable = Unavailable("DynamoDB did not read 7 items")
    unavailable.__cause__ = error
    return unavailable


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (lambda: by_an_adapter(refused("AccessDenied")), "AWS denies you PutItem: because"),
        (lambda: by_an_adapter(exceptions.NoCredentialsError()), "There are no AWS credentials"),
        (lambda: by_an_adapter(None), "DynamoDB did not read 7 items: retry."),
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
def test_an_error_of_aws_is_reported_in_one_sentence(
    error: Callable[[], Exception], sentence: str
) -> None:
    told = said(stage("prod"), error())
    assert sentence in told
    assert "\n" not in told


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """An environment that no command can use: the profile and the variables."""

    profile: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    told: str


SECRET = "hunter2"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA0", "AWS_SECRET_ACCESS_KEY": SECRET}
NOT_USABLE = {
    "a process that is not there": Surroundings(
        profile="credential_process = /no/such/process", told="/no/such/process, which your profile"
    ),
    "a process that prints something else": Surroundings(
        profile=f"credential_process = echo {SECRET}", told="credential_process prints"
    ),
    "a process that fails": Surroundings(
        profile=f'credential_process = sh -c "echo {SECRET} >&2; exit 3"', told="sign in again"
    ),
    "a file that is none": Surroundings(profile=f"[{SECRET}", told="config cannot be read"),
    "a profile of nobody": Surroundings(
        profile="role_arn = arn:aws:iam::1:role/r\nsource_profile = none", told="incomplete"
    ),
    "a line break": Surroundings(
        variables={**KEYS, "AWS_SESSION_TOKEN": f"{SECRET}\nx"}, told="AWS_SESSION_TOKEN contains"
    ),
    "a space": Surroundings(
        variables={**KEYS, "AWS_SECRET_ACCESS_KEY": f"{SECRET} "},
        told="ACCESS_KEY contains",
    ),
    "a byte that is no text": Surroundings(
        variables={**KEYS, "AWS_SECRET_ACCESS_KEY": f"{SECRET}\udcff"}, told="ACCESS_KEY contains"
    ),
    "a letter in a file": Surroundings(
        profile=f"aws_access_key_id = A\naws_secret_access_key = b\naws_session_token = {SECRET}é",
        told="Your AWS credentials contain",
    ),
    "no scheme": Surroundings(
        variables={**KEYS, "AWS_ENDPOINT_URL": f"u:{SECRET}@localhost"}, told="AWS_ENDPOINT_URL is"
    ),
    "an empty label": Surroundings(
        variables={**KEYS, "AWS_ENDPOINT_URL": "http://a..localhost"}, told="AWS_ENDPOINT_URL is"
    ),
    "a password in the address": Surroundings(
        variables={**KEYS, "AWS_ENDPOINT_URL": f"http://u:{SECRET}@127.0.0.1:9"},
        told="127.0.0.1 does not answer",
    ),
    "no number": Surroundings(
        variables={**KEYS, "AWS_MAX_ATTEMPTS": "many"}, told="AWS_MAX_ATTEMPTS is"
    ),
    "no region": Surroundings(
        variables={**KEYS, "AWS_DEFAULT_REGION": "no where"}, told="no AWS region 'no where'"
    ),
}


class TestSurroundings:
    @pytest.fixture
    def environ(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
        # moto may still run from another test, and would answer before anything is sent.
        monkeypatch.setattr(botocore_stubber, "enabled", False)

        def surround(of: Surroundings) -> Path:
            config = tmp_path / "config"
            config.write_text(f"[default]\n{of.profile}\n", "utf-8")
            for name in KEYS:
                monkeypatch.delenv(name, raising=False)
            more = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
            for name, value in {**more, "AWS_MAX_ATTEMPTS": "1", **of.variables}.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
            monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
            return config

        return surround

    @pytest.mark.parametrize("command", ["ops list", "keys list", "doctor", "resources show"])
    @pytest.mark.parametrize("name", NOT_USABLE)
    def test_an_unusable_environment_is_reported_in_one_sentence_without_a_secret(
        self, environ: Callable[..., Path], command: str, name: str
    ) -> None:
        environ(NOT_USABLE[name])
        user = User(os.environ)
        assert user.types(*command.split(), "--stage", "prod") == 2
        assert NOT_USABLE[name].told in user.is_told
        assert SECRET not in user.is_told
        assert user.is_told.count("\n") == 1

    @pytest.mark.parametrize("name", ["a file that is none", "a process that is not there"])
    def test_this_machine_needs_none_of_it(self, environ: Callable[..., Path], name: str) -> None:
        environ(NOT_USABLE[name])
        assert stage("local").client("dynamodb").meta.endpoint_url == "http://127.0.0.1:4566"


def test_an_item_of_a_later_release_is_reported_in_one_sentence() -> None:
    assert said(stage("prod"), TooNew("A stored item", 2, 1)) == (
        "A stored item has format 2, and this release knows formats up to 1: "
        "deploy the later release that wrote it, or run this from its checkout."
    )
