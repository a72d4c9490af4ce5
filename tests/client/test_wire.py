"""The types of the client's answers have the same keys as docs/openapi.yaml."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints, is_typeddict

import batchback
import pytest
from batchback import Client, wire
from batchback.client import _READS

from tests.description import description

SCHEMAS = description().document["components"]["schemas"]
#: The types in `wire`, each with its schema.
TYPED = {"Job": (wire.Job, SCHEMAS["Job"])} | {
    name: (get_type_hints(getattr(Client, name, None)).get("return"), action.answer)
    for name, action in description().actions.items()
    if hasattr(Client, name)
}


@pytest.mark.parametrize("action", description().actions)
def test_every_action_has_a_method(action: str) -> None:
    """As the docstring of the package says."""
    assert hasattr(Client, action), f"add `{action}` to client/src/batchback/client.py"


def test_the_calls_that_are_retried_are_actions() -> None:
    assert {*description().actions} >= _READS


@pytest.mark.parametrize("name", TYPED)
def test_every_type_can_be_imported_from_the_package(name: str) -> None:
    typed: Any = TYPED[name][0]
    assert typed.__name__ in batchback.__all__, (
        f"add {typed.__name__} to __all__ in client/src/batchback/__init__.py"
    )


@pytest.mark.parametrize("name", TYPED)
def test_every_key_is_typed_and_no_other(name: str) -> None:
    where = "client/src/batchback/wire.py and docs/openapi.yaml must name the same keys"
    assert [*differences(*TYPED[name])] == [], where


def differences(typed: Any, described: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys that only the type or only the schema has, at every level."""
    schema = description().resolve(described)
    properties = schema["properties"]
    keys = get_type_hints(typed)
    for key in sorted(keys.keys() ^ properties.keys()):
        yield f"{typed.__name__}: only {'wire' if key in keys else 'openapi'} has {key!r}"
    for key in sorted(keys.keys() & properties.keys()):
        for nested in _objects_in(keys[key]):
            part = description().resolve(properties[key])
            yield from differences(nested, part.get("items", part))


def _objects_in(hint: Any) -> Iterator[Any]:
    """The TypedDict of a key, alone, in a list or optional."""
    if is_typeddict(hint):
        yield hint
    for argument in get_args(hint):
        yield from _objects_in(argument)
