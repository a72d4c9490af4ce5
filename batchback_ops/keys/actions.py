"""What `batchback keys` does, and what it prints.

`credentials` defines keys and secrets, `table` stores them. Only the command that creates a secret
prints it, so it first makes sure that the secret can be shown.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from batchback.errors import CannotGoOn
from batchback.shell import Shell

from batchback_ops.keys import credentials
from batchback_ops.keys.table import KeyTable
from batchback_ops.stage import Stage
from chalicelib.domain import wire_time
from chalicelib.domain.account import WORKERS_REMEMBER_SECONDS, Account, Key, Secret

_SHOWN_ONCE = "the secret is shown only this once: store it in a safe place"


def create(stage: Stage, shell: Shell, *, account: str) -> object:
    table = _table(stage)
    secret = credentials.new_secret(shell.random_bytes)
    key = _key(credentials.new_key(shell.random_bytes), secret, account, shell)
    shell.say_or_stop(_SHOWN_ONCE)
    opened = _open_account(account, table, shell)
    if table.add_key(key) != key:
        raise CannotGoOn(f"By chance, the new key {key.key} exists already: run this again.")
    return {"key": key.key, "secret": secret, "account": key.account, **opened}


def import_key(stage: Stage, shell: Shell, *, key: str, account: str) -> object:
    table = _table(stage)
    wanted = _key(key, _read_secret(shell), account, shell)
    known = table.find_key(key)
    opened = {} if known else _open_account(account, table, shell)
    there = known or table.add_key(wanted)
    if there.is_revoked or (there.account, there.secrets[0]) != (account, wanted.secrets[0]):
        raise CannotGoOn(
            f"There is already a key {key}, {_state(there)} and of account {there.account}, and "
            f"it was not changed: to give an active key another secret, run `batchback keys "
            f"rotate {key} --secret-stdin --stage {stage.name}`."
        )
    return {"key": key, "account": account, **opened}


def list_keys(stage: Stage, shell: Shell, *, account: str | None) -> object:
    found = [key for key in _table(stage).list_keys() if account in {None, key.account}]
    found.sort(key=lambda key: (key.account, key.key))
    return [_row(key, shell.now()) for key in found]


def rotate(
    stage: Stage, shell: Shell, *, key: str, is_secret_given: bool, old_valid_hours: int
) -> object:
    secret = _read_secret(shell) if is_secret_given else None
    new = secret or credentials.new_secret(shell.random_bytes)
    now = shell.now()

    def rotate(seen: Key) -> tuple[Secret, ...]:
        if seen.is_revoked:
            raise CannotGoOn(f"Key {key} is revoked for good: create another one.")
        secrets = _rotated(seen.secrets, new, old_valid_hours, now)
        if not secret:
            shell.say_or_stop(_SHOWN_ONCE)
        return secrets

    rotated = _table(stage).rotate_key(key, rotate)
    if rotated is None:
        raise _no_key(key, stage)
    made = {} if secret else {"secret": new}
    return {"key": key, **made, "account": rotated.account, **_old(rotated.secrets, now)}


def revoke(stage: Stage, shell: Shell, *, key: str) -> object:
    revoked = _table(stage).revoke(key)
    if revoked is None:
        raise _no_key(key, stage)
    shell.say(
        f"calls with {key} are refused from now on; workers notice within "
        f"{WORKERS_REMEMBER_SECONDS} seconds, and stop starting its jobs within a minute"
    )
    return {"key": key, "account": revoked.account, "state": _state(revoked)}


def show_callback_secret(stage: Stage, shell: Shell, *, account: str) -> object:
    found = _table(stage).find_account(account)
    if found is None:
        raise _no_account(account, stage)
    return _callback_secrets(found, shell.now())


def rotate_callback_secret(
    stage: Stage, shell: Shell, *, account: str, old_valid_hours: int
) -> object:
    new = credentials.new_callback_secret(shell.random_bytes)
    now = shell.now()
    rotated = _table(stage).rotate_account(
        account, lambda seen: _rotated(seen.callback_secrets, new, old_valid_hours, now)
    )
    if rotated is None:
        raise _no_account(account, stage)
    return _callback_secrets(rotated, now)


# ---- their parts


def _table(stage: Stage) -> KeyTable:
    return KeyTable(stage.client("dynamodb"), stage.names.keys_table)


def _key(name: str, secret: str, account: str, shell: Shell) -> Key:
    return Key(
        key=name,
        account=account,
        secrets=(Secret(value=secret),),
        created_at=shell.now().replace(microsecond=0),
    )


def _open_account(name: str, table: KeyTable, shell: Shell) -> dict[str, str]:
    """Create the account if it does not exist. Return what to print about a new one."""
    secret = credentials.new_callback_secret(shell.random_bytes)
    account = Account(
        account=name,
        callback_secrets=(Secret(value=secret),),
        created_at=shell.now().replace(microsecond=0),
    )
    return {"callbackSecret": secret} if table.add_account(account) == account else {}


def _read_secret(shell: Shell) -> str:
    """Read the secret from standard input, without a newline at its end. Other users of the machine
    could see an argument, and it would be in the shell's history."""
    if shell.stdin.isatty():
        shell.say("type the secret, then press Enter and Ctrl-D")
    try:
        given = shell.stdin.read().decode()
    except UnicodeDecodeError:
        raise CannotGoOn("The secret on standard input is not UTF-8: write it as UTF-8.") from None
    secret = re.sub(r"\r?\n\Z", "", given)
    fault = credentials.why_not_secret(secret)
    if fault:
        raise CannotGoOn(f"The secret on standard input {fault}: type it as you were given it.")
    if credentials.is_short(secret):
        shell.say("the secret is so short that it can be guessed: ask for a longer one")
    return secret


def _rotated(
    secrets: tuple[Secret, ...], new: str, old_valid_hours: int, now: datetime
) -> tuple[Secret, ...]:
    try:
        return credentials.rotated(secrets, new, now, timedelta(hours=old_valid_hours))
    except credentials.StillRotating as still:
        raise CannotGoOn(
            f"The old secret of the last rotation is valid until {_text(still.ends_at)}: rotate "
            "again after that, or end all older secrets immediately with --old-valid-hours 0."
        ) from still


def _no_key(key: str, stage: Stage) -> CannotGoOn:
    return CannotGoOn(
        f"There is no key {key} in stage {stage.name}: "
        f"`batchback keys list --stage {stage.name}` shows its keys."
    )


def _no_account(account: str, stage: Stage) -> CannotGoOn:
    return CannotGoOn(
        f"There is no account {account} in stage {stage.name}: create it with its first key, with "
        f"`batchback keys create --account {account} --stage {stage.name}`."
    )


# ---- what is printed


def _row(key: Key, now: datetime) -> dict[str, Any]:
    secrets = () if key.is_revoked else key.secrets
    return {
        "key": key.key,
        "account": key.account,
        "state": _state(key),
        "createdAt": _text(key.created_at),
        "liveSecrets": sum(each.is_live(now) for each in secrets),
        **_old(secrets, now),
    }


def _callback_secrets(account: Account, now: datetime) -> dict[str, Any]:
    newest, *older = account.live_callback_secrets(now)
    return {
        "account": account.account,
        "callbackSecret": newest,
        **({"oldCallbackSecret": older[0]} if older else {}),
        **_old(account.callback_secrets, now),
    }


def _old(secrets: tuple[Secret, ...], now: datetime) -> dict[str, str | None]:
    return {"oldSecretEndsAt": _text(credentials.end_of_old(secrets, now))}


def _state(key: Key) -> str:
    return "revoked" if key.is_revoked else "active"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else wire_time.compose(moment)
