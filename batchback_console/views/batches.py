"""The console's view: the list of batches."""

from flask import Blueprint

from batchback_console.console import Console


def routes(console: Console) -> Blueprint:  # noqa: ARG001
    return Blueprint("batches", __name__)
