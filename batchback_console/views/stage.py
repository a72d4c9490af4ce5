"""The console's view: queues, dead letters, pause and doctor."""

from flask import Blueprint

from batchback_console.console import Console


def routes(console: Console) -> Blueprint:  # noqa: ARG001
    return Blueprint("stage", __name__)
