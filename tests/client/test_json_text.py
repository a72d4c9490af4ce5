"""What commands print is JSON as json.dumps writes it, but for numbers: those stay as they came."""

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
def test_it_is_json_with_a_line_for_each_value(value: object) -> None:
    assert dump(value) == json.dumps(value, indent=2)


def test_a_number_stays_as_it_came() -> None:
    text = "[\n  1.10,\n  1E2,\n  1e-400,\n  -0.0,\n  12345678901234567890.123\n]"
    assert dump(json.loads(text, parse_float=Number)) == text


def test_a_number_is_one_all_the_same() -> None:
    assert Number("1.10") == 1.1
    assert json.dumps([Number("1.10")]) == "[1.1]"
