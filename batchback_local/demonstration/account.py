"""The demonstration's key and account, stored as `batchback keys` would store them."""

import secrets
from datetime import datetime
from typing import TYPE_CHECKING

from batchback_ops.keys import credentials
from batchback_ops.keys.table import KeyTable
from chalicelib.domain.account import Account, Key, Secret

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ACCOUNT = "demo"
#: The same at each start, so that you configure a receiver only once. It is used only on this
#: machine.
CALLBACK_SECRET = "whsec_dGhlIGRlbW9uc3RyYXRpb24gc2lnbnMgd2l0aCBtZSE="  # noqa: S105


def new_callback_secret() -> str:
    return credentials.new_callback_secret(secrets.token_bytes)


def put_demo_key(
    client: "DynamoDBClient",
    table: str,
    *,
    key: str,
    secret: str,
    callback_secret: str,
    now: datetime,
) -> None:
    """Add the key, and its account with the callback secret, unless they exist already."""
    keys = KeyTable(client, table)
    secret_of_account = (Secret(value=callback_secret),)
    keys.add_account(Account(account=ACCOUNT, callback_secrets=secret_of_account, created_at=now))
    keys.add_key(Key(key=key, account=ACCOUNT, secrets=(Secret(value=secret),), created_at=now))
