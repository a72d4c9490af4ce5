"""Commands print the same JSON as json.dumps, except that numbers stay as they arrived."""

import json

from batchback.json_text import Number, dump
from hypothesis import given
from hypothesis import strategies as st

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=values)
def test_each_value_is_on_its_own_line(value: object) -> None:
    assert dump(value) == json.dumps(value, indent=2)


def test_a_number_stays_as_it_arrived() -> None:
    text = "[\n  1.10,\n  1E2,\n  1e-400,\n  -0.0,\n  12345678901234567890.123\n]"
    assert dump(json.loads(text, parse_float=Number)) == text


def test_a_number_still_works_as_a_float() -> None:
    assert Number("1.10") == 1.1
    assert json.dumps([Number("1.10")]) == "[1.1]"
