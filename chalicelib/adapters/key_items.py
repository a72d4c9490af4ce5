"""The items of keys and accounts in the table: how they are written and read.

Table `keys`, partition key `id`:

    key#<key>            account, state (`active` or `revoked`), secrets
    account#<account>    callback_secrets

Both have a format and `created_at`, in seconds since 1970. Secrets are JSON text, newest first:
[{"value": "...", "expires_at": 1795445348}, ...]. The newest has no `expires_at`. The functions
only read these items; the operators' commands write them.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from chalicelib.adapters.items import Item, known
from chalicelib.domain.account import Account, Key, Secret

#: The version of the items' format.
FORMAT = 1

_KEY_PREFIX = "key#"
_ACCOUNT_PREFIX = "account#"

#: The states of a key.
ACTIVE, REVOKED = "active", "revoked"


def key_id(key: str) -> str:
    return _KEY_PREFIX + key


def account_id(account: str) -> str:
    return _ACCOUNT_PREFIX + account


def is_key(item: Item) -> bool:
    return bool(item["id"]["S"].startswith(_KEY_PREFIX))


def key_item(key: Key) -> Item:
    return {
        **_common(key_id(key.key), key.created_at),
        "account": {"S": key.account},
        "state": {"S": REVOKED if key.is_revoked else ACTIVE},
        "secrets": secrets_attribute(key.secrets),
    }


def read_key(item: Item) -> Key:
    known(item, FORMAT)
    return Key(
        key=item["id"]["S"].removeprefix(_KEY_PREFIX),
        account=item["account"]["S"],
        secrets=_read_secrets(item["secrets"]),
        is_revoked=item["state"]["S"] != ACTIVE,
        created_at=_read_time(item.get("created_at")),
    )


def account_item(account: Account) -> Item:
    return {
        **_common(account_id(account.account), account.created_at),
        "callback_secrets": secrets_attribute(account.callback_secrets),
    }


def read_account(item: Item) -> Account:
    known(item, FORMAT)
    return Account(
        account=item["id"]["S"].removeprefix(_ACCOUNT_PREFIX),
        callback_secrets=_read_secrets(item["callback_secrets"]),
        created_at=_read_time(item.get("created_at")),
    )


def secrets_attribute(secrets: Iterable[Secret]) -> Item:
    return {"S": json.dumps([_secret(secret) for secret in secrets])}


def _common(id: str, created_at: datetime | None) -> Item:
    made = {} if created_at is None else {"created_at": {"N": str(_seconds(created_at))}}
    return {"id": {"S": id}, "format": {"N": str(FORMAT)}, **made}


def _secret(secret: Secret) -> dict[str, str | int]:
    if secret.expires_at is None:
        return {"value": secret.value}
    return {"value": secret.value, "expires_at": _seconds(secret.expires_at)}


def _read_secrets(attribute: Item) -> tuple[Secret, ...]:
    return tuple(
        Secret(value=secret["value"], expires_at=_time(secret.get("expires_at")))
        for secret in json.loads(attribute["S"])
    )


def _read_time(attribute: Item | None) -> datetime | None:
    return None if attribute is None else _time(float(attribute["N"]))


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
