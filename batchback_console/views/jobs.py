"""The console's view: the jobs of a batch."""

from flask import Blueprint

from batchback_console.console import Console


def routes(console: Console) -> Blueprint:  # noqa: ARG001
    return Blueprint("jobs", __name__)
