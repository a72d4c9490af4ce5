"""The commands `run`, `rerun-failed` and `wait`, which submit a batch or wait for one."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any, cast

import click

from batchback import run_options, tables
from batchback.calling import ID, calling, with_client
from batchback.client import Client
from batchback.errors import CannotGoOn
from batchback.fetching import files, save_results, show_results
from batchback.request_check import faults, remarks
from batchback.request_file import RequestFile, read_request
from batchback.result_file import checked_output
from batchback.shell import Shell, Status
from batchback.waiting import report, wait_for, went_well
from batchback.wire import Progress, Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """What to do when the batch is over."""

    wait: bool
    timeout: float | None
    fail_on_error: bool
    output: str | None
    as_json: bool

    @classmethod
    def of(cls, given: dict[str, Any]) -> "_End":
        """Take its options out of those given."""
        end = cls(**{field.name: given.pop(field.name) for field in fields(cls)})
        end._check()
        return end

    def _check(self) -> None:
        """Raise CannotGoOn for options that do not fit together, before anything is sent."""
        for option, is_given in (
            ("--timeout", self.timeout is not None),
            ("--fail-on-error", self.fail_on_error),
            ("--output", self.output is not None),
        ):
            if is_given and not self.wait:
                raise CannotGoOn(f"{option} works only with --wait: add --wait")
        if self.output is not None:
            checked_output(self.output)

    def come(self, batch_id: str, client: Client, shell: Shell) -> Status | None:
        """Print the id of the submitted batch, or wait for it and print its results."""
        if not self.wait:
            value: Submitted = {"asyncId": batch_id}
            shell.show(value, tables.fields, as_json=self.as_json, done=_submitted(batch_id))
            return None
        shell.say(f"batch {batch_id} is submitted")
        progress = wait_for(batch_id, client, self.timeout, shell)
        try:
            self._give_results(batch_id, client, shell)
        finally:
            _report(progress, batch_id, shell)
        return _status(progress, fail_on_error=self.fail_on_error)

    def _give_results(self, batch_id: str, client: Client, shell: Shell) -> None:
        done = _submitted(batch_id)
        if self.output is None:
            show_results(batch_id, client, shell, as_json=self.as_json, done=done)
        else:
            save_results(batch_id, client, shell, Path(self.output), done=done)


def _submitted(batch_id: str) -> str:
    return f"batch {batch_id} is submitted: run `batchback progress {batch_id}` to follow it"


def _report(progress: Progress, batch_id: str, shell: Shell) -> None:
    """Print what failed, as the last lines."""
    for line in report(progress, batch_id):
        shell.say(line)


def _status(progress: Progress, *, fail_on_error: bool) -> Status | None:
    return Status.FAILED if fail_on_error and not went_well(progress) else None


def _sent(submit: Callable[[str], Submitted | None], key: str | None, shell: Shell) -> str | None:
    """Submit with the key, or with a new one; return the id of the batch."""
    key = shell.random_bytes(16).hex() if key is None else key
    try:
        submitted = submit(key)
    except ValueError as error:
        raise CannotGoOn(str(error)) from error
    except KeyboardInterrupt:
        how = f"retry with `--idempotency-key {key}` so that it runs only once"
        raise KeyboardInterrupt(f"; the batch may be submitted: {how}") from None
    return submitted["asyncId"] if submitted else None


# ---- run


def _run_or_check(*, check: bool, file: str, **given: Any) -> Status | None:
    if not check:
        return _run(file=file, **given)
    shell: Shell = click.get_current_context().obj
    if given["wait"]:
        raise CannotGoOn("--check sends nothing, so there is nothing to wait for: remove --wait")
    found = read_request(file, shell)
    return _check(found, {**found.request, **run_options.parameters(given)}, shell)


@with_client
def _run(
    client: Client,
    shell: Shell,
    *,
    file: str,
    idempotency_key: str | None,
    traceparent: str | None,
    **options: Any,
) -> Status | None:
    end = _End.of(options)
    request = {**read_request(file, shell).request, **run_options.parameters(options)}

    def submit(key: str) -> Submitted:
        return client.submit(request, key, traceparent=traceparent)

    batch_id = _sent(submit, idempotency_key, shell)
    return end.come(cast(str, batch_id), client, shell)


def _check(found: RequestFile, request: Mapping[str, Any], shell: Shell) -> Status | None:
    """Print everything that is wrong with a request."""
    wrong = [*faults(request)]
    for text in chain(wrong, remarks(request)):
        shell.say(f"{_line_of(text, found)}{text}")
    if wrong:
        shell.say(f"{found.name} has {_counted(len(wrong), 'error')}; nothing was sent")
        return Status.USAGE
    jobs = _counted(len(request["jobs"]), "job")
    shell.say(f"{found.name} has {jobs} and no errors that --check can find; nothing was sent")
    return None


def _line_of(text: str, found: RequestFile) -> str:
    """The line of the fault, if FILE has one job per line."""
    index = text.removeprefix("jobs[").partition("]")[0]
    is_known = found.lines and index.isdecimal()
    return f"line {found.lines[int(index)]}: " if is_known else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


_WAITING = [
    click.Option(
        ["--wait"],
        is_flag=True,
        help="Wait until the batch is over, then print the results and what failed.",
    ),
    click.Option(
        ["--output"],
        metavar="FILE",
        shell_complete=files,
        help="With --wait: write the results to FILE, one per line if its name ends in .jsonl.",
    ),
]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise click.BadParameter(f"{text!r} is not a positive number of seconds.")
    return seconds


def _sentence(condition: str, rest: str) -> str:
    return f"{condition}: {rest}" if condition else f"{rest[0].upper()}{rest[1:]}"


def _until(condition: str) -> list[click.Option]:
    return [
        click.Option(
            ["--timeout"],
            metavar="SECONDS",
            type=_seconds,
            help=_sentence(condition, "stop waiting after SECONDS (exit status 4)."),
        ),
        click.Option(
            ["--fail-on-error"],
            is_flag=True,
            help=_sentence(
                condition, "exit with status 6 if a job failed or the callback was not delivered."
            ),
        ),
    ]


RUN = calling(
    "run",
    'Submit a batch. FILE is a JSON object, {"jobs": [...], "callbackUrl": ...}, a JSON array of '
    "jobs, or one job per line; use - for standard input. Options override FILE.",
    [
        click.Argument(["file"], metavar="FILE", shell_complete=files),
        *run_options.OPTIONS,
        *_WAITING,
        *_until("With --wait"),
        click.Option(
            ["--check"], is_flag=True, help="Send nothing; list everything that is wrong with FILE."
        ),
    ],
    _run_or_check,
    "jobs.json --callback-url URL --wait",
    "jobs.jsonl --callback-url URL --max-failed 100 --label nightly",
    "jobs.jsonl --check",
)


# ---- rerun-failed


@with_client
def _rerun_failed(
    client: Client,
    shell: Shell,
    *,
    id: str,
    idempotency_key: str | None,
    **options: Any,
) -> Status | None:
    end = _End.of(options)

    def submit(key: str) -> Submitted | None:
        return client.rerun_failed(id, idempotency_key=key, **options)

    batch_id = _sent(submit, idempotency_key, shell)
    if batch_id is None:
        shell.say(f"all jobs of batch {id} succeeded, so nothing was sent")
        return None
    return end.come(batch_id, client, shell)


RERUN_FAILED = calling(
    "rerun-failed",
    "Submit the failed jobs of a batch as a new batch. This prints the id of the new batch. The "
    "old batch must be over; it does not change. Its callback URL cannot be read, so pass "
    "--callback-url again.",
    [ID, *run_options.OPTIONS, *_WAITING, *_until("With --wait")],
    _rerun_failed,
    "ID --callback-url URL --wait",
)


# ---- wait


@with_client
def _wait(
    client: Client,
    shell: Shell,
    *,
    id: str,
    timeout: float | None,
    fail_on_error: bool,
    as_json: bool,
) -> Status | None:
    progress = wait_for(id, client, timeout, shell)
    try:
        shell.show(progress, tables.fields, as_json=as_json)
    finally:
        _report(progress, id, shell)
    return _status(progress, fail_on_error=fail_on_error)


WAIT = calling(
    "wait",
    "Wait until a batch is over, and show its progress. Use it after Ctrl-C, or from another "
    "machine.",
    [ID, *_until("")],
    _wait,
    "ID --timeout 600 --fail-on-error",
)
