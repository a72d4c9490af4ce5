"""The options `--address`, `--key` and `--secret`, which may come before or after a command. If an
option is missing, its environment variable is used."""

from collections.abc import Sequence

import click

from batchback.client import Client
from batchback.errors import CannotGoOn
from batchback.json_text import Number
from batchback.shell import Shell


def _remember(context: click.Context, option: click.Parameter, value: str | None) -> None:
    """Keep the value for the whole command line: all of its contexts share one `meta`."""
    if value is not None:
        context.meta[_place(option.name or "")] = value


def _place(name: str) -> str:
    return f"{__name__}.{name}"


def _option(name: str, metavar: str, purpose: str) -> click.Option:
    return click.Option(
        [f"--{name}"], metavar=metavar, expose_value=False, callback=_remember, help=purpose
    )


OPTIONS = (
    _option("address", "URL", "Address of the service, such as https://batch.example.com."),
    _option("key", "KEY", "Key to sign requests with."),
    _option(
        "secret",
        "TEXT",
        "Secret of the key. Prefer BATCHBACK_SECRET: other users of this machine may see options.",
    ),
)


def open_client(context: click.Context) -> Client:
    """A client of the service named by the options or the environment; CannotGoOn if something is
    missing or invalid."""
    shell: Shell = context.obj
    given = {name: _given(name, context) for name in ("address", "key", "secret")}
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise CannotGoOn(_how_to_give(missing))
    try:
        return Client(
            given["address"],
            given["key"],
            given["secret"],
            parse_float=Number,
            now=shell.now,
            sleep=shell.sleep,
            monotonic=shell.monotonic,
        )
    except ValueError as error:
        raise CannotGoOn(str(error)) from error


def _given(name: str, context: click.Context) -> str:
    shell: Shell = context.obj
    value: str = context.meta.get(_place(name)) or shell.environ.get(_variable(name), "")
    return value


def _how_to_give(missing: Sequence[str]) -> str:
    options = [f"--{name}" for name in missing]
    variables = [_variable(name) for name in missing]
    return f"missing {_listed(missing)}: pass {_listed(options)}, or set {_listed(variables)}"


def _variable(name: str) -> str:
    return f"BATCHBACK_{name.upper()}"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
