"""The commands for callers."""

import json

import click

from batchback import connection, tables
from batchback.callbacks import LISTEN, VERIFY
from batchback.calling import ID, PER_PAGE, asking
from batchback.client import Client
from batchback.command_line import CommandLine
from batchback.fetching import RESULTS
from batchback.submitting import RERUN_FAILED, RUN, WAIT
from batchback.wire import Batches

_SUMMARY = "Send a batch of API calls to a Batchback service, follow it, and fetch its results."
_STATUSES = """\
\b
Environment:
  BATCHBACK_ADDRESS          same as --address
  BATCHBACK_KEY              same as --key
  BATCHBACK_SECRET           same as --secret
  BATCHBACK_CALLBACK_SECRET  callback secret for listen and verify

\b
Exit status:
  0  success
  1  refused by the service; for verify: the callback is not genuine
  2  wrong usage; nothing was sent
  3  unreachable: no answer, or not from the service
  4  the batch is not completed yet
  5  the command succeeded, but its output could not be written
  6  with --fail-on-error: a job failed, or the callback was not delivered

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


def _number_or_text(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


@asking("progress", "Show the progress of a batch.", ID, example="ID")
def _progress(client: Client, *, id: str) -> object:
    return client.progress(id)


@asking(
    "list",
    "List your batches, newest first. With --start or --per-page, show one page instead of all.",
    click.Option(
        ["--start"],
        metavar="N",
        type=_number_or_text,
        help="Start at this position (the first is 0), or at the `next` of the previous page.",
    ),
    PER_PAGE,
    click.Option(["--label"], metavar="TEXT", help="Show only batches with exactly this label."),
    table=tables.batches,
    example="--label nightly",
)
def _list(
    client: Client, *, start: int | str | None, per_page: int | None, label: str | None
) -> Batches:
    page = client.list(start, per_page, label=label)
    is_one_page = start is not None or per_page is not None
    return page if is_one_page else _with_the_rest(page, client, label)


def _with_the_rest(page: Batches, client: Client, label: str | None) -> Batches:
    """The page, extended by all that follow it."""
    while following := _next(page):
        more = client.list(following, _MOST_PER_PAGE, label=label)
        page["results"] += more["results"]
        page["meta"] |= {"count": len(page["results"]), "next": _next(more)}
    return page


def _next(page: Batches) -> str | None:
    """Some services return no `meta`, or no `next` in it."""
    return page["meta"].get("next") if "meta" in page else None


@asking("restart", "Rerun the jobs that never got an answer.", ID, done=json.dumps, example="ID")
def _restart(client: Client, *, id: str) -> object:
    return client.restart(id)


@asking("repost", "Send the callback of a batch again.", ID, done=json.dumps, example="ID")
def _repost(client: Client, *, id: str) -> object:
    return client.repost(id)


@asking("cancel", "End a batch early.", ID, done=json.dumps, example="ID")
def _cancel(client: Client, *, id: str) -> object:
    return client.cancel(id)


@asking("ping", "Check that the address, key, secret and clock are right.")
def _ping(client: Client) -> object:
    return client.ping()


for _each in (
    RUN,
    WAIT,
    _progress,
    RESULTS,
    RERUN_FAILED,
    _list,
    _restart,
    _repost,
    _cancel,
    _ping,
    LISTEN,
    VERIFY,
):
    batchback.add_command(_each)
