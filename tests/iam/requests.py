"""Which actions on which resources a boto3 call needs from IAM.

Lists exactly the operations that our functions and the console use: an unknown one is not allowed.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.iam.policy import Request

#: moto's account.
ACCOUNT = "123456789012"

Parameters = Mapping[str, Any]


class UnknownCall(Exception):
    """This operation is missing from the table of what operations need."""


def requests_of(service: str, operation: str, parameters: Parameters, region: str) -> list[Request]:
    """Return all that must be allowed for one call, given boto3's names of service and
    operation."""
    if (service, operation) not in _ASKS:
        raise UnknownCall(f"{service}:{operation}")
    return [
        Request(
            action=f"{service}:{action}",
            resource=f"arn:aws:{service}:{'' if service in _GLOBAL else region}:{account}:{path}",
            partition_keys=keys,
        )
        for action, account, path, keys in _ASKS[service, operation](operation, parameters)
    ]


#: Action, account, the end of the ARN, and the partition keys if the call names them.
_Asked = tuple[str, str, str, tuple[str, ...] | None]
_Ask = Callable[[str, Parameters], list[_Asked]]

#: The services whose resources belong to no region.
_GLOBAL = {"iam"}
#: The partition keys of our tables.
_PARTITION_KEYS = ("batch_id", "id")


def _item(operation: str, parameters: Parameters) -> list[_Asked]:
    """One item, given by its key or as a whole."""
    item = parameters.get("Key") or parameters["Item"]
    keys = tuple(item[name]["S"] for name in _PARTITION_KEYS if name in item)
    return [(operation, ACCOUNT, f"table/{parameters['TableName']}", keys)]


def _query(operation: str, parameters: Parameters) -> list[_Asked]:
    """A table's index is a resource of its own, and a query of it needs only that."""
    index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
    return [(operation, ACCOUNT, f"table/{parameters['TableName']}{index}", None)]


def _together(operation: str, parameters: Parameters) -> list[_Asked]:
    return [(operation, ACCOUNT, f"table/{table}", None) for table in parameters["RequestItems"]]


def _queue(operation: str, parameters: Parameters) -> list[_Asked]:
    """Permission for an action also permits its batch version."""
    _, account, name = urlsplit(parameters["QueueUrl"]).path.split("/")
    return [(operation.removesuffix("Batch"), account, name, None)]


def _queue_name(operation: str, parameters: Parameters) -> list[_Asked]:
    owner = parameters.get("QueueOwnerAWSAccountId", ACCOUNT)
    return [(operation, owner, parameters["QueueName"], None)]


def _parameter(operation: str, parameters: Parameters) -> list[_Asked]:
    """A name that begins with a slash is the whole end of the ARN."""
    return [(operation, ACCOUNT, f"parameter{parameters['Name']}", None)]


def _log_group(operation: str, parameters: Parameters) -> list[_Asked]:
    return [(operation, ACCOUNT, f"log-group:{parameters['logGroupName']}:*", None)]


def _log_stream(operation: str, parameters: Parameters) -> list[_Asked]:
    group, stream = parameters["logGroupName"], parameters["logStreamName"]
    return [(operation, ACCOUNT, f"log-group:{group}:log-stream:{stream}", None)]


def _table(operation: str, parameters: Parameters) -> list[_Asked]:
    return [(operation, ACCOUNT, f"table/{parameters['TableName']}", None)]


def _stack(operation: str, parameters: Parameters) -> list[_Asked]:
    """A stack's ARN ends in an id that only CloudFormation knows."""
    return [(operation, ACCOUNT, f"stack/{parameters['StackName']}/id", None)]


def _function(operation: str, parameters: Parameters) -> list[_Asked]:
    return [(operation, ACCOUNT, f"function:{parameters['FunctionName']}", None)]


def _role(operation: str, parameters: Parameters) -> list[_Asked]:
    return [(operation, ACCOUNT, f"role/{parameters['RoleName']}", None)]


def _rule(operation: str, parameters: Parameters) -> list[_Asked]:
    return [(operation, ACCOUNT, f"rule/{parameters['Name']}", None)]


def _everything(operation: str, _parameters: Parameters) -> list[_Asked]:
    """IAM cannot limit it to a resource of ours."""
    return [(operation, ACCOUNT, "*", None)]


def _nothing(_operation: str, _parameters: Parameters) -> list[_Asked]:
    """Everybody may do it."""
    return []


_ASKS: Mapping[tuple[str, str], _Ask] = {
    ("cloudformation", "DescribeStacks"): _stack,
    ("cloudformation", "GetTemplate"): _stack,
    ("cloudwatch", "GetMetricData"): _everything,
    ("dynamodb", "BatchGetItem"): _together,
    ("dynamodb", "BatchWriteItem"): _together,
    ("dynamodb", "DeleteItem"): _item,
    ("dynamodb", "DescribeContinuousBackups"): _table,
    ("dynamodb", "DescribeTable"): _table,
    ("dynamodb", "DescribeTimeToLive"): _table,
    ("dynamodb", "GetItem"): _item,
    ("dynamodb", "PutItem"): _item,
    ("dynamodb", "Query"): _query,
    ("dynamodb", "UpdateItem"): _item,
    ("events", "DescribeRule"): _rule,
    ("events", "ListRuleNamesByTarget"): _everything,
    ("iam", "GetRolePolicy"): _role,
    ("iam", "ListAttachedRolePolicies"): _role,
    ("iam", "ListRolePolicies"): _role,
    ("lambda", "GetFunctionConfiguration"): _function,
    ("lambda", "ListEventSourceMappings"): _everything,
    ("logs", "CreateLogGroup"): _log_group,
    ("logs", "CreateLogStream"): _log_stream,
    ("logs", "DescribeLogGroups"): _everything,
    ("logs", "PutLogEvents"): _log_stream,
    ("sqs", "ChangeMessageVisibilityBatch"): _queue,
    ("sqs", "DeleteMessage"): _queue,
    ("sqs", "DeleteMessageBatch"): _queue,
    ("sqs", "GetQueueAttributes"): _queue,
    ("sqs", "GetQueueUrl"): _queue_name,
    ("sqs", "ReceiveMessage"): _queue,
    ("sqs", "SendMessage"): _queue,
    ("sqs", "SendMessageBatch"): _queue,
    ("ssm", "GetParameter"): _parameter,
    ("sts", "GetCallerIdentity"): _nothing,
}
