"""Which headers a caller may have sent with its callback."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.callback_headers import MAX_HEADERS_BYTES, why_not_headers

SECRET = "canary of a value"
NAME_RULE = "must be letters, digits and !#$%&'*+-.^_`|~"
VALUE_RULE = "must be printable ASCII, not empty, without spaces at its ends"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer abc=="},
        {"X-Api-Key": "!~ \"{}'"},
        {"!#$%&'*+-.^_`|~": "1", "Cookie": "a=b; c=d"},
        {f"X-{n}": "v" for n in range(10)},
        {"X": "v" * (MAX_HEADERS_BYTES - 1)},
        {"Webhook": "1", "Contents": "1", "Hosts": "1", "X-Forwarded": "1", "Tea": "1"},
    ],
)
def test_ordinary_headers_are_accepted(headers: dict[str, str]) -> None:
    assert why_not_headers(headers) == []


@pytest.mark.parametrize("headers", [1, 0, True, "", "a: b", [], [["a", "b"]]])
def test_anything_but_an_object_is_refused(headers: object) -> None:
    assert why_not_headers(headers) == ["must be an object"]


@pytest.mark.parametrize(
    "name",
    [
        "Host Connection Content-Type Content-Length content-anything Transfer-Encoding TE Expect",
        "Upgrade User-Agent Forwarded X-Forwarded-For X-FORWARDED-anything Proxy-Authorization",
        "webhook-id webhook-signature WEBHOOK-anything Idempotency-Key traceparent tracestate",
        "Accept-Encoding Keep-Alive Trailer",
        "Webhook_Id Content_Length x_forwarded_for HOST",
        "webhook.id Content+Length x~forwarded!for transfer|encoding user^agent",
    ],
)
def test_reserved_headers_are_refused(name: str) -> None:
    """In any case, and also as read by servers that take `_` or another character for `-`."""
    for each in name.split():
        assert why_not_headers({each: SECRET}) == [f"{each} may not be set: choose another name"]
        for spelling in (each.lower(), each.upper()):
            assert why_not_headers({spelling: SECRET}) != []


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a:", ":a", "a\n", "a\r\nB", "é", "\u212a", "\ud83d", "\0", '"a"', "a/b"],
)
def test_an_invalid_name_is_not_repeated(name: str) -> None:
    assert why_not_headers({"X-A": "1", name: SECRET}) == [f"the name of header 2 {NAME_RULE}"]


@pytest.mark.parametrize(
    "value",
    ["", " ", " a", "a ", "\ta", "a\tb", "a\n", "a\r\nB: c", "\0", "\x7f", "é", "\u0430", "\ud83d"],
)
def test_a_value_must_be_one_line_of_printable_ascii(value: str) -> None:
    assert why_not_headers({"X-A": value}) == [f"X-A {VALUE_RULE}"]


@pytest.mark.parametrize("value", [None, 1, True, [], {}, ["a"]])
def test_a_value_must_be_a_string(value: object) -> None:
    assert why_not_headers({"X-A": value}) == ["X-A must be a string"]


def test_a_name_may_not_be_repeated() -> None:
    headers = {"X-A": SECRET, "x-a": SECRET, "X-a": SECRET, "X_A": SECRET}
    assert why_not_headers(headers) == [
        "x-a is repeated: header names ignore case",
        "X-a is repeated: header names ignore case",
    ]


def test_ten_headers_are_the_limit_whatever_their_faults() -> None:
    headers = {f"X {n}": SECRET for n in range(11)}
    assert why_not_headers(headers) == ["holds 11 headers, over the limit of 10"]


def test_4_kb_are_the_limit() -> None:
    headers = {"X-A": "v" * 2_000, "X-B": "v" * 2_091}
    assert why_not_headers(headers) == ["holds 4097 bytes, over the limit of 4096"]


def test_a_long_name_is_cut() -> None:
    assert why_not_headers({"n" * 2_000_000: ""}) == [f"{'n' * 64} {VALUE_RULE}"]


def test_all_faults_are_reported_together() -> None:
    assert why_not_headers({"Host": "a", "X-A": 1, "é": "a", "x-a": "a\n"}) == [
        "Host may not be set: choose another name",
        "X-A must be a string",
        f"the name of header 3 {NAME_RULE}",
        f"x-a {VALUE_RULE}",
        "x-a is repeated: header names ignore case",
    ]


@given(name=st.text(), value=st.text(min_size=1).map(lambda text: f"{SECRET}{text}"))
def test_no_reason_repeats_a_value(name: str, value: str) -> None:
    for reason in why_not_headers({name: value}):
        assert SECRET not in reason
        assert reason.isprintable()


@given(headers=st.dictionaries(st.text(), st.text(), max_size=3))
def test_accepted_headers_can_be_sent(headers: dict[str, str]) -> None:
    if why_not_headers(headers) == []:
        for name, value in headers.items():
            line = f"{name}: {value}"
            assert line.isascii()
            assert line.isprintable()
            assert line.split(": ", 1) == [name, value]
