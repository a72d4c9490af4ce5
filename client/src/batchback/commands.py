"""The commands for callers, one for each action of the API."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from batchback import connection, tables
from batchback.client import Client
from batchback.command_line import CommandLine, examples
from batchback.errors import CannotGoOn, Refused
from batchback.refusals import explained_refusals
from batchback.request_file import read_request
from batchback.shell import Shell, Status
from batchback.waiting import report, wait_for, went_well
from batchback.wire import Batches, Results, Submitted

_SUMMARY = "Send a batch of API calls to a Batchback service, follow it, fetch its results."
_STATUSES = """\
\b
Environment:
  BATCHBACK_ADDRESS, BATCHBACK_KEY, BATCHBACK_SECRET  in place of the options

\b
Exit status:
  0  ok                             3  unreachable: nobody answered, or not the service
  1  refused by the service         4  the batch is not completed yet
  2  wrong usage, nothing was sent  5  done, but the output could not be written
  6  with --fail-on-error: a job failed, or the callback is not delivered

\b
Example:
  batchback run jobs.json --callback-url URL --wait
"""

batchback = CommandLine(
    "batchback",
    params=[*connection.OPTIONS],
    help=_SUMMARY,
    epilog=_STATUSES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
click.version_option(package_name="batchback", message="batchback %(version)s")(batchback)

_MOST_PER_PAGE = 1_000

_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON on a terminal too.")


def _nothing(_: object) -> str:
    return ""


def _command(
    name: str,
    purpose: str,
    *params: click.Parameter,
    table: Callable[[Any], str] = tables.fields,
    done: Callable[[Any], str] = _nothing,
    example: str = "",
) -> Callable[[Callable[..., Any]], None]:
    """Make a command of a function that calls the service and returns what to print. `done` says
    what was changed, for a user whose output cannot be written."""

    def add(ask: Callable[..., Any]) -> None:
        def perform(client: Client, shell: Shell, *, as_json: bool, **given: Any) -> None:
            value = ask(client, **given)
            shell.show(value, table, as_json=as_json, done=done(value))

        _add_command(name, purpose, params, perform, example)

    return add


def _add_command(
    name: str,
    purpose: str,
    params: Sequence[click.Parameter],
    perform: Callable[..., Status | None],
    example: str,
) -> None:
    @click.pass_context
    def call(context: click.Context, /, **given: Any) -> Status | None:
        with connection.open_client(context) as client, explained_refusals(given):
            return perform(client, context.obj, **given)

    command = click.Command(
        name,
        params=[*params, _JSON, *connection.OPTIONS],
        callback=call,
        help=purpose,
        epilog=examples(f"batchback {name} {example}".rstrip()),
    )
    batchback.add_command(command)


# ---- options


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise click.BadParameter(f"{text!r} is not a number of seconds over 0.")
    return seconds


def _number_or_text(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


_ID = click.Argument(["id"], metavar="ID")
_START = click.Option(["--start"], metavar="N", type=int, help="The first to show, from 0.")
_PER_PAGE = click.Option(["--per-page"], metavar="N", type=int, help="How many to show.")


# ---- run


def _run(
    client: Client,
    shell: Shell,
    *,
    as_json: bool,
    file: str,
    callback_url: str | None,
    idempotency_key: str | None,
    wait: bool,
    timeout: float | None,
    fail_on_error: bool,
) -> Status | None:
    _check_waiting(wait=wait, timeout=timeout, fail_on_error=fail_on_error)
    request = read_request(file, callback_url, shell)
    batch_id = _submit(client, request, idempotency_key)
    if not wait:
        value: Submitted = {"asyncId": batch_id}
        shell.show(value, tables.fields, as_json=as_json, done=_submitted(batch_id))
        return None
    is_well = _see_through(batch_id, client, timeout, shell, as_json=as_json)
    return Status.FAILED if fail_on_error and not is_well else None


def _check_waiting(*, wait: bool, timeout: float | None, fail_on_error: bool) -> None:
    if timeout is not None and not wait:
        raise CannotGoOn("--timeout says how long to --wait: give both")
    if fail_on_error and not wait:
        raise CannotGoOn("--fail-on-error needs the end of the batch: give --wait too")


def _submit(client: Client, request: dict[str, Any], idempotency_key: str | None) -> str:
    try:
        return client.submit(request, idempotency_key)["asyncId"]
    except ValueError as error:
        raise CannotGoOn(str(error)) from error
    except KeyboardInterrupt:
        how = "`batchback list` shows whether the batch was submitted"
        raise KeyboardInterrupt(f"; {how}") from None


def _submitted(batch_id: str) -> str:
    return f"batch {batch_id} is submitted: `batchback progress {batch_id}` shows how far it is"


def _see_through(
    batch_id: str, client: Client, timeout: float | None, shell: Shell, *, as_json: bool
) -> bool:
    """Show the results when the batch is over, then say what failed, so that it stands last.
    Whether all went well."""
    shell.say(f"batch {batch_id} is submitted")
    progress = wait_for(batch_id, client, timeout, shell)
    try:
        results = _results_of(client, batch_id)
        shell.show(results, tables.results, as_json=as_json, done=_submitted(batch_id))
    finally:
        for line in report(progress, batch_id):
            shell.say(line)
    return went_well(progress)


_add_command(
    "run",
    'Submit a batch. FILE is JSON, {"jobs": [...], "callbackUrl": ...} or only the array of jobs; '
    "- is standard input.",
    [
        click.Argument(["file"], metavar="FILE", shell_complete=_files),
        click.Option(
            ["--callback-url"], metavar="URL", help="Where to POST the results, if not as in FILE."
        ),
        click.Option(
            ["--idempotency-key"],
            metavar="TEXT",
            help="Name this submission: sent again with the same name, it runs only once.",
        ),
        click.Option(
            ["--wait"],
            is_flag=True,
            help="Wait until the batch is over; print the results, and say what failed.",
        ),
        click.Option(
            ["--timeout"],
            metavar="SECONDS",
            type=_seconds,
            help="With --wait: stop waiting after SECONDS (exit status 4).",
        ),
        click.Option(
            ["--fail-on-error"],
            is_flag=True,
            help="With --wait: exit status 6 if a job failed or the callback is not delivered.",
        ),
    ],
    _run,
    "jobs.json --callback-url URL --wait",
)


# ---- the other commands


@_command("progress", "Show how far a batch is.", _ID, example="ID")
def _progress(client: Client, *, id: str) -> object:
    return client.progress(id)


@_command(
    "results",
    "Show the results of a completed batch.",
    _ID,
    _START,
    _PER_PAGE,
    click.Option(
        ["--partial"], is_flag=True, help="Show the results so far, of a running batch too."
    ),
    table=tables.results,
    example="ID --start 0 --per-page 100",
)
def _results(
    client: Client, *, id: str, start: int | None, per_page: int | None, partial: bool
) -> Results:
    return _results_of(client, id, start=start, per_page=per_page, partial=partial)


def _results_of(client: Client, batch_id: str, **wanted: Any) -> Results:
    try:
        return client.results(batch_id, **wanted)
    except Refused as refused:
        if not refused.is_too_large:
            raise
        how = f"ask for pages: `batchback results {batch_id} --start 0 --per-page 100`"
        raise refused.because(how) from refused


@_command(
    "list",
    "List your batches, newest first. --start or --per-page ask for one page, not for all.",
    click.Option(
        ["--start"],
        metavar="N",
        type=_number_or_text,
        help="The first to show, from 0; or the `next` of a page, for the page after it.",
    ),
    _PER_PAGE,
    table=tables.batches,
)
def _list(client: Client, *, start: int | str | None, per_page: int | None) -> Batches:
    page = client.list(start, per_page)
    return page if start is not None or per_page is not None else _with_the_rest(page, client)


def _with_the_rest(page: Batches, client: Client) -> Batches:
    """The page, and in it all that follow."""
    while following := _next(page):
        more = client.list(following, _MOST_PER_PAGE)
        page["results"] += more["results"]
        page["meta"] |= {"count": len(page["results"]), "next": _next(more)}
    return page


def _next(page: Batches) -> str | None:
    """A service may give no `meta`, or no `next` in it."""
    return page["meta"].get("next") if "meta" in page else None


@_command(
    "restart", "Run the jobs again that never got an answer.", _ID, done=json.dumps, example="ID"
)
def _restart(client: Client, *, id: str) -> object:
    return client.restart(id)


@_command("repost", "Send the callback again.", _ID, done=json.dumps, example="ID")
def _repost(client: Client, *, id: str) -> object:
    return client.repost(id)


@_command("cancel", "End a batch early.", _ID, done=json.dumps, example="ID")
def _cancel(client: Client, *, id: str) -> object:
    return client.cancel(id)


@_command("ping", "Check that address, key, secret and clock are right.")
def _ping(client: Client) -> object:
    return client.ping()
