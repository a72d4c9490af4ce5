"""What is accepted as JSON from callers, and that every accepted value passes through unchanged.
The client has the same rules, so that it refuses the same."""

import gc
import json
import math
from contextlib import suppress
from types import ModuleType
from typing import Any

import batchback.strict_json
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chalicelib.domain.strict_json

#: Strings as JSON can contain them, including lone surrogates; pairs of them are joined.
strings = (st.text() | st.text(alphabet=["\ud83d", "\ude00", "\\", '"', "u", "é", "\0"])).map(
    lambda text: json.loads(json.dumps(text))
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
    max_leaves=10,
)


SERVICE, CLIENT = chalicelib.domain.strict_json, batchback.strict_json


@pytest.fixture(scope="module", params=[SERVICE, CLIENT], ids=["service", "client"])
def strict_json(request: pytest.FixtureRequest) -> ModuleType:
    """Both implementations."""
    module: ModuleType = request.param
    return module


def why_not(strict_json: ModuleType, body: bytes) -> str:
    """The message for the caller."""
    with pytest.raises(strict_json.NotStrictJson) as refused:
        strict_json.parse(body)
    return str(refused.value)


def nested(depth: int, inside: str = "") -> bytes:
    return ("[" * depth + inside + "]" * depth).encode()


class TestValues:
    @given(value=values)
    def test_every_value_passes_through_unchanged(
        self, strict_json: ModuleType, value: Any
    ) -> None:
        """`repr` distinguishes 1 from 1.0 and from True, and -0.0 from 0.0."""
        came = strict_json.parse(json.dumps(value).encode())
        assert repr(came) == repr(value)
        goes = strict_json.dump(came).encode()
        assert repr(strict_json.parse(goes)) == repr(value)
        assert repr(json.loads(goes)) == repr(value)

    @given(value=values)
    def test_text_is_compact_and_only_lone_surrogates_are_escaped(
        self, strict_json: ModuleType, value: Any
    ) -> None:
        plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        text = strict_json.dump(value)
        assert len(text) >= len(plain)
        if plain.isascii():
            assert text == plain

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            ("1.0", "1.0"),
            ("-0.0", "-0.0"),
            ("1E2", "100.0"),
            ("1e-999", "0.0"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("9007199254740993", "9007199254740993"),
            ('"\\u00e9"', '"é"'),
            ('"\\ud83d\\ude00"', '"😀"'),
            ('"\\ud83d"', '"\\ud83d"'),
            ('"\\ude00\\ud83d"', '"\\ude00\\ud83d"'),
            ('"\\\\\\ud83d"', '"\\\\\\ud83d"'),
            ('{"\\ud83d":1}', '{"\\ud83d":1}'),
            ('"\\u0000"', '"\\u0000"'),
            (' { "b" : 1 ,\r\n\t"a" : [ ] } ', '{"b":1,"a":[]}'),
            ('{"":{"":null}}', '{"":{"":null}}'),
        ],
    )
    def test_how_values_are_written(self, strict_json: ModuleType, body: str, text: str) -> None:
        assert strict_json.dump(strict_json.parse(body.encode())) == text

    @pytest.mark.parametrize("sign", ["", "-"])
    def test_integers_of_up_to_4300_digits_are_accepted(
        self, strict_json: ModuleType, sign: str
    ) -> None:
        longest = sign + "9" * 4_300
        assert strict_json.dump(strict_json.parse(f"[{longest}]".encode())) == f"[{longest}]"

    @pytest.mark.parametrize("sign", ["", "-"])
    def test_longer_integers_are_refused(self, strict_json: ModuleType, sign: str) -> None:
        assert strict_json.MAX_DIGITS == 4_300
        assert "4300" in why_not(strict_json, f'{{"a":{sign}1{"0" * 4_300}}}'.encode())

    def test_a_long_fraction_is_an_ordinary_double(self, strict_json: ModuleType) -> None:
        assert strict_json.parse(b"0." + b"3" * 10_000) == 1 / 3
        assert strict_json.parse(b"1" + b"0" * 300 + b".0") == 1e300


class TestDepth:
    @pytest.mark.parametrize("inside", ["", "1", '"a"', "null"])
    def test_64_levels_are_accepted(self, strict_json: ModuleType, inside: str) -> None:
        assert strict_json.MAX_DEPTH == 64
        assert strict_json.dump(strict_json.parse(nested(64, inside))).encode() == nested(
            64, inside
        )

    @pytest.mark.parametrize("inside", ["", "1", "{}", "[]"])
    def test_65_levels_are_refused(self, strict_json: ModuleType, inside: str) -> None:
        assert "64" in why_not(strict_json, nested(65, inside))

    @pytest.mark.parametrize("inside", ["", "1"])
    def test_objects_are_levels_too(self, strict_json: ModuleType, inside: str) -> None:
        def objects(depth: int) -> bytes:
            return ('{"a":' * depth + (inside or "{}") + "}" * depth).encode()

        depth = 64 if inside else 63
        assert strict_json.parse(objects(depth))
        assert "64" in why_not(strict_json, objects(depth + 1))

    @pytest.mark.parametrize("depth", [66, 1_000, 100_000, 3_000_000])
    def test_any_excessive_depth_gets_the_same_message(
        self, strict_json: ModuleType, depth: int
    ) -> None:
        assert why_not(strict_json, nested(depth)) == why_not(strict_json, nested(66, "1"))

    @pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
    @pytest.mark.parametrize("times", [65, 100_000])
    def test_brackets_that_never_close_are_levels_too(
        self, strict_json: ModuleType, opening: str, times: int
    ) -> None:
        assert why_not(strict_json, (opening * times).encode()) == why_not(strict_json, nested(66))

    def test_a_wide_value_is_not_deep(self, strict_json: ModuleType) -> None:
        body = "[" + ",".join(["[[]]"] * 10_000) + "]"
        assert strict_json.dump(strict_json.parse(body.encode())) == body

    @given(
        text=st.text('[]{}"\\a,:é', max_size=80)
        | st.lists(st.sampled_from(['"', "\\", "[" * 70, "]" * 70])).map("".join)
    )
    def test_brackets_in_strings_are_not_levels(self, strict_json: ModuleType, text: str) -> None:
        assert strict_json.parse(json.dumps([text, {text: [text]}]).encode())
        assert strict_json.parse(json.dumps({text: text}, ensure_ascii=False).encode())


class TestContainers:
    """A limit that only the service has, to protect its memory."""

    def test_a_million_is_accepted_and_one_more_is_refused(
        self,
    ) -> None:
        assert SERVICE.MAX_CONTAINERS == 1_000_000
        million = "[" + ",".join(["{}", "[]"] * 499_999 + ["{}"]) + "]"
        assert SERVICE.parse(million.encode())
        assert "more than 1000000 arrays and objects" in why_not(SERVICE, f"[{million}]".encode())

    def test_brackets_in_strings_do_not_count(
        self,
    ) -> None:
        text = "[{" * 1_000_000
        assert SERVICE.parse(json.dumps(text).encode()) == text

    @pytest.mark.parametrize("body", [b"[]", b"[", b"\xff"])
    def test_the_garbage_collector_keeps_its_state(self, body: bytes) -> None:
        for set_to in (gc.disable, gc.enable):
            set_to()
            was_enabled = gc.isenabled()
            with suppress(SERVICE.NotStrictJson):
                SERVICE.parse(body)
            assert gc.isenabled() is was_enabled


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "word"),
        [
            (b"NaN", "NaN"),
            (b'{"a":[NaN]}', "NaN"),
            (b"Infinity", "Infinity"),
            (b"[-Infinity]", "-Infinity"),
            (b"1e309", "too large"),
            (b"[-1e309]", "too large"),
            (b"1" + b"0" * 400 + b".0", "too large"),
            (b'{"a":1,"a":1}', "'a'"),
            (b'{"x":[{"a":1,"b":2,"a":3}]}', "'a'"),
            (b'{"a":1,"\\u0061":2}', "'a'"),
            (b'{"":1,"":2}', "''"),
            (b'\xef\xbb\xbf{"a":1}', "not JSON"),
            ('{"a":1}'.encode("utf-16"), "UTF-8"),
            (b'"\xff"', "at byte 1"),
            (b'"\xc3"', "UTF-8"),
            (b'"\xed\xa0\xbd"', "UTF-8"),
            (b'"\xc0\xaf"', "UTF-8"),
            (b"", "not JSON"),
            (b"  ", "not JSON"),
            (b"{", "not JSON"),
            (b"[1,]", "not JSON"),
            (b'{"a":1,}', "not JSON"),
            (b"{'a':1}", "not JSON"),
            (b"{a:1}", "not JSON"),
            (b"[1] []", "not JSON"),
            (b"01", "not JSON"),
            (b"-01", "not JSON"),
            (b"+1", "not JSON"),
            (b".5", "not JSON"),
            (b"1.", "not JSON"),
            (b"0x10", "not JSON"),
            (b"// a\n1", "not JSON"),
            (b'"a\nb"', "not JSON"),
            (b'"\x00"', "not JSON"),
            (b'"\\x41"', "not JSON"),
            (b'"\\ud8"', "not JSON"),
            (b"True", "not JSON"),
            ("\u00a0[]".encode(), "not JSON"),
        ],
    )
    def test_invalid_json_is_refused_with_a_message(
        self, strict_json: ModuleType, body: bytes, word: str
    ) -> None:
        assert word in why_not(strict_json, body)

    def test_the_same_key_in_different_objects_is_fine(self, strict_json: ModuleType) -> None:
        body = b'{"a":{"a":[{"a":1},{"a":2}]}}'
        assert strict_json.parse(body) == {"a": {"a": [{"a": 1}, {"a": 2}]}}

    @pytest.mark.parametrize(
        "body",
        [
            b'{"' + b"k" * 100_000 + b'":1,"' + b"k" * 100_000 + b'":2}',
            b"1" * 100_000,
            b"1" * 100_000 + b".0",
            b'{"\\ud83d":1,"\\ud83d":2}',
        ],
    )
    def test_messages_are_short_and_can_be_sent(self, strict_json: ModuleType, body: bytes) -> None:
        assert len(why_not(strict_json, body).encode()) < 300

    @given(
        body=st.binary() | st.text().map(str.encode) | st.text('[]{}":,1e-.n\\u ').map(str.encode)
    )
    def test_any_bytes_are_json_or_refused(self, strict_json: ModuleType, body: bytes) -> None:
        try:
            value = strict_json.parse(body)
        except strict_json.NotStrictJson:
            return
        assert json.loads(body.decode()) == value

    @given(number=st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,9})?[eE][+-]?[0-9]{1,4}", fullmatch=True))
    def test_no_number_becomes_infinite(self, strict_json: ModuleType, number: str) -> None:
        try:
            value = strict_json.parse(number.encode())
        except strict_json.NotStrictJson:
            return
        assert isinstance(value, float)
        assert math.isfinite(value)


@given(body=st.binary() | st.text('[]{}":,1e-.n\\u ').map(str.encode))
def test_both_implementations_agree(body: bytes) -> None:
    """Both return the same value or the same message."""
    assert outcome(CLIENT, body) == outcome(SERVICE, body)


def outcome(strict_json: ModuleType, body: bytes) -> object:
    try:
        return repr(strict_json.parse(body))
    except ValueError as refused:
        return refused.args
