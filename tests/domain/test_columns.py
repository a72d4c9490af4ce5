"""Any texts come back unchanged from their columns; similar ones share a frame."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.columns import from_columns, to_columns
from chalicelib.domain.strict_json import dump

#: Characters that cut and separate, so that cuts fall in unusual places.
punctuation = st.text(alphabet='",:[]{}\\\t\n\r\x00-0123456789.eE+ aé\u2028😀')
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
texts = punctuation | st.text() | values.map(dump) | values.map(json.dumps)


def lines_of(texts: Sequence[str]) -> list[str]:
    return to_columns(texts).split("\n")[1:]


@given(given=st.lists(texts, max_size=6))
def test_texts_come_back_unchanged(given: list[str]) -> None:
    assert from_columns(to_columns(given)) == given


@pytest.mark.parametrize("between", ["\t", "\n", "\\\t", "\\\n"])
def test_separators_may_occur_in_strings(between: str) -> None:
    """In JSON they never do; otherwise the string is not a value."""
    given = [f'{{"a":"{n}{between}{n}","n":{n}}}' for n in range(3)]
    assert from_columns(to_columns(given)) == given


@given(text=texts, times=st.integers(2, 4))
def test_equal_texts_are_kept_once(text: str, times: int) -> None:
    stored = to_columns([text] * times)
    assert from_columns(stored) == [text] * times
    assert all(set(line) <= {"\t"} for line in stored.split("\n")[1:])


def test_a_line_contains_the_values_of_one_column() -> None:
    given = [f'{{"id":{id},"link":"https://a.example/{id}/yes"}}' for id in (17, 18, 25)]
    assert lines_of(given) == ["17\t18\t25", "17\t18\t25", "\t\t"]


def test_texts_of_several_shapes_share_their_common_columns() -> None:
    given = ['{"id":1,"name":"Ann"}', '{"id":2}', '{"id":3,"name":"Bob","age":40}']
    assert lines_of(given)[:2] == ["1\t2\t3", "Ann\tBob"]


def test_a_single_text_stays_whole() -> None:
    assert lines_of(['{"id":1}']) == [""]


def test_a_long_text_stays_whole() -> None:
    given = [dump([*range(1_000)]), dump([*range(2_000)])]
    assert len(given[0]) < 4_000 < len(given[1])
    assert json.loads(to_columns(given).split("\n")[0])[0][-1] == [given[1], ""]
    assert from_columns(to_columns(given)) == given


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "[]",
        "{}",
        "3",
        "[[],[],[0]]",  # a missing shape
        '[[["a",""]],[[0]],[0]]',  # a missing line
        '[[["a",""]],[[0]],[0]]\n\t',  # an extra value
        '[[["a",""]],[[0]],[0,0]]\n',  # a missing value
        '[[["a"]],[[0]],[0]]\n',
        '[[["a",1]],[[0]],[0]]\n',
        '[[["a",""]],[[1]],[0]]\n',
        '[[["a",""]],[["0"]],[0]]\n',
        '[[["a",""]],[[0]],["0"]]\n',
        '[[["a",""]],[[0]],3]\n',
        '[[["a",""]],3,[0]]\n',
        '[[["a",""]],[[0]],[0]]\n\n',  # an extra line
    ],
)
def test_invalid_columns_are_an_error(stored: str) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        from_columns(stored)
