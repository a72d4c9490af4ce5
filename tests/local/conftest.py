"""The embedded AWS with a stage's resources, once per test file."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest

from batchback_local.aws.embedded import EmbeddedAws
from batchback_local.aws.resources import create_resources

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

STAGE = "tests-local"


@pytest.fixture(scope="module")
def embedded_aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", aws.address)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        create_resources(STAGE)
        yield aws
        boto3.client("cloudformation").delete_stack(StackName=f"batchback-{STAGE}")


@pytest.fixture(scope="module")
def sqs(embedded_aws: EmbeddedAws) -> "SQSClient":
    return boto3.client("sqs", endpoint_url=embedded_aws.address)


@pytest.fixture(scope="module")
def dynamodb(embedded_aws: EmbeddedAws) -> "DynamoDBClient":
    return boto3.client("dynamodb", endpoint_url=embedded_aws.address)
