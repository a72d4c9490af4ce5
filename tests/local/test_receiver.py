"""The demonstration receiver accepts any callback and reports whether its signature verifies."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks

from batchback_local.demonstration.account import new_callback_secret
from batchback_local.demonstration.receiver import DemonstrationReceiver, verifies
from batchback_local.http_server import Request
from chalicelib.domain import signing

SECRET = new_callback_secret()
BODY = b'{"asyncId": "abc", "results": []}'


def callback(
    *,
    body: bytes = BODY,
    secret: str = SECRET,
    age: timedelta = timedelta(),
    sent: bytes | None = None,
) -> Request:
    headers = signing.webhook_headers(
        message_id="abc-1", body=[body], secrets=[secret], now=datetime.now(UTC) - age
    )
    return Request(
        method="POST", target="/callback?x=1", headers=headers, body=body if sent is None else sent
    )


@pytest.fixture
def receiver() -> DemonstrationReceiver:
    return DemonstrationReceiver(callback_secret=SECRET)


def test_a_callback_is_remembered_as_it_arrived(receiver: DemonstrationReceiver) -> None:
    answer = receiver.answer(callback())
    listing = receiver.answer(Request(method="GET", target="/received", headers={}, body=b""))
    (received,) = json.loads(listing.body)
    assert answer.status == 200
    assert received["path"] == "/callback?x=1"
    assert received["headers"]["webhook-id"] == "abc-1"
    assert received["body"] == {"asyncId": "abc", "results": []}
    assert received["raw"] == BODY.decode()
    assert received["verified"] is True


def test_callbacks_are_listed_oldest_first(receiver: DemonstrationReceiver) -> None:
    for number in range(3):
        receiver.answer(callback(body=str(number).encode()))
    assert [received["body"] for received in receiver.received()] == [0, 1, 2]


@pytest.mark.parametrize(
    "forged",
    [
        lambda: callback(secret=new_callback_secret()),
        lambda: callback(sent=b"{}"),
        lambda: callback(age=timedelta(minutes=6)),
        lambda: callback(age=timedelta(hours=-1)),
        lambda: Request(method="POST", target="/", headers={}, body=BODY),
        lambda: Request(
            method="POST", target="/", headers={"webhook-timestamp": "soon"}, body=BODY
        ),
    ],
    ids=["other secret", "other body", "old", "of tomorrow", "unsigned", "no time"],
)
def test_a_callback_not_signed_now_with_the_secret_does_not_verify(
    receiver: DemonstrationReceiver, forged: Callable[[], Request]
) -> None:
    receiver.answer(forged())
    assert [received["verified"] for received in receiver.received()] == [False]


def test_a_callback_signed_by_the_specifications_own_library_verifies() -> None:
    now = datetime.now(UTC)
    signature = standardwebhooks.Webhook(SECRET).sign("abc-1", now, BODY.decode())
    request = Request(
        method="POST",
        target="/",
        headers={
            "webhook-id": "abc-1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": f"v1,b3RoZXI= {signature}",
        },
        body=BODY,
    )
    assert verifies(request, SECRET)


def test_a_callback_can_be_answered_as_told(receiver: DemonstrationReceiver) -> None:
    wish = json.dumps({"status": 503, "times": 1, "retryAfter": 2}).encode()
    receiver.answer(Request(method="POST", target="/behave", headers={}, body=wish))
    answers = [receiver.answer(callback()) for _ in range(2)]
    assert [answer.status for answer in answers] == [503, 200]
    assert answers[0].headers == {"Retry-After": "2"}
    assert len(receiver.received()) == 2
