"""The platform's fixed header, stored in moto's Parameter Store."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from chalicelib import settings, wiring
from chalicelib.adapters.ssm import REMEMBERED, SsmHeader
from chalicelib.domain.account import Header, PlatformAuth
from chalicelib.errors import Misconfigured, Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal

NAME = settings.Names("prod").platform_header


@pytest.fixture
def ssm(aws: None) -> Iterator[Any]:  # noqa: ARG001 - moto must be up
    client: Any = boto3.client("ssm")
    put(client, "X-Key: very-secret")
    yield client
    client.delete_parameters(Names=[NAME])


def put(client: Any, value: str) -> None:
    client.put_parameter(Name=NAME, Value=value, Type="SecureString", Overwrite=True)


def refusing(client: Any, code: str) -> None:
    """Have AWS answer with this error from now on."""

    def refuse(**_: object) -> None:
        answer = {"Error": {"Code": code, "Message": "very-secret"}}
        raise client.exceptions.ClientError(answer, "GetParameter")

    client.meta.events.register("before-call.ssm.GetParameter", refuse)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.journal = FakeJournal()

    def header(self, client: Any) -> SsmHeader:
        """A header that has been read."""
        header = SsmHeader(lambda: client, NAME, self.clock, self.journal)
        header()
        return header


@pytest.fixture
def world() -> World:
    return World()


def test_the_header_is_read_decrypted_and_without_a_trailing_newline(
    ssm: Any, world: World
) -> None:
    assert world.header(ssm)() == ("X-Key", "very-secret")
    put(ssm, "Authorization: Bearer a:b\n")
    assert world.header(ssm)() == ("Authorization", "Bearer a:b")


def test_a_changed_header_is_used_within_minutes(ssm: Any, world: World) -> None:
    header = world.header(ssm)
    put(ssm, "X-Key: newer")
    world.clock.advance(seconds=REMEMBERED.total_seconds() - 1)
    assert header() == ("X-Key", "very-secret")
    world.clock.advance(seconds=1)
    assert header() == ("X-Key", "newer")


@pytest.mark.parametrize(
    "value", ["nonsense", "X-Key:", "X Key: very", "X-Key: a\nX-Evil: b", "X-Key: ключ"]
)
def test_the_old_header_stays_in_use_if_it_cannot_be_read_again(
    ssm: Any, world: World, value: str
) -> None:
    header = world.header(ssm)
    put(ssm, value)
    for _ in range(2):
        world.clock.advance(seconds=REMEMBERED.total_seconds())
        assert header() == ("X-Key", "very-secret")
    told = f"The parameter {NAME} must be one line, 'Name: value', in printable ASCII"
    assert [line["error"] for line in world.journal.of("header not read")] == [told] * 2
    put(ssm, "X-Key: newer")
    world.clock.advance(seconds=REMEMBERED.total_seconds())
    assert header() == ("X-Key", "newer")


def test_a_missing_parameter_is_a_misconfiguration(ssm: Any, world: World) -> None:
    ssm.delete_parameter(Name=NAME)
    with pytest.raises(Misconfigured, match=f"no parameter {NAME} in this region: create it"):
        world.header(ssm)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("AccessDeniedException", Misconfigured, "run_jobs may not read"),
        ("ThrottlingException", Unavailable, "Systems Manager answered GetParameter: Throttling"),
    ],
)
def test_other_errors_are_reported_without_the_text_of_aws(
    ssm: Any, world: World, code: str, kind: type[Exception], says: str
) -> None:
    refusing(ssm, code)
    with pytest.raises(kind, match=says) as refused:
        world.header(ssm)
    assert "very-secret" not in str(refused.value)


class TestWiring:
    """Which header the platform gets."""

    def header(self, **variables: str) -> Header | None:
        environ = {"STAGE": "prod", "PLATFORM_ADDRESS": "http://127.0.0.1:9", **variables}
        return wiring.platform_header(settings.read(environ), FakeClock(), FakeJournal())()

    @pytest.mark.usefixtures("ssm")
    def test_a_stored_header_is_that_of_the_stage(self) -> None:
        header = self.header(PLATFORM_AUTH="header", PLATFORM_HEADER="ssm")
        assert header == ("X-Key", "very-secret")

    def test_a_plain_header_is_used_as_it_is(self) -> None:
        header = self.header(PLATFORM_AUTH="header", PLATFORM_HEADER="X-Key: plain")
        assert header == ("X-Key", "plain")

    @pytest.mark.parametrize("auth", [PlatformAuth.IWS, PlatformAuth.NONE])
    def test_without_header_auth_no_header_is_sent_or_read(self, auth: str) -> None:
        for header in ("ssm", "X-Key: plain"):
            found = self.header(PLATFORM_AUTH=auth, PLATFORM_HEADER=header)
            assert found is None
