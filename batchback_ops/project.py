"""The checkout: its template, its policies and its Chalice configuration."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from batchback.errors import CannotGoOn

#: The stage in .chalice/config.json that runs on this machine.
LOCAL_STAGE = "local"


def root() -> Path:
    """The folder that contains app.py and .chalice."""
    here = Path(__file__).resolve().parents[1]
    if not (here / ".chalice" / "config.json").exists():
        raise CannotGoOn(
            "This command needs a checkout, and there is no .chalice/config.json next to this "
            "package: run `pip install -e .` in a checkout."
        )
    return here


def template() -> str:
    """The CloudFormation template of a stage's tables, queues, logs, alarms and dashboard. It has
    no spaces between tokens, because a request may contain at most 51,200 bytes of template."""
    written = (root() / ".chalice" / "resources.json").read_text("utf-8")
    return json.dumps(json.loads(written), separators=(",", ":"), ensure_ascii=False)


@cache
def configuration() -> dict[str, Any]:
    """.chalice/config.json. CannotGoOn if it is not valid JSON, or has no stages."""
    text = (root() / ".chalice" / "config.json").read_text("utf-8")
    try:
        parsed: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise CannotGoOn(
            f".chalice/config.json is not valid JSON: correct it ({error})."
        ) from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("stages"), dict):
        raise CannotGoOn(
            '.chalice/config.json has no stages: add `"stages": {"prod": {}}`, or restore the file.'
        )
    return parsed


def deployed(stage: str) -> list[dict[str, Any]]:
    """The resources that `chalice deploy` recorded for a stage in this checkout; none if it was not
    run here."""
    path = root() / ".chalice" / "deployed" / f"{stage}.json"
    if not path.exists():
        return []
    resources: list[dict[str, Any]] = json.loads(path.read_text("utf-8")).get("resources", [])
    return resources


def environment(stage: str) -> dict[str, str]:
    """The environment variables of a stage. CannotGoOn if one is not a text."""
    variables: dict[str, Any] = _stage(stage).get("environment_variables", {})
    if others := [name for name, value in variables.items() if not isinstance(value, str)]:
        raise CannotGoOn(
            f"stages.{stage}.environment_variables in .chalice/config.json must be texts: put the "
            f"value of {', '.join(others)} in quotes."
        )
    return variables


def stack_name(stage: str) -> str:
    return f"batchback-{stage}"


def function_name(function: str, stage: str) -> str:
    """The name that both `chalice deploy` and a pipeline's template give to a function. No stage's
    name can be mistaken for the beginning of another's."""
    stack = stack_name(stage)
    return stack if function == "api_handler" else f"{stack}-{function}"


def configured_parameters(stage: str) -> dict[str, str]:
    """The template parameters that a stage sets. Chalice ignores them."""
    given: dict[str, Any] = _stage(stage).get("resources", {})
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
    }


def stack_parameters(stage: str) -> dict[str, str]:
    """Every parameter of the template, with the value that the stage sets or else its default."""
    declared = json.loads(template())["Parameters"]
    del declared["Stage"]
    given = configured_parameters(stage)
    if unknown := sorted(given.keys() - declared.keys()):
        raise CannotGoOn(
            f"stages.{stage}.resources in .chalice/config.json cannot set {', '.join(unknown)}: "
            f"use only {', '.join(declared)}."
        )
    defaults = {name: str(parameter["Default"]) for name, parameter in declared.items()}
    return {"Stage": stage, **defaults, **given}


def tags(stage: str) -> dict[str, str]:
    """The tags of a stage's stack. Chalice gives its functions the same ones."""
    return {**configuration().get("tags", {}), **_stage(stage).get("tags", {})}


def configured(
    configuration: Mapping[str, Any], stage: str, function: str, name: str, *, default: Any
) -> Any:
    """The value that Chalice uses for a function. It takes the first of: the stage's value for the
    function, the stage's for all functions, the application's for the function, the application's
    for all. https://aws.github.io/chalice/topics/configfile.html"""
    of_stage, of_all = configuration["stages"][stage], configuration
    for place in (
        of_stage.get("lambda_functions", {}).get(function, {}),
        of_stage,
        of_all.get("lambda_functions", {}).get(function, {}),
        of_all,
    ):
        if name in place:
            return place[name]
    return default


def api_gateway_stage(stage: str) -> str | None:
    """The stage's name in API Gateway."""
    name: str | None = {**configuration(), **_stage(stage)}.get("api_gateway_stage")
    return name


def _stage(stage: str) -> dict[str, Any]:
    stages: dict[str, Any] = configuration()["stages"]
    if stage not in stages:
        raise CannotGoOn(
            f"There is no stage {stage!r} in .chalice/config.json, only {', '.join(stages)}: "
            "name one of these, or add the stage there."
        )
    found: dict[str, Any] = stages[stage]
    return found
