"""Write the page "API reference" from docs/openapi.yaml, with a section for each action.

Programs that show OpenAPI have a section for each path. Here a path has seven actions, and
`x-actions` says what belongs to each.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

Schema = dict[str, Any]

#: The longest pattern that is shown. For longer ones, the descriptions say the same in words.
_READABLE_PATTERN = 40
_LIMITS = {
    "minimum": "From {:,}",
    "maximum": "Up to {:,}",
    "maxLength": "At most {:,} characters",
    "maxProperties": "At most {:,} keys",
    "pattern": "Matches `{}`",
}


def reference(document: Schema) -> str:
    """Return the page as Markdown."""
    return "\n\n".join(_Reference(document).parts()) + "\n"


class _Reference:
    def __init__(self, document: Schema) -> None:
        self.document = document

    def parts(self) -> Iterator[str]:
        yield "# API reference"
        yield "[openapi.yaml](openapi.yaml) is the same for programs (OpenAPI 3.1)."
        yield self.document["info"]["description"]
        yield "## Authentication"
        for scheme in self.document["components"]["securitySchemes"].values():
            yield f"### {'HTTP Basic' if scheme['type'] == 'http' else 'IWS signature'}"
            yield scheme["description"]
        for path, methods in self.document["paths"].items():
            yield from self._operation(path, methods["post"])
        yield from self._errors()

    def _operation(self, path: str, operation: Schema) -> Iterator[str]:
        yield f"## {operation['summary']}"
        yield operation["description"]
        yield from self._headers(operation)
        for action, parts in operation["x-actions"].items():
            yield f"### {action}"
            yield f"```http\nPOST {path}?action={action}\n```"
            yield from self._body("Parameters", parts["request"], required="Required")
            yield from _examples(action, operation["requestBody"])
            yield from self._body("Answer", parts["answer"], optional="May be missing")
            yield from _examples(action, operation["responses"]["200"])
            yield "Errors, besides [those that every call can get](#errors):"
            yield _table(["status", "`specificCode`"], _codes(parts["errors"]))
        for callback in operation.get("callbacks", {}).values():
            [[_, methods]] = callback.items()
            yield from self._callback(methods["post"])

    def _callback(self, operation: Schema) -> Iterator[str]:
        yield f"### {operation['summary']}"
        yield operation["description"]
        yield from self._headers(operation)
        schema = _json_of(operation["requestBody"])["schema"]
        yield from self._body("Body", schema, optional="May be missing")
        yield "What your answer means:"
        yield _table(["status", "meaning"], _meanings(operation["responses"]))

    def _headers(self, operation: Schema) -> Iterator[str]:
        found = [self._resolved(each) for each in operation["parameters"]]
        headers = {f"`{each['name']}`": each for each in found if each["in"] == "header"}
        yield "Headers:"
        yield _table(["header", "meaning"], _meanings(headers))

    def _body(
        self, title: str, schema: Schema, required: str = "", optional: str = ""
    ) -> Iterator[str]:
        """`required` is the word for fields that must be there, `optional` for the others."""
        fields = [*self._fields(schema)]
        yield f"**{title}**" if fields else f"**{title}**: none."
        if fields:
            yield self._resolved(schema).get("description", "")
            words = {True: required, False: optional}
            yield _table(
                ["name", "type", "meaning"],
                [
                    [f"`{name}`", _type(field), _meaning(field, words[field["required"]])]
                    for name, field in fields
                ],
            )

    def _fields(self, schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
        """The fields of an object, and of the objects in it."""
        schema = self._resolved(schema)
        for part in schema.get("allOf", []):
            yield from self._fields(part, prefix)
        for part in schema.get("anyOf", []):
            for name, field in self._fields(part, prefix):
                yield name, {**field, "required": False}
        for name, declared in schema.get("properties", {}).items():
            field = self._field(declared)
            yield f"{prefix}{name}", {**field, "required": name in schema.get("required", [])}
            yield from self._fields(field, f"{prefix}{name}.")
            yield from self._fields(field.get("items", {}), f"{prefix}{name}[].")

    def _field(self, declared: Schema) -> Schema:
        """A field with `anyOf` merged: it says everything that its choices say."""
        field = self._resolved(declared)
        choices = [self._resolved(each) for each in field.pop("anyOf", [])]
        types = [kind for each in (field, *choices) for kind in _types(each)]
        merged = {key: value for each in (*reversed(choices), field) for key, value in each.items()}
        return {**merged, "type": [*dict.fromkeys(types)]}

    def _errors(self) -> Iterator[str]:
        responses = {"405": self._component("#/components/responses/MethodNotAllowed")}
        for methods in self.document["paths"].values():
            responses |= methods["post"]["responses"]
        yield "## Errors"
        for status in sorted(responses.keys() - {"200"}):
            response = self._resolved(responses[status])
            yield f"### {status}"
            yield response["description"]
            for example in _json_of(response)["examples"].values():
                yield _code(example["value"])

    def _resolved(self, schema: Schema) -> Schema:
        """What `$ref` refers to, and what the schema adds to that."""
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if "$ref" not in schema:
            return beside
        return {**self._resolved(self._component(schema["$ref"])), **beside}

    def _component(self, name: str) -> Schema:
        found = self.document
        for key in name.removeprefix("#/").split("/"):
            found = found[key]
        return found


def _examples(action: str, body: Schema) -> Iterator[str]:
    for name, example in _json_of(body)["examples"].items():
        if name.partition("-")[0] == action:
            yield f"Example ({example['summary']}):" if "summary" in example else "Example:"
            yield _code(example["value"])


def _codes(errors: dict[str, list[int]]) -> Iterator[list[str]]:
    for status, codes in errors.items():
        yield [f"[{status}](#{status})", ", ".join(map(str, codes))]


def _meanings(described: dict[str, Schema]) -> Iterator[list[str]]:
    for name, each in described.items():
        yield [name, _line(each["description"])]


def _type(field: Schema) -> str:
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(each)}`" for each in field["enum"])
    return " or ".join(field["type"]) or "any"


def _types(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return kinds if isinstance(kinds, list) else [kinds]


def _meaning(field: Schema, word: str) -> str:
    limits = [
        words.format(field[key])
        for key, words in _LIMITS.items()
        if key in field and len(str(field[key])) <= _READABLE_PATTERN
    ]
    sentences = [word, _line(field.get("description", "")).rstrip("."), *limits]
    return " ".join(f"{each}." for each in sentences if each)


def _json_of(body: Schema) -> Schema:
    found: Schema = body["content"]["application/json"]
    return found


def _line(text: str) -> str:
    return " ".join(text.split())


def _code(value: object) -> str:
    return f"```json\n{json.dumps(value, indent=2)}\n```"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = (" | ".join(row) for row in (head, ["---"] * len(head), *rows))
    return "\n".join(f"| {line} |" for line in lines)
