"""FILE of `batchback run`: the request object, or the jobs in it."""

import codecs
import json
from pathlib import Path
from typing import Any

from batchback import strict_json
from batchback.errors import CannotGoOn
from batchback.shell import Shell


def read_request(file: str, callback_url: str | None, shell: Shell) -> dict[str, Any]:
    """The request object in FILE, or one around the jobs in it."""
    name = "standard input" if file == "-" else file
    value = _parsed(_content(file, shell), name)
    if isinstance(value, list):
        value = {"jobs": value}
    if not isinstance(value, dict):
        raise CannotGoOn(f"{name} holds neither a request object nor an array of jobs")
    return value if callback_url is None else {**value, "callbackUrl": callback_url}


def _content(file: str, shell: Shell) -> bytes:
    if file == "-":
        return shell.stdin.read()
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise CannotGoOn(f"{file}: {getattr(error, 'strerror', None) or error}") from error


def _parsed(content: bytes, name: str) -> object:
    """Read as strictly as the service does, so that nothing is changed on the way there. The mark
    that Windows editors put before UTF-8 is no part of the JSON."""
    try:
        return strict_json.parse(content.removeprefix(codecs.BOM_UTF8))
    except strict_json.NotStrictJson as fault:
        raise CannotGoOn(f"{name}{_place_and_reason(fault)}") from fault


def _place_and_reason(fault: strict_json.NotStrictJson) -> str:
    if isinstance(at := fault.__cause__, json.JSONDecodeError):
        return f", line {at.lineno}, column {at.colno}: {at.msg}"
    return f" {fault}"
