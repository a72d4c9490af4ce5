"""`batchback keys`: its commands, options and tables."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import click
from batchback import tables
from batchback.command_line import examples

from batchback_ops import command_line

#: The longest that an old secret may stay valid.
_MOST_HOURS = 720


@click.group(
    "keys",
    epilog=examples(
        "batchback keys create --account acme --stage prod",
        "batchback keys rotate KEY --stage prod",
    ),
)
def keys() -> None:
    """Create, list, rotate and revoke the keys that may call."""


def _actions() -> ModuleType:
    from batchback_ops.keys import actions

    return actions


def _listed(rows: Sequence[dict[str, Any]]) -> str:
    head = ["KEY", "ACCOUNT", "STATE", "CREATED", "SECRETS", "OLD SECRET ENDS"]
    return tables.aligned([head, *([str(cell or "-") for cell in row.values()] for row in rows)])


# ---- the options


def _key_text(text: str) -> str:
    from batchback_ops.keys import credentials

    return _argument(text, credentials.why_not_key(text))


def _account_text(text: str) -> str:
    from batchback_ops.keys import credentials

    return _argument(text, credentials.why_not_account(text))


def _argument(text: str, fault: str | None) -> str:
    if fault:
        raise click.BadParameter(f"{text!r}: {fault}.")
    return text


_KEY = click.Argument(["key"], metavar="KEY", type=_key_text)
_ACCOUNT = click.Argument(["account"], metavar="ACCOUNT", type=_account_text)
_OLD_VALID_HOURS = click.Option(
    ["--old-valid-hours"],
    metavar="N",
    type=command_line.whole_number(0, _MOST_HOURS),
    default=24,
    help=f"How long the old secret stays valid: 24 by default, at most {_MOST_HOURS}. 0 ends it "
    "immediately.",
)
_SECRET_STDIN = click.Option(
    ["--secret-stdin", "is_secret_given"],
    is_flag=True,
    help="Read the new secret from standard input instead of creating one.",
)
_OWNER = click.Option(
    ["--account"],
    metavar="ACCOUNT",
    required=True,
    type=_account_text,
    help="The key's account: 1 to 64 letters, digits, '.', '_' and '-'.",
)
_ONLY_ACCOUNT = click.Option(
    ["--account"], metavar="ACCOUNT", type=_account_text, help="Only the keys of this account."
)


# ---- the commands

command_line.add_command(
    keys,
    "create",
    "Create a key, and its account if that is new.",
    _OWNER,
    example="--account acme --stage prod",
    load=lambda: _actions().create,
)
command_line.add_command(
    keys,
    "import",
    "Add a key that the platform issued. Its secret is read from standard input.",
    _KEY,
    _OWNER,
    example="KEY --account acme --stage prod < secret.txt",
    load=lambda: _actions().import_key,
)
command_line.add_command(
    keys,
    "list",
    "List the keys, without their secrets.",
    _ONLY_ACCOUNT,
    table=_listed,
    changes=False,
    load=lambda: _actions().list_keys,
)
command_line.add_command(
    keys,
    "rotate",
    "Give a key another secret. The old one stays valid for a while.",
    _KEY,
    _SECRET_STDIN,
    _OLD_VALID_HOURS,
    example="KEY --stage prod",
    load=lambda: _actions().rotate,
)
command_line.add_command(
    keys,
    "revoke",
    "Revoke a key for good. Its calls are refused from now on.",
    _KEY,
    example="KEY --stage prod",
    load=lambda: _actions().revoke,
)
command_line.add_command(
    keys,
    "show-callback-secret",
    "Show the secret that verifies callbacks.",
    _ACCOUNT,
    example="acme --stage prod",
    changes=False,
    load=lambda: _actions().show_callback_secret,
)
command_line.add_command(
    keys,
    "rotate-callback-secret",
    "Sign callbacks with another secret. The old one signs too for a while.",
    _ACCOUNT,
    _OLD_VALID_HOURS,
    example="acme --stage prod",
    load=lambda: _actions().rotate_callback_secret,
)
