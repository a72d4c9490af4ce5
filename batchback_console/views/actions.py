"""The console's view: restart, repost, cancel and rerun."""

from flask import Blueprint

from batchback_console.console import Console


def routes(console: Console) -> Blueprint:  # noqa: ARG001
    return Blueprint("actions", __name__)
