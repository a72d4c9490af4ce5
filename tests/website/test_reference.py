"""The API reference of the site shows all that docs/openapi.yaml says."""

import re
from typing import Any

import pytest

from tests.description import description
from website.reference import reference

DOCUMENT: dict[str, Any] = description().document
PAGE = reference(DOCUMENT)
OPERATIONS = [methods["post"] for methods in DOCUMENT["paths"].values()]
ACTIONS = [action for operation in OPERATIONS for action in operation["x-actions"]]


def section(heading: str) -> str:
    """What stands under a heading."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def fields(heading: str, title: str) -> dict[str, list[str]]:
    """The rows of the table under a title, by the name in its first cell."""
    table = section(heading).partition(f"**{title}**")[2].partition("**")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {name.strip("`"): rest for name, *rest in rows}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_a_section_with_its_examples(action: str) -> None:
    text = section(action)
    assert f"?action={action}\n" in text
    examples = [
        name
        for operation in OPERATIONS
        for name in operation["requestBody"]["content"]["application/json"]["examples"]
        if name.partition("-")[0] == action
    ]
    assert text.count("```json") == 2 * len(examples) > 0


def test_every_named_field_is_there() -> None:
    named = {
        name
        for schema in DOCUMENT["components"]["schemas"].values()
        if schema is not DOCUMENT["components"]["schemas"]["Error"]
        for name in schema.get("properties", {})
    }
    shown = {name.rpartition(".")[2] for name in re.findall(r"^\| `([\w.\[\]]+)` ", PAGE, re.M)}
    assert named - {"errorCode", "specificCode", "message"} <= shown


def test_fields_of_objects_and_lists_are_named_with_their_path() -> None:
    assert {"jobs", "jobs[].namespace"} <= {*fields("run", "Parameters")}
    assert "callback.status" in fields("progress", "Answer")


def test_a_parameter_says_its_type_its_limits_and_whether_it_is_required() -> None:
    found = fields("run", "Parameters")
    assert found["callbackUrl"][0] == "string"
    assert found["callbackUrl"][1].startswith("Required. ")
    assert found["label"][0] == "string or null"
    assert "At most 64 characters." in found["label"][1]
    assert found["maxFailed"][1].endswith("From 0. Up to 1,000,000,000.")


def test_of_two_names_for_one_parameter_neither_is_required() -> None:
    found = fields("cancel", "Parameters")
    assert [meaning for _, meaning in found.values() if "Required" in meaning] == []
    assert "`asyncId` works too" in section("cancel")


def test_an_answers_field_that_may_be_missing_says_so() -> None:
    found = fields("progress", "Answer")
    assert found["waiting"][1].startswith("May be missing. ")
    assert "May be missing" not in found["progress"][1]


def test_every_status_has_a_section_to_which_the_actions_link() -> None:
    statuses = {status for operation in OPERATIONS for status in operation["responses"]} - {"200"}
    assert {*re.findall(r"^### (\d+)$", PAGE, re.M)} == {*statuses, "405"}
    assert {*re.findall(r"\(#(\d+)\)", PAGE)} <= statuses


def test_the_callback_is_described() -> None:
    text = section("The callback of a batch, sent to your receiver")
    assert "`webhook-signature`" in text
    assert "`results[].response`" in text
    assert "410" in text
