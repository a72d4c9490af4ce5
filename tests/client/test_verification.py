"""`verify_callback`. Tests for all samples are in tests/examples/test_samples.py."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from email.message import Message
from typing import Any

import pytest
from batchback import (
    HeaderUnusable,
    NotGenuine,
    NotRecent,
    SecretUnusable,
    SignatureWrong,
    verify_callback,
)
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import signing
from tests.fakes.clock import START
from tests.samples import WEBHOOK_SECRET

BODY = b'{"asyncId":"one","results":[]}'
OTHER = "whsec_" + base64.b64encode(bytes(32)).decode()


def headers(*secrets: str, age: timedelta = timedelta()) -> dict[str, str]:
    return signing.webhook_headers(
        message_id="one-1",
        body=[BODY],
        secrets=secrets or [WEBHOOK_SECRET],
        now=START - age,
    )


def verify(
    headers: Any, body: bytes = BODY, secret: str | Sequence[str] = WEBHOOK_SECRET, **more: Any
) -> None:
    verify_callback(headers, body, secret, now=START, **more)


def as_message(headers: dict[str, str]) -> Message:
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


@pytest.mark.parametrize(
    "given",
    [
        headers(),
        {name.title(): value for name, value in headers().items()},
        {**headers(), "Cookie": "a"},
        as_message(headers()),
        headers(OTHER, WEBHOOK_SECRET),
        headers(age=timedelta(minutes=5)),
        headers(age=timedelta(minutes=-5)),
    ],
)
def test_what_the_service_signed_verifies(given: Any) -> None:
    verify(given)


def test_any_of_several_secrets_is_enough() -> None:
    verify(headers(), secret=[OTHER, WEBHOOK_SECRET])
    with pytest.raises(SignatureWrong):
        verify(headers(), secret=[OTHER])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"webhook-id": ""}, "webhook-id is missing"),
        ({"webhook-id": "a b"}, "webhook-id is malformed"),
        ({"webhook-timestamp": "soon"}, "webhook-timestamp is malformed"),
        ({"webhook-timestamp": "-1"}, "webhook-timestamp is malformed"),
        ({"webhook-timestamp": "\u0661" * 10}, "webhook-timestamp is malformed"),
        ({"webhook-signature": "v1,\ud83d"}, "webhook-signature is malformed"),
        ({"webhook-signature": "v1, " * 2000}, "webhook-signature is malformed"),
        ({"Webhook-Id": "two-1"}, "webhook-id appears twice"),
    ],
)
def test_an_unusable_header_is_named(change: dict[str, str], sentence: str) -> None:
    with pytest.raises(HeaderUnusable, match=sentence):
        verify({**headers(), **change})


@pytest.mark.parametrize(
    ("age", "sentence"),
    [
        (timedelta(seconds=301), "is too old: it was signed 5 minutes ago"),
        (timedelta(hours=5), "is too old: it was signed 5 hours ago"),
        (timedelta(days=5), "is too old: it was signed 5 days ago"),
        (timedelta(seconds=-301), "is 5 minutes in the future: check the clocks"),
    ],
)
def test_a_time_too_far_from_now_has_its_own_error(age: timedelta, sentence: str) -> None:
    with pytest.raises(NotRecent, match=sentence):
        verify(headers(age=age))
    verify(headers(age=age), tolerance=None)


def test_with_a_wrong_signature_the_error_does_not_mention_the_time() -> None:
    with pytest.raises(SignatureWrong):
        verify(headers(age=timedelta(days=5)), b"{}")


@pytest.mark.parametrize("secret", ["", WEBHOOK_SECRET[:-4], "whsec_", [WEBHOOK_SECRET, "hunter2"]])
def test_a_damaged_secret_is_refused_and_not_shown(secret: str | list[str]) -> None:
    with pytest.raises(SecretUnusable) as refused:
        verify(headers(), secret=secret)
    assert WEBHOOK_SECRET[6:20] not in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_without_secrets_nothing_verifies() -> None:
    with pytest.raises(SignatureWrong):
        verify(headers(), secret=[])


def test_a_body_that_was_decoded_is_refused() -> None:
    text: Any = BODY.decode()
    with pytest.raises(TypeError, match="body must be the bytes that arrived"):
        verify(headers(), text)


@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "x"]),
        st.text() | st.from_regex("[0-9]{1,20}", fullmatch=True),
    ),
    st.binary(max_size=20),
)
def test_arbitrary_input_is_not_genuine(given: dict[str, str], body: bytes) -> None:
    with pytest.raises(NotGenuine):
        verify(given, body)
