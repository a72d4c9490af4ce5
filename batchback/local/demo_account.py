"""The demonstration's key and account in the keys table, as the command line would put them."""

import base64
import json
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ACCOUNT = "demo"
#: The specification wants 24 to 64 bytes.
_CALLBACK_SECRET_BYTES = 32


def new_callback_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_CALLBACK_SECRET_BYTES)).decode()


def put(
    client: "DynamoDBClient", table: str, *, key: str, secret: str, callback_secret: str
) -> None:
    """The key may call, and callbacks of its account are signed with the callback secret."""
    client.put_item(
        TableName=table,
        Item={
            "id": {"S": f"key#{key}"},
            "account": {"S": _ACCOUNT},
            "state": {"S": "active"},
            "secrets": {"S": json.dumps([{"value": secret}])},
        },
    )
    client.put_item(
        TableName=table,
        Item={
            "id": {"S": f"account#{_ACCOUNT}"},
            "callback_secrets": {"S": json.dumps([{"value": callback_secret}])},
        },
    )
