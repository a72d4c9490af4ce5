"""`batchback keys`: who may call, and what callbacks are signed with.

Parsing and printing only: credentials says what keys and secrets are, key_table stores them. The
secret of a key is printed by the command that makes it and by no other.
"""

import argparse
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from batchback.errors import CannotGoOn
from batchback.shell import Shell, Status

from batchback_ops.keys import credentials
from batchback_ops.keys.table import KeyTable
from batchback_ops.stage import add_stage, open_stage
from chalicelib.domain.account import WORKERS_REMEMBER_SECONDS, Account, Key, Secret

#: The longest that a rotation may take.
_MOST_HOURS = 720

_Command = Callable[[argparse.Namespace, KeyTable, Shell], object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="COMMAND", required=True)

    def add(name: str, perform: _Command, purpose: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        command.set_defaults(perform=perform)
        add_stage(command)
        return command

    create = add("create", _create, "make a key, and its account where that is new")
    _add_account_option(create, required=True)
    bring = add(
        "import", _import, "take a key that the platform issued; its secret is read from stdin"
    )
    _add_key(bring)
    _add_account_option(bring, required=True)
    _add_account_option(add("list", _list, "the keys, without their secrets"), required=False)
    rotate = add("rotate", _rotate, "give a key another secret; the old one is valid for a while")
    _add_key(rotate)
    rotate.add_argument(
        "--secret-stdin", action="store_true", help="read the new secret from stdin, make none"
    )
    _add_old_valid_hours(rotate)
    _add_key(add("revoke", _revoke, "refuse a key from now on, for good"))
    _add_account(
        add("show-callback-secret", _show_callback_secret, "for receivers, to verify with")
    )
    rotate_callback = add(
        "rotate-callback-secret", _rotate_callback_secret, "sign callbacks with another secret too"
    )
    _add_account(rotate_callback)
    _add_old_valid_hours(rotate_callback)


def run(options: argparse.Namespace, shell: Shell) -> int:
    """Status OK once it is done; CannotGoOn with what to do where it is not."""
    stage = open_stage(options.stage, shell)
    with stage.in_words():
        table = KeyTable(stage.client("dynamodb"), stage.names.keys_table)
        shell.print_json(options.perform(options, table, shell))
    return Status.OK


# ---- the commands


def _create(options: argparse.Namespace, table: KeyTable, shell: Shell) -> object:
    secret = credentials.new_secret(shell.random_bytes)
    key = _key(credentials.new_key(shell.random_bytes), secret, options, shell)
    account = _open_account(options.account, table, shell)
    if table.add_key(key) != key:
        raise CannotGoOn(f"There is a key {key.key} already, by a rare chance: try again.")
    shell.say("the secret is shown this once: put it where it is safe")
    return {"key": key.key, "secret": secret, "account": key.account, **account}


def _import(options: argparse.Namespace, table: KeyTable, shell: Shell) -> object:
    key = _key(options.key, _read_secret(shell), options, shell)
    known = table.find_key(key.key)
    account = {} if known else _open_account(options.account, table, shell)
    there = known or table.add_key(key)
    if there.is_revoked or (there.account, there.secrets[0]) != (key.account, key.secrets[0]):
        raise CannotGoOn(
            f"There is a key {key.key} already, {_state(there)} and of account {there.account}, "
            f"which stays as it is: `batchback keys rotate {key.key} --secret-stdin "
            f"--stage {options.stage}` gives an active one another secret."
        )
    return {"key": key.key, "account": key.account, **account}


def _list(options: argparse.Namespace, table: KeyTable, shell: Shell) -> object:
    keys = [key for key in table.list_keys() if options.account in {None, key.account}]
    keys.sort(key=lambda key: (key.account, key.key))
    return [_row(key, shell.now()) for key in keys]


def _rotate(options: argparse.Namespace, table: KeyTable, shell: Shell) -> object:
    secret = _read_secret(shell) if options.secret_stdin else None
    new = secret or credentials.new_secret(shell.random_bytes)
    now = shell.now()

    def rotate(key: Key) -> tuple[Secret, ...]:
        if key.is_revoked:
            raise CannotGoOn(f"Key {key.key} is revoked, for good: make another one.")
        return _rotated(key.secrets, new, options, now)

    key = table.rotate_key(options.key, rotate)
    if key is None:
        raise _no_key(options)
    made = {} if secret else {"secret": new}
    if made:
        shell.say("the secret is shown this once: put it where it is safe")
    return {"key": key.key, **made, "account": key.account, **_old(key.secrets, now)}


def _revoke(options: argparse.Namespace, table: KeyTable, shell: Shell) -> object:
    key = table.revoke(options.key)
    if key is None:
        raise _no_key(options)
    shell.say(
        f"no call of {key.key} is accepted from now on; workers see it within "
        f"{WORKERS_REMEMBER_SECONDS} seconds, and within a minute no job of it is started any more"
    )
    return {"key": key.key, "account": key.account, "state": _state(key)}


def _show_callback_secret(options: argparse.Namespace, table: KeyTable, shell: Shell) -> object:
    account = table.find_account(options.account)
    if account is None:
        raise _no_account(options)
    return _callback_secrets(account, shell.now())


def _rotate_callback_secret(options: argparse.Namespace, table: KeyTable, shell: Shell) -> object:
    new = credentials.new_callback_secret(shell.random_bytes)
    now = shell.now()
    account = table.rotate_account(
        options.account, lambda seen: _rotated(seen.callback_secrets, new, options, now)
    )
    if account is None:
        raise _no_account(options)
    return _callback_secrets(account, now)


# ---- their parts


def _key(name: str, secret: str, options: argparse.Namespace, shell: Shell) -> Key:
    return Key(
        key=name,
        account=options.account,
        secrets=(Secret(value=secret),),
        created_at=shell.now().replace(microsecond=0),
    )


def _open_account(name: str, table: KeyTable, shell: Shell) -> dict[str, str]:
    """Sees to it that there is an account of this name. What is to be printed of a new one."""
    secret = credentials.new_callback_secret(shell.random_bytes)
    account = Account(
        account=name,
        callback_secrets=(Secret(value=secret),),
        created_at=shell.now().replace(microsecond=0),
    )
    return {"callbackSecret": secret} if table.add_account(account) == account else {}


def _read_secret(shell: Shell) -> str:
    """From standard input, up to one newline at its end: an argument could be seen by other users
    of the machine, and would be in the shell's history."""
    if shell.stdin.isatty():
        shell.say("reading the secret from standard input; Enter and Ctrl-D end it")
    try:
        given = shell.stdin.read().decode()
    except UnicodeDecodeError:
        raise CannotGoOn("The secret on standard input is not UTF-8.") from None
    secret = re.sub(r"\r?\n\Z", "", given)
    fault = credentials.why_not_secret(secret)
    if fault:
        raise CannotGoOn(f"The secret on standard input {fault}.")
    if credentials.is_short(secret):
        shell.say("the secret is short enough to be found by trying: ask for a longer one")
    return secret


def _rotated(
    secrets: tuple[Secret, ...], new: str, options: argparse.Namespace, now: datetime
) -> tuple[Secret, ...]:
    old_valid = timedelta(hours=options.old_valid_hours)
    try:
        return credentials.rotated(secrets, new, now, old_valid)
    except credentials.StillRotating as still:
        raise CannotGoOn(
            f"The last rotation goes on, its old secret is valid until {_text(still.ends_at)}: "
            "rotate again after that, or end all older secrets at once with --old-valid-hours 0."
        ) from still


def _no_key(options: argparse.Namespace) -> CannotGoOn:
    return CannotGoOn(
        f"There is no key {options.key} in stage {options.stage}: "
        f"`batchback keys list --stage {options.stage}` shows those there are."
    )


def _no_account(options: argparse.Namespace) -> CannotGoOn:
    return CannotGoOn(
        f"There is no account {options.account} in stage {options.stage}: it is made with its "
        f"first key, by `batchback keys create --account {options.account} "
        f"--stage {options.stage}`."
    )


# ---- what is printed


def _row(key: Key, now: datetime) -> dict[str, Any]:
    return {
        "key": key.key,
        "account": key.account,
        "state": _state(key),
        "createdAt": _text(key.created_at),
        "liveSecrets": len(key.live_secrets(now)),
        **_old(key.secrets, now),
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
    """As the API writes times."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


# ---- the options


def _add_key(command: argparse.ArgumentParser) -> None:
    command.add_argument("key", metavar="KEY", type=_checked(credentials.why_not_key))


def _add_account(command: argparse.ArgumentParser) -> None:
    command.add_argument("account", metavar="ACCOUNT", type=_checked(credentials.why_not_account))


def _add_account_option(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument(
        "--account",
        metavar="ACCOUNT",
        required=required,
        type=_checked(credentials.why_not_account),
        help="whose: 1 to 64 letters, digits, '.', '_' and '-'",
    )


def _add_old_valid_hours(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--old-valid-hours",
        metavar="N",
        type=_hours,
        default=24,
        help=f"how long the old secret stays valid (24; 0: it ends at once; {_MOST_HOURS} at most)",
    )


def _checked(why_not: Callable[[str], str | None]) -> Callable[[str], str]:
    return partial(_argument, why_not)


def _argument(why_not: Callable[[str], str | None], text: str) -> str:
    fault = why_not(text)
    if fault:
        raise argparse.ArgumentTypeError(f"{text!r}: {fault}")
    return text


def _hours(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _MOST_HOURS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {_MOST_HOURS}")
    return int(text)
