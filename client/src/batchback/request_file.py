"""FILE of `batchback run`: the request object, or the jobs in it."""

import codecs
import json
from pathlib import Path
from typing import Any, NoReturn

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
        raise CannotGoOn(f"{name} holds neither a request object nor an array of jobs: {_WANTED}")
    if "jobs" not in value and _JOB & value.keys():
        raise CannotGoOn(f"{name} holds one job and no array of jobs: put it between [ and ]")
    return value if callback_url is None else {**value, "callbackUrl": callback_url}


_JOB = {"namespace", "action"}
_WANTED = 'write the jobs as a JSON array, [{"namespace": "...", "action": "..."}, ...]'


def _content(file: str, shell: Shell) -> bytes:
    if file == "-":
        return shell.stdin.read()
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        why = getattr(error, "strerror", None) or error
        raise CannotGoOn(f"{file} cannot be read ({why}): name a file, or - for stdin") from error


def _parsed(content: bytes, name: str) -> object:
    """Read as strictly as the service does, so that nothing is changed on the way there. The mark
    that Windows editors put before UTF-8 is no part of the JSON."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return strict_json.parse(content)
    except strict_json.NotStrictJson as fault:
        if isinstance(fault.__cause__, json.JSONDecodeError):
            _refuse_syntax(content.strip(), name, fault.__cause__)
        raise CannotGoOn(f"{name} {fault}: change that, and run this again") from fault


def _refuse_syntax(content: bytes, name: str, at: json.JSONDecodeError) -> NoReturn:
    if not content:
        raise CannotGoOn(f"{name} is empty: {_WANTED}") from at
    if not content.startswith((b"[", b"{")):
        raise CannotGoOn(f"{name} is not JSON: {_WANTED}") from at
    if at.msg == "Extra data":
        raise CannotGoOn(
            f"{name} holds more than one JSON value, such as an object on each line: put them into "
            "one array, for example with `jq -s . FILE`"
        ) from at
    raise CannotGoOn(f"{name}, line {at.lineno}, column {at.colno}: {at.msg}: correct it") from at
