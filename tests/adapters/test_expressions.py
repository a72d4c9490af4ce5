"""How a change of an item is written in DynamoDB's expressions."""

from typing import Any

from chalicelib.adapters.expressions import Update, placeholders

ONE, TWO, SOME = {"N": "1"}, {"N": "2"}, {"NS": ["1", "2"]}


def test_all_conditions_must_hold_and_all_actions_are_done() -> None:
    update = (
        Update()
        .when("(attribute_not_exists(#size) OR #size < :most)", most=TWO)
        .when_equal(state=ONE, lease=None)
        .set(state=TWO, due_at=None)
        .set_if_absent(format=ONE)
        .add(count=ONE, done=SOME)
        .delete(open=SOME)
    )
    assert update.request() == {
        "ConditionExpression": "(attribute_not_exists(#size) OR #size < :most)"
        " AND #state = :if_state AND attribute_not_exists(#lease)",
        "UpdateExpression": "SET #state = :set_state,"
        " #format = if_not_exists(#format, :first_format)"
        " REMOVE #due_at ADD #count :add_count, #done :add_done DELETE #open :delete_open",
        "ExpressionAttributeNames": {
            f"#{name}": name
            for name in ("size", "state", "lease", "due_at", "format", "count", "done", "open")
        },
        "ExpressionAttributeValues": {
            ":most": TWO,
            ":if_state": ONE,
            ":set_state": TWO,
            ":first_format": ONE,
            ":add_count": ONE,
            ":add_done": SOME,
            ":delete_open": SOME,
        },
    }


def test_an_update_without_conditions_has_no_condition_expression() -> None:
    """DynamoDB refuses an empty condition."""
    assert "ConditionExpression" not in Update().set(state=ONE).request()


def test_a_condition_without_values_has_no_map_of_values() -> None:
    """DynamoDB refuses an empty map of values."""
    names: dict[str, Any] = {"#part": "part"}
    assert placeholders("attribute_not_exists(#part)") == {"ExpressionAttributeNames": names}


def test_every_name_in_a_condition_stands_for_the_attribute_of_that_name() -> None:
    assert placeholders("#a = :a AND begins_with(#b_2, :b)", a=ONE, b=TWO) == {
        "ExpressionAttributeNames": {"#a": "a", "#b_2": "b_2"},
        "ExpressionAttributeValues": {":a": ONE, ":b": TWO},
    }
