"""The checkout that runs: its template and its Chalice configuration."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from batchback.local.errors import CannotStart

#: Of .chalice/config.json: the stage that this machine is.
STAGE = "local"


def root() -> Path:
    """Where app.py and .chalice are."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".chalice" / "config.json").exists():
        raise CannotStart(
            "The local service runs from a checkout (pip install -e .): "
            "there is no .chalice/config.json beside this package."
        )
    return here


def template() -> str:
    """The CloudFormation template of a stage's tables and queues."""
    return (root() / ".chalice" / "resources.json").read_text()


@cache
def configuration() -> dict[str, Any]:
    """.chalice/config.json"""
    parsed: dict[str, Any] = json.loads((root() / ".chalice" / "config.json").read_text())
    return parsed


def environment() -> dict[str, str]:
    """The environment variables of the local stage."""
    variables: dict[str, str] = configuration()["stages"][STAGE]["environment_variables"]
    return variables
