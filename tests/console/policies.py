"""The policies of docs/deploying.md for operators who use the console."""

import json
from typing import Any

from batchback_ops import project

_SHOW = "the console's policy"
_ACT = "the policy for the console's actions"
#: The stage that the page names.
_STAGE = "prod"


def to_show(stage: str) -> dict[str, Any]:
    return _policy(_SHOW, stage)


def to_act(stage: str) -> dict[str, Any]:
    """Both policies combined."""
    show, act = _policy(_SHOW, stage), _policy(_ACT, stage)
    return {**show, "Statement": [*show["Statement"], *act["Statement"]]}


def _policy(name: str, stage: str) -> dict[str, Any]:
    page = (project.root() / "docs" / "deploying.md").read_text("utf-8")
    _, _, text = page.partition(f"<!-- {name} -->\n```json\n")
    document: dict[str, Any] = json.loads(
        text.partition("```")[0].replace(f"batchback-{_STAGE}", f"batchback-{stage}")
    )
    return document
