"""What each Lambda function may do in AWS: the only source of the deployed policies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chalicelib.settings import Names, is_header_kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource of a stage that functions may use."""

    #: Its name in the policies and the docs.
    name: str
    service: str
    #: The end of its ARN.
    path: Callable[[Names], str]
    #: For a table: the items that may be used, by partition key.
    #: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    partition_keys: str | None = None
    #: Whether a stage with these environment variables has it.
    is_there: Callable[[Mapping[str, str]], bool] = lambda _: True


def _batches(names: Names) -> str:
    return f"table/{names.batches_table}"


def _keys(names: Names) -> str:
    return f"table/{names.keys_table}"


BATCHES = Resource(name="Batches", service="dynamodb", path=_batches)
BATCHES_BY_ACCOUNT = Resource(
    name="BatchesByAccount",
    service="dynamodb",
    path=lambda names: f"{_batches(names)}/index/by_account",
)
BATCHES_DUE = Resource(
    name="BatchesDue", service="dynamodb", path=lambda names: f"{_batches(names)}/index/due"
)
#: The secrets of callers, which the service also signs with in their name.
KEYS = Resource(name="Keys", service="dynamodb", path=_keys, partition_keys="key#*")
#: The secrets that sign callbacks.
ACCOUNTS = Resource(name="Accounts", service="dynamodb", path=_keys, partition_keys="account#*")
JOBS_QUEUE = Resource(name="JobsQueue", service="sqs", path=lambda names: names.jobs_queue)
JOBS_DEAD_QUEUE = Resource(
    name="JobsDeadQueue", service="sqs", path=lambda names: names.jobs_dead_queue
)
BATCHES_QUEUE = Resource(name="BatchesQueue", service="sqs", path=lambda names: names.batches_queue)
CALLBACKS_QUEUE = Resource(
    name="CallbacksQueue", service="sqs", path=lambda names: names.callbacks_queue
)

#: Its value is encrypted with AWS's own key for parameters, which needs no further permission.
PLATFORM_HEADER = Resource(
    name="PlatformHeader",
    service="ssm",
    path=lambda names: f"parameter{names.platform_header}",
    is_there=is_header_kept,
)

#: SendMessage allows SendMessageBatch too.
_SEND = ("GetQueueUrl", "SendMessage")
#: What Lambda does, as the function, with the queue that triggers it.
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
_TAKE = ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")

#: The functions by their names in Chalice. Each may also write its own log.
PERMISSIONS: Mapping[str, Mapping[Resource, tuple[str, ...]]] = {
    "api_handler": {
        BATCHES: ("BatchGetItem", "BatchWriteItem", "GetItem", "PutItem", "Query", "UpdateItem"),
        BATCHES_BY_ACCOUNT: ("Query",),
        KEYS: ("GetItem",),
        JOBS_QUEUE: _SEND,
        BATCHES_QUEUE: _SEND,
        CALLBACKS_QUEUE: _SEND,
    },
    "run_jobs": {
        BATCHES: ("BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"),
        KEYS: ("GetItem",),
        PLATFORM_HEADER: ("GetParameter",),
        JOBS_QUEUE: (*_SEND, *_TAKE),
        BATCHES_QUEUE: _SEND,
        CALLBACKS_QUEUE: _SEND,
    },
    "advance_batch": {
        BATCHES: ("GetItem", "PutItem", "Query", "UpdateItem"),
        JOBS_QUEUE: _SEND,
        BATCHES_QUEUE: (*_SEND, *_TAKE),
        CALLBACKS_QUEUE: _SEND,
    },
    "call_back": {
        BATCHES: ("GetItem", "Query", "UpdateItem"),
        ACCOUNTS: ("GetItem",),
        CALLBACKS_QUEUE: (*_SEND, *_TAKE),
    },
    "bury_jobs": {
        BATCHES: ("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"),
        JOBS_DEAD_QUEUE: _TAKE,
        BATCHES_QUEUE: _SEND,
        CALLBACKS_QUEUE: _SEND,
    },
    "sweep": {
        BATCHES: ("UpdateItem",),
        BATCHES_DUE: ("Query",),
        BATCHES_QUEUE: _SEND,
        CALLBACKS_QUEUE: _SEND,
    },
}
