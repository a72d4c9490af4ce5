"""The checkout: its template, its policies and its Chalice configuration."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from batchback.errors import CannotGoOn

#: Of .chalice/config.json: the stage that one machine is.
LOCAL_STAGE = "local"


def root() -> Path:
    """Where app.py and .chalice are."""
    here = Path(__file__).resolve().parents[1]
    if not (here / ".chalice" / "config.json").exists():
        raise CannotGoOn(
            "This needs a checkout (pip install -e .): "
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


def environment(stage: str) -> dict[str, str]:
    """The environment variables of a stage."""
    stages: dict[str, Any] = configuration()["stages"]
    if stage not in stages:
        raise CannotGoOn(
            f"There is no stage {stage!r} in .chalice/config.json, only {', '.join(stages)}: "
            "name one of them, or add it there."
        )
    variables: dict[str, str] = stages[stage].get("environment_variables", {})
    return variables
