"""Reads the platform's fixed header from Parameter Store of AWS Systems Manager."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.adapters import aws
from chalicelib.domain.account import Header, parse_header
from chalicelib.errors import BatchbackError, Misconfigured
from chalicelib.operations.ports import Clock, Journal

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

#: A changed header is used everywhere within this time.
REMEMBERED = timedelta(minutes=5)


class SsmHeader:
    """The header in a SecureString parameter. The first call reads it, and raises Misconfigured or
    Unavailable if that fails. It is read again every few minutes; if that fails, the previous one
    stays in use, and the log says so."""

    def __init__(
        self, client: Callable[[], "SSMClient"], parameter: str, clock: Clock, journal: Journal
    ) -> None:
        self._client = client
        self._parameter = parameter
        self._clock = clock
        self._journal = journal
        self._read_at: datetime | None = None

    def __call__(self) -> Header:
        now = self._clock.now()
        if self._read_at is None:
            self._header = self._read()
            self._read_at = now
        elif now - self._read_at >= REMEMBERED:
            self._read_at = now
            self._read_again()
        return self._header

    def _read_again(self) -> None:
        try:
            self._header = self._read()
        except BatchbackError as error:
            self._journal.write("header not read", error=str(error))

    def _read(self) -> Header:
        try:
            answer = self._client().get_parameter(Name=self._parameter, WithDecryption=True)
        except (ClientError, BotoCoreError) as error:
            raise self._translated(error) from error
        try:
            return parse_header(answer["Parameter"]["Value"])
        except ValueError as error:
            raise Misconfigured(f"The parameter {self._parameter} {error}") from error

    def _translated(self, error: ClientError | BotoCoreError) -> BatchbackError:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else None
        if code == "ParameterNotFound":
            return Misconfigured(
                f"PLATFORM_HEADER is ssm, but there is no parameter {self._parameter} in this "
                "region: create it with `aws ssm put-parameter`, as docs/settings.md shows"
            )
        if code == "AccessDeniedException":
            return Misconfigured(
                f"run_jobs may not read the parameter {self._parameter}: run `batchback policies` "
                "and deploy; if you use your own KMS key, it must allow this too"
            )
        return aws.unavailable("Systems Manager", error)
