"""The AWS clients: made once per container, with time-outs that fit a function's; and what is
told of their errors."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from chalicelib.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

_CONFIG = Config(
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=10,
)


@cache
def dynamodb() -> "DynamoDBClient":
    try:
        return boto3.client("dynamodb", config=_CONFIG)
    except NoRegionError as error:
        raise _no_region() from error


@cache
def sqs() -> "SQSClient":
    try:
        return boto3.client("sqs", config=_CONFIG)
    except NoRegionError as error:
        raise _no_region() from error


@cache
def ssm() -> "SSMClient":
    """Made only where something is kept there: a client of another service takes 0.1 s."""
    try:
        return boto3.client("ssm", config=_CONFIG)
    except NoRegionError as error:
        raise _no_region() from error


def unavailable(service: str, error: ClientError | BotoCoreError) -> Unavailable:
    """What AWS answered, without its texts and botocore's: they repeat the values they did not
    like. The request's id is what AWS's support asks for."""
    if not isinstance(error, ClientError):
        return Unavailable(f"{service}: {type(error).__name__}")
    answer: Mapping[str, Any] = error.response
    code = answer.get("Error", {}).get("Code", "no code")
    meta = answer.get("ResponseMetadata", {})
    return Unavailable(
        f"{service} answered {error.operation_name}: {code}, HTTP {meta.get('HTTPStatusCode')}, "
        f"request {meta.get('RequestId')}"
    )


def _no_region() -> Misconfigured:
    return Misconfigured("No AWS region: set AWS_DEFAULT_REGION, or a region in ~/.aws/config")
