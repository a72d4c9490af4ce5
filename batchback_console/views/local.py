"""The console's view: what only the service on this machine can do."""

from flask import Blueprint

from batchback_console.console import Console


def routes(console: Console) -> Blueprint:  # noqa: ARG001
    return Blueprint("local", __name__)
