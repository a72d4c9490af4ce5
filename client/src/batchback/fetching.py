"""The command `results`: shows results whole or in pages, or writes them to a file."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from batchback import tables
from batchback.calling import ID, PER_PAGE, START, calling, with_client
from batchback.client import Client
from batchback.errors import CannotGoOn, Refused
from batchback.result_file import checked_output, write_results
from batchback.shell import Shell
from batchback.wire import Only, Results


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a file name."""
    return [CompletionItem(incomplete, type="file")]


def show_results(
    batch_id: str, client: Client, shell: Shell, *, as_json: bool, done: str = "", **wanted: Any
) -> None:
    """Print the results. `done` says what the command did, in case they cannot be printed."""
    shell.show(_whole(batch_id, client, wanted), tables.results, as_json=as_json, done=done)


def save_results(
    batch_id: str, client: Client, shell: Shell, path: Path, *, done: str = "", **wanted: Any
) -> None:
    """Write all results to a file, and say how many there are."""
    pages = client.iter_pages(batch_id, **wanted)
    written = write_results(batch_id, pages, path, shell, done)
    count = "1 result" if written == 1 else f"{written} results"
    shell.say(f"wrote {count} to {path}")


def _whole(batch_id: str, client: Client, wanted: dict[str, Any]) -> Results:
    try:
        return client.results(batch_id, **wanted)
    except Refused as refused:
        if not refused.is_too_large:
            raise
        how = f"write all pages to a file: `batchback results {batch_id} --output results.json`"
        raise refused.because(how) from refused


def _results(
    client: Client,
    shell: Shell,
    *,
    id: str,
    output: str | None,
    start: int | None,
    per_page: int | None,
    only: Only | None,
    detail: bool,
    partial: bool,
    as_json: bool,
) -> None:
    wanted: dict[str, Any] = {"only": only, "detail": detail, "partial": partial}
    if output is None:
        wanted |= {"start": start, "per_page": per_page}
        show_results(id, client, shell, as_json=as_json, **wanted)
        return
    if start is not None or per_page is not None:
        raise CannotGoOn("--output fetches all pages: leave out --start and --per-page")
    save_results(id, client, shell, checked_output(output), **wanted)


RESULTS = calling(
    "results",
    "Show the results of a completed batch. With --output, write them all to a file, however many "
    "there are.",
    [
        ID,
        click.Option(
            ["--output"],
            metavar="FILE",
            shell_complete=files,
            help="Write all pages to FILE: as JSON, or one result per line if its name ends in "
            ".jsonl.",
        ),
        click.Option(
            ["--only"],
            type=click.Choice(["failed", "succeeded"]),
            help="Show only the results of the jobs that failed or succeeded.",
        ),
        click.Option(
            ["--detail"],
            is_flag=True,
            help="Add the outcome, HTTP status, attempts and duration of each job.",
        ),
        click.Option(
            ["--partial"], is_flag=True, help="Include the results so far of a running batch."
        ),
        START,
        PER_PAGE,
    ],
    with_client(_results),
    "ID --output results.jsonl",
    "ID --only failed --detail",
    "ID --start 0 --per-page 100",
)
