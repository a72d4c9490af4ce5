"""Which paths and queries a caller may have signed, derived from what API Gateway passes on."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from urllib.parse import parse_qs, quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.targets import MAX_CHARACTERS, MAX_PARAMETERS, as_sent

PATHS = ("/api/1.0/batch", "/prod/api/1.0/batch")
Query = Mapping[str, Sequence[str]]

texts = st.text(max_size=8) | st.text(" +%&=;#/?~*'é\ud83d", max_size=8)
queries = st.dictionaries(texts, st.lists(texts, min_size=1, max_size=3), max_size=5)
#: How clients encode a parameter, each in its own way.
styles = st.sampled_from(
    [
        partial(quote, safe=""),  # .NET's Uri.EscapeDataString, Ruby's ERB
        partial(quote, safe="!'()*"),  # JavaScript's encodeURIComponent
        partial(quote, safe="!$'()*,:;=@/?"),  # only what RFC 3986 requires: requests
        partial(quote, safe="!$'()*,:;=@/?[]"),  # the URI of Java and .NET, of a whole URL
        partial(quote, safe="!$()*,:;=@/?[]\\^`{|}"),  # JavaScript's URL
        partial(quote_plus, safe=""),  # Python's urlencode, Go's url.Values
    ]
)
valid_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def queries_of(targets: Sequence[str]) -> list[str]:
    return [target.removeprefix(PATHS[0]) for target in targets if target.startswith(PATHS[0])]


@given(query=queries)
def test_every_spelling_decodes_to_the_parameters(query: Query) -> None:
    """So no two different queries share a spelling."""
    for spelling in queries_of(as_sent(PATHS, query)):
        assert parse_qs(spelling.removeprefix("?"), keep_blank_values=True) == query


@given(
    pairs=st.lists(st.tuples(valid_texts, valid_texts), min_size=1, max_size=3),
    style=styles,
    end=st.sampled_from(["", "&"]),
)
def test_the_spelling_of_every_client_is_tried(
    pairs: list[tuple[str, str]], style: Callable[[str], str], end: str
) -> None:
    pairs.sort(key=lambda pair: pair[0])  # equal names stay together
    sent = "&".join(f"{style(name)}={style(value)}" for name, value in pairs) + end
    query = parse_qs(sent, keep_blank_values=True)
    assert f"{PATHS[0]}?{sent}" in as_sent(PATHS, query)
    assert f"{PATHS[1]}?{sent}" in as_sent(PATHS, query)


@pytest.mark.parametrize(
    ("sent", "query"),
    [
        ("", {}),
        ("?", {}),
        ("?action=run", {"action": ["run"]}),
        ("?action=run&", {"action": ["run"]}),
        ("?action=run&debug", {"action": ["run"], "debug": [""]}),
        ("?action=run&debug=", {"action": ["run"], "debug": [""]}),
        ("?debug&action=run", {"action": ["run"], "debug": [""]}),
        ("?a=b*c~d e", {"a": ["b*c~d e"]}),
        ("?a=b*c%7Ed+e", {"a": ["b*c~d e"]}),  # Java's URLEncoder
        ("?a=1&a=2", {"a": ["1", "2"]}),
        ("?f[x]=it%27s%20|", {"f[x]": ["it's |"]}),  # JavaScript's URL
        ("?f[x]=it's%20%7C", {"f[x]": ["it's |"]}),  # Java's URI
        ("?a=é", {"a": ["é"]}),
        ("?a=x=y/z", {"a": ["x=y/z"]}),
    ],
)
def test_these_spellings_are_tried(sent: str, query: Query) -> None:
    assert sent in queries_of(as_sent(PATHS, query))


@pytest.mark.parametrize(
    ("sent", "query"),
    [
        ("?a=b&c=d", {"a": ["b&c=d"]}),
        ("?a=b+c", {"a": ["b+c"]}),
        ("?a=b%20c", {"a": ["b%20c"]}),
        ("?a=2&a=1", {"a": ["1", "2"]}),
        ("?a&b", {"a": [""]}),
    ],
)
def test_spellings_of_other_parameters_are_not_tried(sent: str, query: Query) -> None:
    assert sent not in queries_of(as_sent(PATHS, query))


def test_a_path_with_a_question_mark_is_not_tried() -> None:
    assert as_sent(["/api/1.0/batch?action=run"], {}) == []


@pytest.mark.parametrize(
    ("longest", "more"),
    [
        ({str(name): [""] for name in range(MAX_PARAMETERS)}, {"more": [""]}),
        ({"a": [""] * (MAX_PARAMETERS - 1)}, {"b": ["1", "2"]}),
        ({"a": ["é" * (MAX_CHARACTERS - 1)]}, {"b": [""]}),
    ],
)
def test_a_longer_query_has_no_spelling(longest: Query, more: Query) -> None:
    """Anybody can send one, because spellings are made before any key is known."""
    assert as_sent(PATHS, longest)
    assert as_sent(PATHS, {**longest, **more}) == []


@given(query=queries)
def test_there_are_never_many_spellings(query: Query) -> None:
    assert len(as_sent(PATHS[:1], query)) <= 60


def test_the_one_query_of_the_api_has_few_spellings() -> None:
    assert as_sent(PATHS[:1], parse_qs(urlencode({"action": "run"}))) == [
        "/api/1.0/batch?action=run",
        "/api/1.0/batch?action=run&",
    ]
