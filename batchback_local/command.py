"""`batchback local`: runs until SIGINT or SIGTERM, then exits immediately with status 0."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from batchback.command_line import examples
from batchback.errors import CannotGoOn

from batchback_local import ready_file
from batchback_local.log import say
from batchback_ops import project
from batchback_ops.command_line import stop_at_signals, wait_for_the_signal, whole_number


def _port(name: str, purpose: str) -> click.Option:
    return click.Option([name], metavar="PORT", type=whole_number(1, 65_535), help=purpose)


def _key(text: str) -> str:
    """A type for options: a key that clients can send."""
    from batchback_ops.keys import credentials

    return _without_fault(text, credentials.why_not_key(text))


def _secret(text: str) -> str:
    """A type for options: a secret that clients can use."""
    from batchback_ops.keys import credentials

    return _without_fault(text, credentials.why_not_secret(text))


def _without_fault(text: str, fault: str | None) -> str:
    if fault:
        raise click.BadParameter(f"This value cannot be used: {fault}.")
    return text


@click.command(
    "local",
    params=[
        _port("--port", "The service's port. The default is 8000 if that is free."),
        _port("--aws-port", "The embedded AWS's port. The default is 4566 if that is free."),
        _port("--platform-port", "The demo platform's port. The default is 4567 if that is free."),
        _port("--receiver-port", "The demo receiver's port. The default is 4568 if that is free."),
        _port("--console-port", "The console's port. The default is 8001 if that is free."),
        click.Option(
            ["--platform"], metavar="URL", help="Call this platform instead of the demo's."
        ),
        click.Option(
            ["--key"],
            metavar="KEY",
            type=_key,
            default="demo",
            show_default=True,
            help="The key that may call.",
        ),
        click.Option(
            ["--secret"],
            metavar="TEXT",
            type=_secret,
            default="demo-secret",
            show_default=True,
            help="The key's secret.",
        ),
        click.Option(
            ["--no-http"],
            is_flag=True,
            help="Start everything but the HTTP server, for use with `chalice local --stage "
            "local`. The other ports must be free.",
        ),
        click.Option(
            ["--worker-processes"],
            type=whole_number(0, 64),
            default=0,
            metavar="N",
            help="Run the workers in N separate processes, and restart those that die.",
        ),
        click.Option(
            ["--ready-file"],
            metavar="PATH",
            help="Write every address and name to this file, as JSON, once everything is up.",
        ),
    ],
    epilog=examples("batchback local", "batchback local --port 8080 --ready-file ready.json"),
)
def local(**given: Any) -> None:
    """Run the whole service on this machine. AWS is embedded. Ctrl-C stops everything."""
    stop_at_signals()
    with suppress(KeyboardInterrupt):
        _serve(given)


def _serve(given: dict[str, Any]) -> None:
    try:
        from batchback_local.service import Options, running  # slow: moto, boto3, chalice
    except ModuleNotFoundError as missing:
        raise CannotGoOn(
            f"`batchback local` needs {_package(missing)}, which is not installed: run "
            f"`{sys.executable} -m pip install -e '{project.root()}[local]'`"
        ) from missing
    options = Options(**given)
    if options.ready_file:
        ready_file.remove(Path(options.ready_file))
    with running(options) as service:
        say(service.describe())
        wait_for_the_signal()


def _package(missing: ModuleNotFoundError) -> str:
    return str(missing.name).partition(".")[0]
