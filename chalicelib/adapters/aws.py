"""The AWS clients: made once per container, with timeouts that fit a function's; and what is
told of their errors."""

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

#: With all its retries a request ends within the 10 seconds that functions keep for their last
#: ones: a connection that died silently costs one attempt, and not the function.
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 2},
    max_pool_connections=10,
    # botocore would compose its own, of 20 parts, for each request: a tenth of the request's CPU.
    user_agent="batchback",
)

#: botocore's own: it puts the header in.
_COUNTS_HOPS: Any = add_recursion_detection_header


@cache
def session() -> Session:
    """What clients share: with one of its own, the second would take 0.1 s more.

    Its requests carry no X-Amzn-Trace-Id. By that header Lambda counts how often a message led to
    another one, and it throws away the 17th: a job that waits, or an error that lasts, is no loop.
    What ends our chains: docs/decisions/0022-callbacks-have-a-function-of-their-own.md.
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
    """Made only where something is kept there: a client of another service takes 0.1 s."""
    client: SSMClient = _client("ssm")
    return client


def _client(service: str) -> Any:
    """Of botocore alone: boto3 adds nothing to a client but its import."""
    try:
        return session().create_client(service, config=_CONFIG)
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
    kind = Unavailable if _may_pass(code, meta.get("HTTPStatusCode", 500)) else Denied
    return kind(
        f"{service} answered {error.operation_name}: {code}, HTTP {meta.get('HTTPStatusCode')}, "
        f"request {meta.get('RequestId')}"
    )


#: Below 500, and still worth another try.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_PASSING = re.compile(
    ".*(Throttl|Throughput|LimitExceeded|Conflict|Timeout|ExpiredToken|InProgress).*"
)


def _may_pass(code: str, status: int) -> bool:
    return status >= 500 or _PASSING.fullmatch(code) is not None


def _no_region() -> Misconfigured:
    return Misconfigured("No AWS region: set AWS_DEFAULT_REGION, or a region in ~/.aws/config")
