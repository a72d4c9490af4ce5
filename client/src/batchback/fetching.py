"""The command that fetches results, whole, in pages or into a file."""

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
    """Let the shell complete the name of a file."""
    return [CompletionItem(incomplete, type="file")]


def show_results(
    batch_id: str, client: Client, shell: Shell, *, as_json: bool, done: str = "", **wanted: Any
) -> None:
    """Print them. `done` is what the user must know if that fails."""
    shell.show(_whole(batch_id, client, wanted), tables.results, as_json=as_json, done=done)


def save_results(
    batch_id: str, client: Client, shell: Shell, path: Path, *, done: str = "", **wanted: Any
) -> None:
    """Write all of them to a file, and say how many there are."""
    pages = client.iter_pages(batch_id, **wanted)
    written = write_results(batch_id, pages, path, shell, done)
    count = "1 result is" if written == 1 else f"{written} results are"
    shell.say(f"{count} in {path}")


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
    "Show the results of a completed batch. With --output they go to a file, however many there "
    "are.",
    [
        ID,
        click.Option(
            ["--output"],
            metavar="FILE",
            shell_complete=files,
            help="Write all pages to FILE: as JSON, or one result on each line if its name ends in "
            ".jsonl.",
        ),
        click.Option(
            ["--only"],
            type=click.Choice(["failed", "succeeded"]),
            help="Only of the jobs that failed, or of those that succeeded.",
        ),
        click.Option(
            ["--detail"],
            is_flag=True,
            help="Add the outcome, the HTTP status, the attempts and the time that each took.",
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
