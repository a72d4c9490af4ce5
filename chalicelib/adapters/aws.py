"""The AWS clients, created once per container with timeouts that fit a function's, and the
translation of their errors."""

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError
from botocore.handlers import add_recursion_detection_header
from botocore.session import Session

from chalicelib.errors import Denied, Misconfigured, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

#: With all its retries a request ends within the 10 seconds that functions reserve for their last
#: ones. A connection that died silently costs one attempt, not the whole function.
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=10,
    # botocore composes its own from 20 parts for each request, a tenth of the request's CPU time.
    user_agent="batchback",
)

#: The handler of botocore that adds the header.
_COUNTS_HOPS: Any = add_recursion_detection_header


@cache
def session() -> Session:
    """Return the session that clients share: if each had its own, the second would take 0.1 s more.

    Its requests carry no X-Amzn-Trace-Id. Lambda uses that header to count how often one message
    led to another, and drops the 17th; but a waiting job or a lasting error is not a loop. What
    ends our chains instead: docs/decisions/0022-callbacks-have-a-function-of-their-own.md.
    """
    made = Session()
    made.unregister("before-call", _COUNTS_HOPS)
    return made


@cache
def dynamodb() -> "DynamoDBClient":
    client: DynamoDBClient = _client("dynamodb")
    return client


@cache
def sqs() -> "SQSClient":
    client: SQSClient = _client("sqs")
    return client


@cache
def ssm() -> "SSMClient":
    """Return the client. It is created only if something is kept there, because the client of
    another service takes 0.1 s."""
    client: SSMClient = _client("ssm")
    return client


def _client(service: str) -> Any:
    """Create a client with botocore alone: boto3 would only add its import."""
    try:
        return session().create_client(service, config=_CONFIG)
    except NoRegionError as error:
        raise _no_region() from error


def unavailable(service: str, error: ClientError | BotoCoreError) -> Unavailable:
    """Translate an error of AWS without the texts of AWS and botocore, which repeat the values they
    complain about. AWS Support asks for the request's id."""
    if not isinstance(error, ClientError):
        return Unavailable(f"{service}: {type(error).__name__}")
    answer: Mapping[str, Any] = error.response
    code = answer.get("Error", {}).get("Code", "no code")
    meta = answer.get("ResponseMetadata", {})
    kind = Unavailable if _may_pass(code, meta.get("HTTPStatusCode", 500)) else Denied
    return kind(
        f"{service} answered {error.operation_name}: {code}, HTTP {meta.get('HTTPStatusCode')}, "
        f"request {meta.get('RequestId')}"
    )


#: Errors below 500 that are worth a retry.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_PASSING = re.compile(
    ".*(Throttl|Throughput|LimitExceeded|Conflict|Timeout|ExpiredToken|InProgress).*"
)


def _may_pass(code: str, status: int) -> bool:
    return status >= 500 or _PASSING.fullmatch(code) is not None


def _no_region() -> Misconfigured:
    return Misconfigured("No AWS region: set AWS_DEFAULT_REGION, or a region in ~/.aws/config")
