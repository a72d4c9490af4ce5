"""The AWS clients: made once per container, with time-outs that fit a function's."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import NoRegionError

from chalicelib.errors import Misconfigured

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

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


def _no_region() -> Misconfigured:
    return Misconfigured("No AWS region: set AWS_DEFAULT_REGION, or a region in ~/.aws/config")
