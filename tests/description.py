"""docs/openapi.yaml as the tests read it: what it says about each action, and whether it describes
an answer."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from jsonschema import Draft202012Validator

PATH = Path(__file__).parent.parent / "docs" / "openapi.yaml"
PREFIX = "/api/1.0/"
#: Errors that every call may get.
OF_EVERY_CALL = {
    (400, 23017),
    (401, 0),
    (401, 23005),
    (404, 0),
    (413, 0),
    (415, 0),
    (463, 0),
    (500, 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One of the actions that share an operation."""

    namespace: str
    name: str
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    #: Headers that only this action reads.
    headers: tuple[str, ...]
    #: (errorCode, specificCode), besides those of every call.
    errors: frozenset[tuple[int, int]]


class Description:
    """The description, or a test's version of it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def actions(self) -> dict[str, Action]:
        return {
            name: _action(path, name, described)
            for path, item in self.document["paths"].items()
            for name, described in item["post"]["x-actions"].items()
        }

    def resolve(self, described: Any) -> Any:
        """What is described, by reference or in place."""
        if "$ref" not in described:
            return described
        found = self.document
        for step in described["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return found

    def faults(self, schema: Mapping[str, Any], value: object) -> list[str]:
        """Why a value does not match a schema."""
        return [
            f"{error.json_path}: {error.message[:500]}"
            for error in self._validator(schema).iter_errors(value)
        ]

    def accepts(self, schema: Mapping[str, Any], value: object) -> bool:
        return not self.faults(schema, value)

    def _validator(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        """The validator of a schema, made once; references lead into the description."""
        name = json.dumps(schema)
        if name not in self._validators:
            whole = {"components": self.document["components"], **schema}
            self._validators[name] = Draft202012Validator(whole)
        return self._validators[name]


@cache
def description() -> Description:
    return Description(yaml.load(PATH.read_text("utf-8"), yaml.CSafeLoader))


@cache
def strictly() -> Description:
    """The description without the freedom that it leaves: an answer may have only the keys that it
    names."""
    document = deepcopy(description().document)
    schemas = document["components"]["schemas"]
    for schema in _objects_in(schemas):
        schema["unevaluatedProperties"] = False
    return Description(document)


def faults_of(
    method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> list[str]:
    """Why an answer of the service is not as described. Empty if it is."""
    url = urlsplit(path)
    named = parse_qs(url.query, keep_blank_values=True).get("action", [""])[0]
    action = strictly().actions.get(named)
    if action is not None and url.path.rstrip("/") != PREFIX + action.namespace:
        action = None
    response = _response(method, status)
    if response is None:
        return [f"{status} is not described"]
    answer = json.loads(body)
    return [
        *_header_faults(response, headers),
        *(_answer_faults(action, answer) if status == 200 else _error_faults(response, answer)),
        *(_code_faults(action, answer) if status != 200 and method == "POST" else []),
    ]


def _response(method: str, status: int) -> Any:
    described = strictly()
    if method != "POST":
        return described.document["components"]["responses"]["MethodNotAllowed"]
    responses = described.document["paths"][f"{PREFIX}batch"]["post"]["responses"]
    found = responses.get(str(status))
    return found and described.resolve(found)


def _header_faults(response: Any, headers: Mapping[str, str]) -> Iterator[str]:
    described = {name: strictly().resolve(each) for name, each in response["headers"].items()}
    for name in headers.keys() - described.keys() - {"Content-Type"}:
        yield f"header {name} is not described"
    for name, each in described.items():
        if name not in headers:
            yield from [f"header {name} is missing"] if each.get("required") else []
        else:
            value = int(headers[name]) if each["schema"]["type"] == "integer" else headers[name]
            yield from (f"{name}{fault}" for fault in strictly().faults(each["schema"], value))
    if headers.get("Content-Type") not in response["content"]:
        yield f"Content-Type {headers.get('Content-Type')} is not described"


def _answer_faults(action: Action | None, answer: object) -> list[str]:
    if action is None:
        return ["there is no such action"]
    return strictly().faults(action.answer, answer)


def _error_faults(response: Any, answer: object) -> list[str]:
    return strictly().faults(response["content"]["application/json"]["schema"], answer)


def _code_faults(action: Action | None, answer: Mapping[str, Any]) -> list[str]:
    codes = (answer["errorCode"], answer["specificCode"])
    known = OF_EVERY_CALL | (action.errors if action else set())
    return [] if codes in known else [f"{codes} is not described of {action and action.name}"]


def _action(path: str, name: str, described: Mapping[str, Any]) -> Action:
    return Action(
        namespace=path.removeprefix(PREFIX),
        name=name,
        request=described["request"],
        answer=described["answer"],
        headers=tuple(described.get("headers", ())),
        errors=frozenset(
            (int(status), code) for status, codes in described["errors"].items() for code in codes
        ),
    )


def _objects_in(described: object) -> Iterator[dict[str, Any]]:
    """Every schema of an object that names its keys."""
    if isinstance(described, dict):
        if described.get("type") == "object" and "properties" in described:
            yield described
        for each in described.values():
            yield from _objects_in(each)
    elif isinstance(described, list):
        for each in described:
            yield from _objects_in(each)
