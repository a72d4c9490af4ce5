"""The commands `listen` and `verify`. They help to write a receiver, and need no key."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchback import json_text, tables
from batchback.command_line import examples
from batchback.errors import CannotGoOn
from batchback.saved_callback import NoHeaders, SavedCallback, header_in, headers_in
from batchback.shell import Shell, Status, printable
from batchback.verification import (
    TOLERANCE,
    NotGenuine,
    NotRecent,
    SecretUnusable,
    id_of,
    key_of,
    signed_at,
    verify_callback,
)

if TYPE_CHECKING:
    from batchback.listening import Arrival

PORT = 4569
_VARIABLE = "BATCHBACK_CALLBACK_SECRET"

_SECRET = click.Option(
    ["--secret", "secrets"],
    metavar="TEXT",
    multiple=True,
    help="Callback secret of the account (whsec_...). Repeat it to accept several. Prefer "
    f"{_VARIABLE}: other users of this machine may see options.",
)
_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON even on a terminal.")


# ---- listen


@click.pass_obj
def _listen(
    shell: Shell,
    *,
    secrets: Sequence[str],
    host: str,
    port: int,
    output: str | None,
    once: bool,
    as_json: bool,
) -> Status:
    from batchback.listening import Inbox, listening

    inbox = Inbox(
        secrets=_whole(secrets, shell), now=shell.now, folder=_folder(output) if output else None
    )
    try:
        with listening(inbox, host, port) as listener:
            shell.say(f"listening: use {listener.url} as callbackUrl. Press Ctrl-C to stop")
            for arrival in listener.arrivals():
                if _tell(arrival, shell, as_json=as_json) and once:
                    break
    except KeyboardInterrupt:
        if once:
            raise
    return Status.OK


def _folder(name: str) -> Path:
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as fault:
        why = getattr(fault, "strerror", None) or fault
        raise CannotGoOn(f"{name} cannot be created ({why}): choose another --output") from fault
    return folder


def _tell(arrival: "Arrival", shell: Shell, *, as_json: bool) -> bool:
    """Report what arrived. Return whether it was a callback not seen before."""
    from batchback.listening import Kind

    kind, webhook_id = arrival.kind, arrival.webhook_id
    if kind is Kind.REFUSED:
        shell.say(f"refused with {arrival.status}: {arrival.reason}")
    elif kind is Kind.LOST:
        shell.say(f"callback {webhook_id} refused with {arrival.status}: {arrival.reason}")
    elif kind is Kind.AGAIN:
        shell.say(f"callback {webhook_id} arrived again: a receiver should ignore duplicates")
    else:
        _show(arrival, shell, as_json=as_json)
    return kind is Kind.NEW


def _show(arrival: "Arrival", shell: Shell, *, as_json: bool) -> None:
    callback = _parsed(arrival.body)
    if callback is None:
        shell.say(
            f"callback {arrival.webhook_id} is signed, but its body is not a Batchback callback"
        )
    else:
        done = f"callback {arrival.webhook_id} was accepted, and will not be sent again"
        shell.show(callback, _table, as_json=as_json, done=done, as_text=json_text.line)
    if arrival.file:
        shell.say(f"callback {arrival.webhook_id} was saved to {arrival.file}")


def _parsed(body: bytes) -> Any | None:
    """The callback in a body, or None if it is something else."""
    with suppress(ValueError, RecursionError):
        value = json.loads(body, parse_float=json_text.Number)
        if isinstance(value, dict) and _are_results(value.get("results")):
            return value
    return None


def _are_results(value: object) -> bool:
    names = {"namespace", "action", "response"}
    return isinstance(value, list) and all(
        isinstance(each, dict) and names <= each.keys() for each in value
    )


def _table(callback: Any) -> str:
    head = f"{_summary(callback)}\n"
    return head + tables.results(callback) if callback["results"] else head.rstrip()


def _summary(callback: Any) -> str:
    """How many jobs there are and how many failed, counted here if the callback does not say."""
    results = callback["results"]
    total, failed = len(results), sum(map(_is_failed, results))
    if isinstance(jobs := callback.get("jobs"), dict):
        total, failed = jobs.get("total", total), jobs.get("failed", failed)
    named = ("asyncId", "label", "status")
    words = [str(callback[name]) for name in named if name in callback]
    counted = "1 job" if total == 1 else f"{total} jobs"
    return printable(f"{' '.join(words)}: {counted}, {failed} failed")


def _is_failed(result: dict[str, Any]) -> bool:
    response = result["response"]
    return isinstance(response, dict) and "errorCode" in response


# ---- verify


@click.pass_obj
def _verify(
    shell: Shell,
    *,
    file: str,
    secrets: Sequence[str],
    headers_file: str | None,
    headers: Sequence[str],
    at: datetime | None,
    any_age: bool,
    as_json: bool,
) -> Status:
    secrets = _whole(secrets, shell)
    callback = _saved(file, headers_file, headers, shell)
    tolerance = None if any_age else TOLERANCE
    try:
        verify_callback(
            callback, callback.body, secrets, now=at or shell.now(), tolerance=tolerance
        )
    except NotGenuine as reason:
        shell.say(f"not verified: {reason}{_remedy(reason)}")
        return Status.REFUSED
    shell.show(_verified(callback), tables.fields, as_json=as_json)
    return Status.OK


def _remedy(reason: NotGenuine) -> str:
    if isinstance(reason, NotRecent):
        return ". If you saved it earlier, add --any-age, or --at with the time it arrived"
    return ""


def _verified(callback: SavedCallback) -> dict[str, object]:
    at = f"{signed_at(callback):%Y-%m-%d %H:%M:%S} UTC"
    return {"verified": True, "webhookId": id_of(callback), "signedAt": at}


def _saved(
    file: str, headers_file: str | None, headers: Sequence[str], shell: Shell
) -> SavedCallback:
    """The callback in FILE. If headers are given as options, FILE is only the body."""
    content = shell.read(file)
    try:
        if headers_file or headers:
            head = shell.read(headers_file) if headers_file else b""
            given = (*headers_in(head), *map(header_in, headers))
            return SavedCallback(headers=given, body=content)
        return SavedCallback.read(content)
    except NoHeaders as reason:
        how = "pass them with --header 'webhook-id: ...' or --headers FILE, and FILE as the body"
        raise CannotGoOn(f"the headers of {file} cannot be read ({reason}): {how}") from reason


# ---- both


def _whole(secrets: Sequence[str], shell: Shell) -> Sequence[str]:
    """The secrets from the options or the environment; CannotGoOn if one is missing or damaged."""
    given = secrets or shell.environ.get(_VARIABLE, "").split()
    if not given:
        raise CannotGoOn(f"missing callback secret: pass --secret whsec_..., or set {_VARIABLE}")
    try:
        for each in given:
            key_of(each)
    except SecretUnusable as fault:
        raise CannotGoOn(str(fault)) from fault
    return given


def _moment(text: str) -> datetime:
    """A time as the service prints it, in ISO 8601, or in seconds since 1970. It is in UTC unless
    it names another zone."""
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except (ValueError, OverflowError, OSError) as error:
        wanted = "2026-11-23 14:49:08 UTC"
        raise click.BadParameter(f"{text!r} is not a time such as {wanted!r}.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


LISTEN = click.Command(
    "listen",
    params=[
        _SECRET,
        click.Option(
            ["--port"],
            metavar="N",
            type=click.IntRange(0, 65_535),
            default=PORT,
            help=f"Port to listen on, {PORT} by default; 0 picks a free one.",
        ),
        click.Option(
            ["--host"],
            metavar="HOST",
            default="127.0.0.1",
            help="Address to listen on. Only this machine can reach the default, 127.0.0.1.",
        ),
        click.Option(
            ["--output"],
            metavar="DIR",
            help="Save each callback in DIR, in the format that `batchback verify` reads.",
        ),
        click.Option(["--once"], is_flag=True, help="Exit after the first callback that verifies."),
        _JSON,
    ],
    callback=_listen,
    help="Receive, verify and show callbacks on this machine. It is for trying things out, "
    "and keeps callbacks only with --output.",
    epilog=examples("batchback listen", "batchback listen --once --output callbacks"),
)

VERIFY = click.Command(
    "verify",
    params=[
        click.Argument(["file"], metavar="FILE"),
        _SECRET,
        click.Option(
            ["--header", "-H", "headers"],
            metavar="LINE",
            multiple=True,
            help="A header of the callback, 'name: value'. Repeat it for each header; FILE is then "
            "only the body.",
        ),
        click.Option(
            ["--headers", "headers_file"],
            metavar="FILE",
            help="Read the headers from a file, one per line. The argument FILE is then only the "
            "body.",
        ),
        click.Option(
            ["--at"],
            metavar="TIME",
            type=_moment,
            help="Check the callback as if it had arrived at TIME.",
        ),
        click.Option(["--any-age"], is_flag=True, help="Accept the callback however old it is."),
        _JSON,
    ],
    callback=_verify,
    help="Verify the signature of a saved callback. FILE holds its headers, an empty line and its "
    "body; use - for standard input. The exit status is 0 if the service signed the callback, and "
    "1 if it did not.",
    epilog=examples(
        "batchback verify callbacks/WEBHOOK-ID.http --any-age",
        "batchback verify body.json --headers headers.txt --at '2026-11-23 14:49:08 UTC'",
    ),
)
