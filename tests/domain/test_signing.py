"""Signatures: those of the published clients are accepted, and ours verify with a webhook
library."""

import base64
import json
import re
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any, ClassVar

import batchback.signing
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

import chalicelib.domain.signing
from chalicelib.domain.account import Account, Key, Secret
from chalicelib.domain.signing import (
    SignedRequest,
    basic_credentials,
    is_fresh,
    ivvy_headers,
    iws_credentials,
    iws_signature,
    iws_text,
    iws_verifies,
    webhook_headers,
)
from tests.fakes.clock import START
from tests.fakes.webhooks import verify
from tests.samples import DEMO_KEY, WEBHOOK_SECRET

Vector = dict[str, Any]
Sign = Callable[..., dict[str, str]]
Test = Callable[..., None]

VECTORS: list[Vector] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "iws-signing.json").read_text("utf-8")
)
SECOND, FIVE_MINUTES = timedelta(seconds=1), timedelta(minutes=5)
TARGET = "/api/1.0/test?action=ping"


@pytest.fixture(
    scope="module",
    params=[chalicelib.domain.signing, batchback.signing],
    ids=["service", "client"],
)
def sign(request: pytest.FixtureRequest) -> Sign:
    """`iws_headers` of the service, which signs calls to the platform, and that of the client."""
    made: Sign = request.param.iws_headers
    return made


def named(vectors: Sequence[Vector]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=[each["name"] for each in vectors])


every_vector = named(VECTORS)
valid_vectors = named([vector for vector in VECTORS if vector["valid"]])


def request_of(vector: Vector, *targets: str, **headers: str) -> SignedRequest:
    sent = {name.lower(): value for name, value in vector["headers"].items()}
    return SignedRequest(
        headers={**sent, **headers},
        targets=targets or (vector["target"],),
        body=vector["body"].encode(),
    )


def moment_of(vector: Vector) -> datetime:
    """When the request was sent, as the test parses it."""
    headers = vector["headers"]
    if "IVVY-Date" in headers:
        text, form = headers["IVVY-Date"].removesuffix(" UTC"), "%Y-%m-%d %H:%M:%S"
    else:
        text, form = headers["Date"].removesuffix(" UTC"), "%a, %d %b %Y %H:%M:%S"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def is_accepted(
    request: SignedRequest, vector: Vector, now: datetime, secrets: Sequence[str] = ()
) -> bool:
    """Does what the API does: read the header, check the date, try the live secrets."""
    credentials = iws_credentials(f"IWS {vector['key']}:{vector['signature']}")
    if credentials is None or credentials[0] != vector["key"] or not is_fresh(request, now):
        return False
    return any(
        iws_verifies(request, secret, credentials[1]) for secret in secrets or [vector["secret"]]
    )


class TestVectors:
    def test_there_are_some_of_each_kind(self) -> None:
        assert {vector["valid"] for vector in VECTORS} == {True, False}
        assert len(VECTORS) >= 11

    @every_vector
    def test_the_published_clients_signatures_verify_as_marked(self, vector: Vector) -> None:
        assert is_accepted(request_of(vector), vector, moment_of(vector)) is vector["valid"]

    @valid_vectors
    def test_the_signed_text_is_the_documented_one(self, vector: Vector) -> None:
        assert iws_text(request_of(vector), vector["target"]) == vector["string_to_sign"]

    @every_vector
    @pytest.mark.parametrize("stage", ["/api", "/prod", "/a/b"])
    def test_a_signature_over_either_path_is_judged_the_same_way(
        self, vector: Vector, stage: str
    ) -> None:
        """A gateway passes the path on with the stage or without it; the caller signed one of
        them."""
        request = request_of(vector, stage + vector["target"], vector["target"])
        assert is_accepted(request, vector, moment_of(vector)) is vector["valid"]

    @valid_vectors
    def test_a_signature_over_the_path_with_the_stage_verifies(self, vector: Vector) -> None:
        staged = "/api" + vector["target"]
        signature = iws_signature(iws_text(request_of(vector), staged), vector["secret"])
        signed = {**vector, "signature": signature}
        now = moment_of(vector)
        assert is_accepted(request_of(vector, vector["target"], staged), signed, now)
        assert not is_accepted(request_of(vector), signed, now)

    @valid_vectors
    def test_a_signature_over_another_path_does_not_verify(self, vector: Vector) -> None:
        request = request_of(vector, "/other" + vector["target"], "/api/1.0/batch?action=cancel")
        assert not is_accepted(request, vector, moment_of(vector))

    @valid_vectors
    def test_any_of_several_live_secrets_verifies(self, vector: Vector) -> None:
        request, now = request_of(vector), moment_of(vector)
        for secrets in (["new", vector["secret"]], [vector["secret"], "old"]):
            assert is_accepted(request, vector, now, secrets)
        assert not is_accepted(request, vector, now, ["new", "old"])

    @every_vector
    def test_the_md5_header_may_be_missing(self, vector: Vector) -> None:
        """A gateway may drop it; it is computed from the body."""
        sent = {key: value for key, value in vector["headers"].items() if key != "Content-MD5"}
        request = request_of({**vector, "headers": sent})
        assert is_accepted(request, vector, moment_of(vector)) is vector["valid"]

    @valid_vectors
    @pytest.mark.parametrize("name", ["content-md5", "x-amzn-remapped-content-md5"])
    def test_an_md5_header_is_compared_if_present(self, vector: Vector, name: str) -> None:
        now = moment_of(vector)
        sent = {key: value for key, value in vector["headers"].items() if key != "Content-MD5"}
        bare = {**vector, "headers": sent}
        for right in (vector["content_md5"], vector["content_md5"].upper()):
            assert is_accepted(request_of(bare, **{name: right}), vector, now)
        for wrong in ("0" * 32, vector["content_md5"][:-1], "é", "x"):
            assert not is_accepted(request_of(bare, **{name: wrong}), vector, now)

    @valid_vectors
    @pytest.mark.parametrize(
        "change",
        [
            {"content-type": "text/plain"},
            {"ivvy-date": "2026-11-23 14:49:06 UTC", "date": "Tue, 03 Apr 2012 22:23:25 UTC"},
            {"ivvy-more": "1"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_what_the_signature_covers_cannot_be_changed(
        self, vector: Vector, change: Mapping[str, str]
    ) -> None:
        request = request_of(vector, **change)
        assert not iws_verifies(request, vector["secret"], vector["signature"])

    @valid_vectors
    def test_a_date_renamed_by_the_gateway_is_read(self, vector: Vector) -> None:
        renamed = {
            "x-amzn-remapped-date" if name == "Date" else name: value
            for name, value in vector["headers"].items()
        }
        request = request_of({**vector, "headers": renamed})
        assert is_accepted(request, vector, moment_of(vector))

    @valid_vectors
    def test_signatures_ignore_case(self, vector: Vector) -> None:
        """As documented, the text is lower-cased before it is signed."""
        shouted = {name: value.upper() for name, value in vector["headers"].items()}
        request = request_of({**vector, "headers": shouted}, vector["target"].upper())
        assert iws_verifies(request, vector["secret"], vector["signature"])

    @valid_vectors
    @given(place=st.integers(0, 39), digit=st.sampled_from("0123456789abcdef"))
    def test_no_other_signature_verifies(self, vector: Vector, place: int, digit: str) -> None:
        right = vector["signature"]
        other = right[:place] + digit + right[place + 1 :]
        verifies = iws_verifies(request_of(vector), vector["secret"], other)
        assert verifies is (other == right)


def at(ivvy_date: str = "", date: str = "") -> SignedRequest:
    headers = {name: text for name, text in (("ivvy-date", ivvy_date), ("date", date)) if text}
    return SignedRequest(headers=headers, targets=(TARGET,), body=b"")


class TestFreshness:
    @pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S UTC"])
    @pytest.mark.parametrize(
        ("off", "fresh"),
        [
            (timedelta(), True),
            (FIVE_MINUTES, True),
            (-FIVE_MINUTES, True),
            (FIVE_MINUTES + SECOND, False),
            (-FIVE_MINUTES - SECOND, False),
            (timedelta(days=365), False),
        ],
    )
    def test_a_date_may_differ_by_five_minutes_either_way(
        self, form: str, off: timedelta, fresh: bool
    ) -> None:
        sent_at = START + off
        assert is_fresh(at(sent_at.strftime(form)), START) is fresh
        assert is_fresh(at(date=sent_at.strftime("%a, %d %b %Y %H:%M:%S GMT")), START) is fresh

    @pytest.mark.parametrize("vector", [VECTORS[0], VECTORS[3]], ids=lambda each: each["name"])
    def test_a_valid_signature_is_stale_after_five_minutes(self, vector: Vector) -> None:
        sent_at = moment_of(vector)
        assert is_accepted(request_of(vector), vector, sent_at + FIVE_MINUTES)
        assert not is_accepted(request_of(vector), vector, sent_at + FIVE_MINUTES + SECOND)

    @pytest.mark.parametrize(
        ("request_", "fresh"),
        [
            (at("2026-11-23 14:49:07", "Mon, 23 Nov 2020 14:49:07 GMT"), True),
            (at("2020-11-23 14:49:07", "Mon, 23 Nov 2026 14:49:07 GMT"), False),
            (at("nonsense", "Mon, 23 Nov 2026 14:49:07 GMT"), False),
        ],
    )
    def test_only_the_signed_date_counts(self, request_: SignedRequest, fresh: bool) -> None:
        assert is_fresh(request_, START) is fresh

    @pytest.mark.parametrize("zone", ["GMT", "UTC"])
    def test_a_date_is_an_http_date(self, zone: str) -> None:
        assert is_fresh(at(date=f"Mon, 23 Nov 2026 14:49:07 {zone}"), START)

    @pytest.mark.parametrize(
        "date",
        [
            "Mon, 23 Nov 2026 14:49:07 +0000",
            "Mon, 23 Nov 2026 14:49:07 -0000",
            "Tue, 24 Nov 2026 00:49:07 +1000",
            "Mon, 23 Nov 2026 14:49:07 +0000/prod",
            "Mon, 23 Nov 2026 14:49:07 GMT/prod",
            "Mon, 23 Nov 2026 14:49:07 EST",
            "Mon, 23 Nov 2026 14:49:07 Z",
            "Mon, 23 Nov 2026 14:49:07",
            "Mon, 23 Nov 2026 14:49:07 GMT ",
            "Mon, 23 Nov 2026 14:49:07 gmt",
            "Mon,  23 Nov 2026 14:49:07 GMT",
            "mon, 23 nov 2026 14:49:07 GMT",
            "Tue, 23 Nov 2026 14:49:07 GMT",
            "Mon, 23 Nov 0026 14:49:07 GMT",
            "Mon, 23 Nov 2026 14:49:07 GMT (London)",
            "Mon, ２３ Nov 2026 14:49:07 GMT",
            "23 Nov 2026 14:49:07 GMT",
            "Monday, 23-Nov-26 14:49:07 GMT",
            "Mon Nov 23 14:49:07 2026",
        ],
    )
    def test_no_other_form_of_a_date_is_accepted(self, date: str) -> None:
        assert not is_fresh(at(date=date), START)

    @pytest.mark.parametrize(
        "text",
        ["2026-11-23 14:49:07 utc", " 2026-11-23 14:49:07 UTC ", "2026-11-23 14.49.07 UTC"],
    )
    def test_an_ivvy_date_may_vary_slightly(self, text: str) -> None:
        assert is_fresh(at(text), START)

    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-23",
            "2026-11-23T14:49:07",
            "2026-11-23 14:49:07Z",
            "2026-11-23 14:49:07 GMT",
            "2026-11-23 14:49:07 UTC UTC",
            "2026-11-23 14:49",
            "2026-11-23 14:49.07",
            "2026-11-23 14-49-07",
            "2026.11.23 14.49.07",
            "2026-02-30 14:49:07",
            "2026-13-23 14:49:07",
            "0000-00-00 00:00:00",
            "2026-11-23 24:49:07",
            "99999-11-23 14:49:07",
            "now",
            "-",
            "\0",
        ],
    )
    def test_an_invalid_date_is_stale(self, text: str) -> None:
        assert not is_fresh(at(text), START)
        assert not is_fresh(at(text, "Mon, 23 Nov 2026 14:49:07 GMT"), START)

    def test_without_a_date_a_request_is_stale(self) -> None:
        assert not is_fresh(at(), START)

    @pytest.mark.parametrize(
        "text",
        [
            "1 Jan 99999999999 00:00:00 GMT",
            "99999999999 Jan 2026 00:00:00 GMT",
            "Mon, 23 Nov 2026 14:49:07 +99999999999999999999",
            "Mon, 23 Nov 2026 14:49:07 +9999",
            "Mon, 23 Nov 2026 25:61:61 GMT",
            "Fri, 31 Dec 9999 23:59:59 -2359",
            "Mon, 1 Jan 0001 00:00:00 +2359",
            "9" * 5_000,
            ",",
        ],
    )
    def test_an_impossible_date_is_stale(self, text: str) -> None:
        """Anybody can send it, because it is checked before any key is known."""
        assert not is_fresh(at(date=text), START)


def signature_of(request: SignedRequest) -> str:
    return iws_signature(iws_text(request, request.targets[0]), "secret")


def others_of_the_same_text(request: SignedRequest) -> Iterator[SignedRequest]:
    """Every request that signs the same text: the boundaries of its parts moved anywhere, in
    capitals, and with headers that are not signed because other headers have their names."""
    for other in with_moved_borders(request):
        yield other
        capitals = {name: value.upper() for name, value in other.headers.items()}
        yield replace(other, headers=capitals, targets=[other.targets[0].upper()])
        unsigned = {f"{name}-": "x" for name in ivvy_headers(other.headers)}
        if unsigned:
            yield replace(other, headers={**unsigned, **other.headers})


def with_moved_borders(request: SignedRequest) -> Iterator[SignedRequest]:
    text = unlowered_text(request)
    for version in re.finditer(re.escape("1.0"), text):
        for target, date in combinations_with_replacement(range(version.start(), -1, -1), 2):
            for ivvy in headers_of_the_text(text[version.end() :]):
                parts = {"content-type": text[:date], "date": text[date:target]}
                sent = {name: value for name, value in parts.items() if value}
                yield SignedRequest(
                    headers={**sent, **ivvy},
                    targets=[text[target : version.start()]],
                    body=request.body,
                )


def unlowered_text(request: SignedRequest) -> str:
    """What follows the method and the MD5, whose lengths are the same in every request."""
    headers = {**request.headers}
    content_type, date = headers.pop("content-type", ""), headers.pop("date", "")
    ivvy = "&".join(f"{name}={headers[name]}" for name in sorted(headers))
    text = f"{content_type}{'' if request.ivvy_date else date}{request.targets[0]}1.0{ivvy}"
    assert iws_text(request, request.targets[0])[36:] == text.lower()
    return text


def headers_of_the_text(text: str) -> Iterator[dict[str, str]]:
    """Every way to read it as IVVY headers: any `&` may separate two headers, and any `=` a name
    from its value."""
    for pieces in pieces_of(text.split("&")):
        for named in product(*map(names_and_values, pieces)):
            yield dict(named)


def pieces_of(parts: Sequence[str]) -> Iterator[list[str]]:
    if parts == [""]:
        yield []
        return
    for borders in product("&\0", repeat=len(parts) - 1):
        yield "".join(map(str.__add__, parts, [*borders, ""])).split("\0")


def names_and_values(piece: str) -> list[tuple[str, str]]:
    return [(piece[: at.start()], piece[at.end() :]) for at in re.finditer("=", piece)]


def all_signed(request: SignedRequest) -> SignedRequest:
    """The same request with only the signed headers, under the names that are signed."""
    signed = {"content-type": request.header("content-type"), "date": request.date}
    headers = {**signed, **ivvy_headers(request.headers)}
    return replace(request, headers={name: text for name, text in headers.items() if text})


def as_read(request: SignedRequest) -> tuple[object, ...]:
    """What a request says, except for the case of its letters, which no signature covers."""
    said = sorted((name, value.lower()) for name, value in request.headers.items())
    return said, request.targets[0].lower(), request.body


IVVY_DATE, DATE = "2026-11-23 14:49:07 utc", "Mon, 23 Nov 2026 14:49:07 GMT"
#: Contents of a part that look like another part, or like the boundary between two.
_lookalikes = st.lists(
    st.sampled_from(
        ["x", "/", "/prod", "/a", "?b=", "1.0", "&ivvyb=", "ivvydate=", IVVY_DATE, DATE, '"', ";c="]
    ),
    max_size=2,
).map("".join)
shifty_requests = st.builds(
    lambda content_type, date, path, query, ivvy: SignedRequest(
        headers={"content-type": content_type, **date, **ivvy},
        targets=[f"{path}?action=run{query}"],
        body=b"{}",
    ),
    content_type=st.sampled_from(["a/b", "a/b;", "a/b; c=d", 'a/b;c="/d"'])
    | _lookalikes.map(lambda text: f'a/b;c="{text}"')
    | _lookalikes.map("a/b{}".format),
    date=st.sampled_from([{}, {"date": DATE}, {"date": f"{DATE}/prod"}]),
    path=st.sampled_from(["/api", "/prod/api"]) | _lookalikes,
    query=_lookalikes | st.just(f"1.0ivvydate={IVVY_DATE}&ivvyb="),
    ivvy=st.dictionaries(st.sampled_from(["ivvya", "ivvyb"]), _lookalikes, max_size=1)
    | st.just({"ivvydate": IVVY_DATE}),
)


def made(parts: Mapping[str, str]) -> SignedRequest:
    headers = {name: value for name, value in parts.items() if name != "target"}
    return SignedRequest(headers=headers, targets=[parts["target"]], body=b"")


#: Requests that would sign the text of another one if they were not refused, each for a rule of its
#: own.
SHIFTS = [
    (
        {"date": "Mon, 23 Nov 2026 23:49:07 +0900", "target": "/prod/api/1.0/batch"},
        {"date": "Mon, 23 Nov 2026 23:49:07 +0900/prod", "target": "/api/1.0/batch"},
    ),
    (
        {"date": DATE, "target": "/prod/api/1.0/batch"},
        {"date": f"{DATE}/prod", "target": "/api/1.0/batch"},
    ),
    (
        {"content-type": "a/b", "date": DATE, "target": "/api"},
        {"content-type": f"a/b{DATE}", "target": "/api"},
    ),
    (
        {"content-type": "a/b", "target": "/prod/api"},
        {"content-type": "a/b/prod", "target": "/api"},
    ),
    (
        {"target": "/api?x=", "ivvydate": IVVY_DATE, "ivvyy": "1.0"},
        {"target": f"/api?x=1.0ivvydate={IVVY_DATE}&ivvyy="},
    ),
    (
        {"target": "/api", "ivvya": "1", "ivvydate": IVVY_DATE},
        {"target": "/api", "ivvya": f"1&ivvydate={IVVY_DATE}"},
    ),
    (
        {"target": "/api", "ivvya": "b=1", "ivvydate": IVVY_DATE},
        {"target": "/api", "ivvya=b": "1", "ivvydate": IVVY_DATE},
    ),
    (
        {"target": "/api", "ivvya": "1", "ivvyb": "2"},
        {"target": "/api", "ivvya=1&ivvyb": "2"},
    ),
    (
        {"target": "/api?x=", "ivvyb": f"1.0ivvydate={IVVY_DATE}"},
        {"target": "/api?x=1.0ivvyb=", "ivvydate": IVVY_DATE},
    ),
    (
        {"target": "/api?x=", "ivvydate": IVVY_DATE, "ivvyy": "1.0"},
        {"target": f"/api?x=1.0IVVYdate={IVVY_DATE}&ivvyy="},
    ),
    (
        {"target": "/api", "ivvya": "1", "ivvydate": IVVY_DATE},
        {"target": "/api", "ivvya": f"1&IVVYdate={IVVY_DATE}"},
    ),
    (
        {"target": "/api", "ivvydate": IVVY_DATE},
        {"target": "/api", "ivvy-date": "2026-11-24 00:00:00", "ivvydate": IVVY_DATE},
    ),
]


def all_shifts(test: Test) -> Test:
    for signed, _ in SHIFTS:
        test = example(request=made(signed))(test)
    return test


SHIFTED = {
    "docs-example",
    "docs-rule-date-header",
    "docs-rule-two-ivvy-headers",
    "net-run",
    "js-run",
}


class TestShifts:
    """The signed parts have no separator, and yet none can be shifted into the next."""

    @settings(max_examples=20)
    @given(request=shifty_requests)
    @all_shifts
    def test_no_two_requests_that_verify_have_the_same_text(self, request: SignedRequest) -> None:
        signature = signature_of(request)
        verifying = {
            repr(as_read(other))
            for other in others_of_the_same_text(request)
            if iws_verifies(other, "secret", signature)
        }
        assert len(verifying) <= 1

    @named([vector for vector in VECTORS if vector["name"] in SHIFTED])
    def test_no_shift_of_a_clients_text_verifies_but_its_own(self, vector: Vector) -> None:
        request = all_signed(request_of(vector))
        verifying = {
            repr(as_read(other))
            for other in others_of_the_same_text(request)
            if is_accepted(other, vector, moment_of(vector))
        }
        assert verifying == {repr(as_read(request))}

    @pytest.mark.parametrize(("signed", "sent"), SHIFTS)
    def test_no_part_can_be_shifted_into_the_next(
        self, signed: Mapping[str, str], sent: Mapping[str, str]
    ) -> None:
        first, second = map(made, (signed, sent))
        assert iws_text(first, first.targets[0]) == iws_text(second, second.targets[0])
        assert not iws_verifies(second, "secret", signature_of(first))


#: Any text that a header can contain, including text that only looks right.
header_texts = st.text() | st.text("IWS :0123456789abcdefABCDEF-,+é\0", max_size=60)
requests = st.builds(
    SignedRequest,
    headers=st.dictionaries(
        st.sampled_from(["content-type", "content-md5", "date", "ivvy-date", "ivvy-x", "IVVY_Y"])
        | st.text(),
        header_texts,
    ),
    targets=st.lists(st.text(), max_size=3).map(tuple),
    body=st.binary(),
)


class TestMalformed:
    """A malformed signature does not verify; it never raises an exception."""

    @given(request=requests, authorization=header_texts, secret=st.text())
    def test_random_headers_neither_raise_nor_verify(
        self, request: SignedRequest, authorization: str, secret: str
    ) -> None:
        assert not is_fresh(request, START)
        _, signature = iws_credentials(authorization) or ("", "0" * 40)
        assert not iws_verifies(request, secret, signature)
        basic_credentials(authorization)

    @pytest.mark.parametrize("name", ["content-type", "content-md5", "date", "ivvy-date", "ivvy-x"])
    def test_a_lone_surrogate_does_not_verify(self, name: str) -> None:
        """A gateway's event is JSON, which can contain one."""
        request = SignedRequest(headers={name: "\ud83d"}, targets=(TARGET,), body=b"")
        assert not is_fresh(request, START)
        assert not iws_verifies(request, "secret", "0" * 40)

    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "IWS",
            "IWS ",
            "IWS key",
            "IWS key:",
            "IWS key:" + "0" * 39,
            "IWS key:" + "0" * 41,
            "IWS key:" + "g" * 40,
            "IWS key:" + "\u0660" * 40,
            "IWS :" + "0" * 40,
            "IWS a:b:" + "0" * 40,
            "IWS a b:" + "0" * 40,
            "IWS " + "k" * 257 + ":" + "0" * 40,
            "IWS \ud800:" + "0" * 40,
            " IWS key:" + "0" * 40,
            "IWS key:" + "0" * 40 + "\n",
            "Basic key:" + "0" * 40,
        ],
    )
    def test_an_invalid_iws_header_names_no_key(self, authorization: str) -> None:
        assert iws_credentials(authorization) is None

    @pytest.mark.parametrize("key", ["k", "k" * 256, "é", "a/b+c=", '"'])
    def test_an_iws_header_names_its_key(self, key: str) -> None:
        assert iws_credentials(f"IWS {key}:{'aB' * 20}") == (key, "ab" * 20)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


class TestBasic:
    @pytest.mark.parametrize(
        ("authorization", "credentials"),
        [
            (basic("demo:demo-secret"), ("demo", "demo-secret")),
            (basic("demo:a:b"), ("demo", "a:b")),
            (basic("demo:"), ("demo", "")),
            (basic("é:😀"), ("é", "😀")),
            (basic("a:b").replace("Basic", "bASIC"), ("a", "b")),
            (basic("a:b").replace(" ", "  ") + " ", ("a", "b")),
        ],
    )
    def test_a_basic_header_names_key_and_secret(
        self, authorization: str, credentials: tuple[str, str]
    ) -> None:
        assert basic_credentials(authorization) == credentials

    @pytest.mark.parametrize(
        "authorization",
        [
            "",
            "Basic",
            "Basic ",
            "Basic a",
            "Basic !!!!",
            "Basic YTpi\nYTpi",
            "Basic 4pyTOsK9é",
            "Basic é",
            "Basic \ud83d",
            "Basic " + base64.b64encode(b"\xff:\xff").decode(),
            basic("no colon"),
            basic(":secret"),
            basic("k" * 257 + ":secret"),
            basic("two words:secret"),
            basic("demo:secret").replace("Basic", "Bearer"),
            basic("demo:secret").replace(" ", ""),
            "IWS demo:" + "0" * 40,
        ],
        ids=ascii,
    )
    def test_an_invalid_basic_header_names_no_key(self, authorization: str) -> None:
        assert basic_credentials(authorization) is None

    @given(key=st.from_regex(r"[^:\s]{1,256}", fullmatch=True), secret=st.text())
    def test_any_secret_can_be_sent_and_any_key_that_can_sign(self, key: str, secret: str) -> None:
        assert basic_credentials(basic(f"{key}:{secret}")) == (key, secret)


class TestOurRequests:
    @given(
        secret=st.text(),
        body=st.binary(),
        now=st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    )
    def test_our_own_requests_verify(
        self, sign: Sign, secret: str, body: bytes, now: datetime
    ) -> None:
        headers = sign(
            key="demo",
            secret=secret,
            target=TARGET,
            body=body,
            now=now,
            content_type="application/json",
        )
        named = iws_credentials(headers["X-Api-Authorization"])
        assert named is not None
        received = SignedRequest(
            headers={name.lower(): value for name, value in headers.items()},
            targets=(TARGET,),
            body=body,
        )
        assert named[0] == "demo"
        assert is_fresh(received, now)
        assert iws_verifies(received, secret, named[1])
        assert not iws_verifies(received, secret + "x", named[1])

    @named([vector for vector in VECTORS if vector["name"].startswith("net-")])
    def test_we_sign_as_the_published_client_does(self, sign: Sign, vector: Vector) -> None:
        ours = sign(
            key=vector["key"],
            secret=vector["secret"],
            target=vector["target"],
            body=vector["body"].encode(),
            now=moment_of(vector),
            content_type=vector["headers"]["Content-Type"],
        )
        assert ours == {
            **vector["headers"],
            "X-Api-Version": "1.0",
            "X-Api-Authorization": f"IWS {vector['key']}:{vector['signature']}",
        }

    def test_the_date_is_utc_in_any_time_zone(self, sign: Sign) -> None:
        there = START.astimezone(timezone(timedelta(hours=10)))
        headers = sign(key="k", secret="s", target=TARGET, body=b"", now=there, content_type="a")
        assert headers["IVVY-Date"] == "2026-11-23 14:49:07 UTC"


OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of 24 byte").decode()
MESSAGE_ID = "0123456789abcdef0123456789abcdef-1"
BODY = b'{"asyncId":"0123456789abcdef0123456789abcdef","results":[]}'


def callback(*secrets: str, body: bytes = BODY, now: datetime = START) -> dict[str, str]:
    """A callback's headers."""
    return webhook_headers(message_id=MESSAGE_ID, body=[body], secrets=secrets, now=now)


class TestCallbacks:
    def test_the_receivers_library_verifies_callbacks(self) -> None:
        verify(WEBHOOK_SECRET, BODY, callback(WEBHOOK_SECRET))

    @given(text=st.text())
    def test_any_body_can_be_signed(self, text: str) -> None:
        body = text.encode()
        verify(WEBHOOK_SECRET, body, callback(WEBHOOK_SECRET, body=body))

    def test_callbacks_have_the_signatures_of_the_specification(self) -> None:
        headers = callback(WEBHOOK_SECRET, now=START)
        assert headers == {
            "webhook-id": MESSAGE_ID,
            "webhook-timestamp": str(int(START.timestamp())),
            "webhook-signature": Webhook(WEBHOOK_SECRET).sign(MESSAGE_ID, START, BODY.decode()),
        }

    @given(blocks=st.lists(st.binary()))
    def test_a_body_in_blocks_has_the_signature_of_the_whole(self, blocks: list[bytes]) -> None:
        secrets = [OTHER_SECRET, WEBHOOK_SECRET]
        in_blocks = webhook_headers(message_id=MESSAGE_ID, body=blocks, secrets=secrets, now=START)
        assert in_blocks == callback(*secrets, body=b"".join(blocks), now=START)

    def test_each_secret_verifies_a_callback_during_a_rotation(self) -> None:
        headers = callback(OTHER_SECRET, WEBHOOK_SECRET)
        for secret in (OTHER_SECRET, WEBHOOK_SECRET):
            verify(secret, BODY, headers)
        assert re.fullmatch(r"v1,[^ ]{44} v1,[^ ]{44}", headers["webhook-signature"])

    @pytest.mark.parametrize(
        ("secret", "body", "change"),
        [
            (OTHER_SECRET, BODY, {}),
            (WEBHOOK_SECRET, BODY + b" ", {}),
            (WEBHOOK_SECRET, BODY, {"webhook-id": MESSAGE_ID[:-1] + "2"}),
            (WEBHOOK_SECRET, BODY, {"webhook-timestamp": str(int((START + SECOND).timestamp()))}),
        ],
        ids=["another secret", "another body", "another id", "another time"],
    )
    def test_a_changed_callback_does_not_verify(
        self, secret: str, body: bytes, change: Mapping[str, str]
    ) -> None:
        headers = {**callback(WEBHOOK_SECRET), **change}
        with pytest.raises(WebhookVerificationError):
            verify(secret, body, headers)

    def test_another_time_gives_another_signature(self) -> None:
        first, later = (
            callback(WEBHOOK_SECRET, now=START),
            callback(WEBHOOK_SECRET, now=START + SECOND),
        )
        assert first["webhook-signature"] != later["webhook-signature"]
        assert first["webhook-id"] == later["webhook-id"]

    def test_callbacks_are_signed_without_copying_the_body(self) -> None:
        """The body may be 50 MB, in a function with 512 MB."""
        body = bytes(2_000_000)
        tracemalloc.start()
        callback(WEBHOOK_SECRET, OTHER_SECRET, body=body)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 1_000_000

    def test_a_secret_that_is_not_base64_is_refused(self) -> None:
        """Otherwise it would silently differ from the receiver's secret."""
        with pytest.raises(ValueError):
            callback("whsec_" + "-_" * 16)

    def test_the_timestamp_does_not_depend_on_the_time_zone(self) -> None:
        there = START.astimezone(timezone(timedelta(hours=-10)))
        assert callback(WEBHOOK_SECRET, now=there) == callback(WEBHOOK_SECRET, now=START)


class TestSecrets:
    """Secrets are lists, newest first, and every live one counts."""

    SECRETS = (
        Secret(value="new-secret"),
        Secret(value="old-secret", expires_at=START + SECOND),
        Secret(value="older-secret", expires_at=START),
    )

    @pytest.mark.parametrize(
        ("now", "live"),
        [
            (START - SECOND, ["new-secret", "old-secret", "older-secret"]),
            (START, ["new-secret", "old-secret"]),
            (START + SECOND, ["new-secret"]),
        ],
    )
    def test_a_rotated_secret_lives_until_it_expires(self, now: datetime, live: list[str]) -> None:
        key = Key(key="demo", account="acme", secrets=self.SECRETS)
        account = Account(account="acme", callback_secrets=self.SECRETS)
        assert key.live_secrets(now) == live
        assert account.live_callback_secrets(now) == live

    @pytest.mark.parametrize(
        "holder",
        [
            SECRETS[0],
            Key(key="demo", account="acme", secrets=SECRETS),
            Account(account="acme", callback_secrets=SECRETS),
            [DEMO_KEY],
            SignedRequest(headers={"x": "a-secret"}, targets=(TARGET,), body=b"a-secret"),
        ],
        ids=["secret", "key", "account", "demo key", "request"],
    )
    def test_no_secret_is_in_a_repr(self, holder: object) -> None:
        for shown in (repr(holder), str(holder), f"{holder}"):
            assert "-secret" not in shown


class TestIvvyHeaders:
    """Signatures do not cover the spelling of names, so the spelling must not matter."""

    SIGNED: ClassVar = {"ivvy-date": "2026-11-23 14:49:08 UTC", "ivvy-idempotency-key": "k1"}

    def verifies(self, headers: dict[str, str]) -> bool:
        """Whether the signature made for SIGNED still verifies if these headers are sent."""
        target = "/api/1.0/batch?action=run"
        made = SignedRequest(headers=self.SIGNED, targets=[target], body=b"{}")
        signature = iws_signature(iws_text(made, target), "secret")
        sent = SignedRequest(headers=headers, targets=[target], body=b"{}")
        return iws_verifies(sent, "secret", signature)

    def test_any_spelling_of_the_signed_headers_verifies(self) -> None:
        assert self.verifies(self.SIGNED)
        assert self.verifies({name.replace("-", "_"): self.SIGNED[name] for name in self.SIGNED})

    @pytest.mark.parametrize("spelling", ["ivvy_date", "ivvydate", "ivvy--date", "ivvy-date-"])
    @pytest.mark.parametrize("comes_first", [True, False])
    def test_a_second_date_in_another_spelling_does_not_make_a_request_fresh(
        self, spelling: str, comes_first: bool
    ) -> None:
        forged = {"ivvy-date": "2026-11-24 00:00:00 UTC"}
        signed = {"ivvy-idempotency-key": "k1", spelling: self.SIGNED["ivvy-date"]}
        assert not self.verifies({**forged, **signed} if comes_first else {**signed, **forged})

    def test_the_date_is_the_signed_one_whatever_its_spelling(self) -> None:
        request = SignedRequest(
            headers={"ivvy_date": "2026-11-23 14:49:08 UTC", "date": "x"}, targets=[], body=b""
        )
        assert request.ivvy_date == "2026-11-23 14:49:08 UTC"

    def test_a_header_cannot_be_hidden_in_the_value_of_another(self) -> None:
        hidden = f"{self.SIGNED['ivvy-date']}&ivvyidempotencykey=k1"
        assert not self.verifies({"ivvy-date": hidden})
