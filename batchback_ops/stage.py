"""A stage in AWS, as the operators' commands reach it. AWS's errors become one sentence."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from batchback.errors import CannotGoOn
from batchback.shell import Shell

from batchback_ops import project
from batchback_ops.aws_failures import check_credentials, failure, refusal
from chalicelib import settings
from chalicelib.errors import Misconfigured, TooNew, Unavailable
from chalicelib.settings import Names, Settings, is_of_this_machine

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.exceptions import ClientError


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The names, settings and clients of one stage.

    The stage `local` is the service on this machine. Its AWS is at AWS_ENDPOINT_URL, or else at the
    address in its configuration. What the user has set for real accounts is ignored.
    """

    name: str
    #: Its environment variables in .chalice/config.json.
    variables: Mapping[str, str]
    environ: Mapping[str, str]

    @property
    def names(self) -> Names:
        """Everything that is named after the stage. CannotGoOn if the stage's name is invalid."""
        try:
            return Names(self.name)
        except Misconfigured as fault:
            raise CannotGoOn(
                f"Rename the stage {self.name!r} in .chalice/config.json: {fault}."
            ) from fault

    @property
    def settings(self) -> Settings:
        """How its service is configured. CannotGoOn if that is wrong."""
        try:
            return settings.read(self.variables)
        except Misconfigured as fault:
            raise CannotGoOn(
                f"Correct the environment_variables of the stage {self.name} in "
                f".chalice/config.json: {fault}."
            ) from fault

    @property
    def is_local(self) -> bool:
        return self.name == project.LOCAL_STAGE

    @property
    def region(self) -> str:
        with self.explained_errors():
            region: str | None = self._session.region_name
        if not region:
            raise CannotGoOn(
                "No AWS region is set: set AWS_DEFAULT_REGION, or a region in ~/.aws/config."
            )
        return region

    def client(self, service: str) -> Any:
        """A client of one AWS service, in the stage's region."""
        try:
            return self._client(service)
        except (OSError, ValueError) as error:
            # Raised by what botocore reads or runs, such as a credential process.
            raise CannotGoOn(failure(error, self.environ)) from error

    def _client(self, service: str) -> Any:
        from botocore.config import Config

        make: Any = self._session.client  # its types require the service's name as a literal
        if not self.is_local:
            if credentials := self._session.get_credentials():
                check_credentials(*credentials.get_frozen_credentials())
            return make(service, region_name=self.region)
        no_proxy = Config(proxies={})
        return make(service, region_name=self.region, endpoint_url=self._endpoint, config=no_proxy)

    @property
    def _endpoint(self) -> str:
        """The address of this machine's AWS. No other is accepted, so that no key goes there."""
        endpoint = self.environ.get("AWS_ENDPOINT_URL") or self.variables["AWS_ENDPOINT_URL"]
        if not is_of_this_machine(endpoint):
            raise CannotGoOn(
                f"AWS_ENDPOINT_URL is not on this machine, but the stage {self.name} is: unset it, "
                "or set it to the AWS address that `batchback local` prints."
            )
        return endpoint

    @contextmanager
    def explained_errors(self) -> Iterator[None]:
        """Turn AWS's errors inside the block into a CannotGoOn that says what to do."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with _as_aws_said_it():
                yield
        except ClientError as error:
            raise CannotGoOn(self._refusal(error)) from error
        except BotoCoreError as error:
            raise CannotGoOn(self._failure(error)) from error
        except TooNew as error:
            raise CannotGoOn(f"{error}, or run this from its checkout.") from error
        except Unavailable as error:
            raise CannotGoOn(f"{error}: retry.") from error

    @cached_property
    def _session(self) -> "Session":
        return _session_of_this_machine(self.variables) if self.is_local else _session_of_the_user()

    def _refusal(self, error: "ClientError") -> str:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return (
                f"Stage {self.name} has no resources in {self.region}: create them with "
                f"`batchback resources up --stage {self.name}`, or correct AWS_DEFAULT_REGION."
            )
        return refusal(error)

    def _failure(self, error: Exception) -> str:
        from botocore import exceptions

        no_answer = exceptions.ConnectionError, exceptions.HTTPClientError
        if self.is_local and isinstance(error, no_answer):
            return (
                "The AWS of this machine does not answer: start `batchback local`, and set "
                "AWS_ENDPOINT_URL to the AWS address that it prints."
            )
        return failure(error, self.environ)


@contextmanager
def _as_aws_said_it() -> Iterator[None]:
    """Raise AWS's own error. The service's adapters turn all of them into Unavailable."""
    try:
        yield
    except TooNew:
        raise
    except Unavailable as error:
        raise error.__cause__ or error from None


def _session_of_the_user() -> "Session":
    import boto3
    from botocore.exceptions import ProfileNotFound

    try:
        return boto3.Session()
    except ProfileNotFound as error:
        raise CannotGoOn(
            f"There is no AWS profile {error.kwargs['profile']!r}: set AWS_PROFILE to one that "
            "`aws configure list-profiles` shows."
        ) from error


def _session_of_this_machine(variables: Mapping[str, str]) -> "Session":
    """A session that reads no profile and no file, which may be broken. The local service uses the
    credentials and the region of its own configuration."""
    import boto3
    from botocore.session import Session

    ours: Any = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(
        botocore_session=Session(session_vars=ours),
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )


_NOT_THERE = {
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "TableNotFoundException",  # only from DescribeContinuousBackups
}


def open_stage(name: str, shell: Shell) -> Stage:
    """The stage of this name. CannotGoOn if .chalice/config.json has none."""
    return Stage(name=name, variables=project.environment(name), environ=shell.environ)
