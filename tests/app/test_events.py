"""Events from API Gateway other than plain requests; none of them breaks the API."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain import signing
from tests.app.conftest import Answer, Front, basic
from tests.app.events import http_event

RUN = {
    "jobs": [{"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}],
    "callbackUrl": "https://example.com/callback",
}
RUN_BYTES = json.dumps(RUN).encode()
PING = "/api/1.0/test?action=ping"


def event(
    action: str = "run", body: bytes = RUN_BYTES, *, namespace: str = "batch", **more: Any
) -> dict[str, Any]:
    headers = basic("demo", "demo-secret")
    made = http_event("POST", namespace, query={"action": [action]}, headers=headers, body=body)
    return made | more


def code(answer: Answer) -> tuple[int, int]:
    return answer.status, answer.json.get("specificCode", 0)


class TestBodies:
    def test_a_body_in_base64_is_the_same_body(self, front: Front) -> None:
        encoded = event(body=b"", isBase64Encoded=True) | {
            "body": base64.b64encode(RUN_BYTES).decode()
        }
        assert front.take(encoded).status == 200
        front.work_off()
        assert front.platform.calls[0].params == {"event": 1}

    @pytest.mark.parametrize("is_encoded", [True, False, None])
    @pytest.mark.parametrize("body", [None, ""])
    def test_no_body_is_an_empty_body(
        self, front: Front, body: str | None, is_encoded: bool | None
    ) -> None:
        assert code(front.take(event() | {"body": body, "isBase64Encoded": is_encoded})) == (
            400,
            23017,
        )

    def test_invalid_base64_is_an_internal_error(self, front: Front) -> None:
        """API Gateway encodes the body itself."""
        assert code(front.take(event() | {"body": "a", "isBase64Encoded": True})) == (500, 0)

    def test_a_lone_surrogate_is_not_utf_8(self, front: Front) -> None:
        assert code(front.take(event(body=b'{"a":"\xed\xa0\x80"}'))) == (400, 23016)


class TestHeaders:
    @pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, str.swapcase])
    def test_the_case_of_header_names_does_not_matter(self, front: Front, spell: Any) -> None:
        headers = {spell(name): value for name, value in basic("demo", "demo-secret").items()}
        assert front.take(event() | {"headers": headers}).status == 200

    def test_the_last_of_two_spellings_of_a_header_counts(self, front: Front) -> None:
        headers = {**basic("demo", "wrong"), "AUTHORIZATION": _authorization("demo-secret")}
        assert front.take(event() | {"headers": headers}).status == 200
        headers = {**basic("demo", "demo-secret"), "AUTHORIZATION": _authorization("wrong")}
        assert front.take(event() | {"headers": headers}).status == 401

    def test_the_value_that_api_gateway_picked_from_repeated_headers_counts(
        self, front: Front
    ) -> None:
        """Its `headers` has the last value; all values are in `multiValueHeaders`."""
        twice = {"Authorization": [_authorization("demo-secret"), _authorization("wrong")]}
        headers = {"Authorization": twice["Authorization"][-1]}
        assert front.take(event() | {"headers": headers, "multiValueHeaders": twice}).status == 401

    @pytest.mark.parametrize("headers", [None, {}])
    def test_a_request_without_headers_is_refused(
        self, front: Front, headers: dict[str, str] | None
    ) -> None:
        assert code(front.take(event() | {"headers": headers, "multiValueHeaders": None})) == (
            401,
            0,
        )


def _authorization(secret: str) -> str:
    return basic("demo", secret)["Authorization"]


class TestOtherParts:
    @pytest.mark.parametrize("missing", ["path", "stage", "identity", "requestId", "domainName"])
    @pytest.mark.parametrize("value", ["absent", None])
    def test_a_signature_verifies_whatever_is_missing_from_the_context(
        self, front: Front, missing: str, value: str | None
    ) -> None:
        headers = signing.iws_headers(
            key="demo",
            secret="demo-secret",
            target=PING,
            body=b"{}",
            now=front.clock.now(),
            content_type="application/json",
        )
        signed = event("ping", b"{}", namespace="test", headers=headers)
        context = {**signed["requestContext"], missing: value}
        if value == "absent":
            del context[missing]
        assert front.take(signed | {"requestContext": context}).status == 200

    @pytest.mark.parametrize("query", [None, {}, {"action": []}, {"action": [""]}])
    def test_a_request_without_an_action_is_refused(self, front: Front, query: Any) -> None:
        assert code(front.take(event() | {"multiValueQueryStringParameters": query})) == (
            400,
            23017,
        )

    def test_what_chalice_does_not_read_may_be_missing(self, front: Front) -> None:
        sent = event()
        for name in ("resource", "path", "httpMethod", "multiValueHeaders", "isBase64Encoded"):
            del sent[name]
        assert front.take(sent).status == 200


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["batch", "0" * 32, "https://example.com/", "http://127.0.0.1/", ""])
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["namespace", "action", "params"]) | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
parameters = st.dictionaries(
    st.sampled_from(
        ["jobs", "callbackUrl", "async", "asyncId", "start", "perPage", "partial", "__proto__"]
    ),
    values,
    max_size=5,
)
spoiled = st.builds(
    lambda at, junk: RUN_BYTES[:at] + junk + RUN_BYTES[at:],
    st.integers(0, len(RUN_BYTES)),
    st.binary(min_size=1, max_size=4) | st.sampled_from([b"\0", b"[", b"}", b'"', b"\\", b"1e999"]),
)
bodies = st.binary(max_size=60) | (parameters | values).map(json.dumps).map(str.encode) | spoiled
actions = st.sampled_from(
    ["run", "progress", "results", "restart", "repost", "cancel", "list", "ping"]
)
lines = st.text(max_size=40) | st.text("IWSBasic :;=,/0123456789abcdef\0\n\u0661é", max_size=60)
headers = st.dictionaries(
    st.sampled_from(
        [
            "Authorization",
            "X-Api-Authorization",
            "Content-Type",
            "Content-Encoding",
            "Content-MD5",
            "Date",
            "IVVY-Date",
            "ivvy_other",
            "Idempotency-Key",
            "IVVY-Idempotency-Key",
            "Accept",
        ]
    )
    | st.text(min_size=1, max_size=10),
    lines,
    max_size=6,
)
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class TestAnything:
    """`Front.take` checks that the answer is described; here it must also never be 500."""

    @MANY
    @given(action=actions, body=bodies)
    def test_no_body_breaks_the_api(self, front: Front, action: str, body: bytes) -> None:
        namespace = "test" if action == "ping" else "batch"
        assert front.take(event(action, body, namespace=namespace)).status != 500

    @MANY
    @given(more=headers, keeps=st.booleans())
    def test_no_header_breaks_the_api(
        self, front: Front, more: dict[str, str], keeps: bool
    ) -> None:
        base = basic("demo", "demo-secret") if keeps else {}
        assert front.take(event() | {"headers": {**base, **more}}).status != 500

    @MANY
    @given(
        method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        namespace=st.sampled_from(["batch", "test"]) | st.text(max_size=20),
        query=st.dictionaries(
            st.sampled_from(["action"]) | st.text(max_size=5),
            st.lists(actions | st.text(max_size=10), min_size=1, max_size=3),
            max_size=4,
        ),
    )
    def test_no_target_breaks_the_api(
        self, front: Front, method: str, namespace: str, query: dict[str, list[str]]
    ) -> None:
        credentials = basic("demo", "demo-secret")
        made = http_event(method, namespace, query=query, headers=credentials, body=RUN_BYTES)
        assert front.take(made).status != 500
