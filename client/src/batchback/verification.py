"""Verify that a callback comes from the service. The signature follows Standard Webhooks:

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

NotGenuine            The callback cannot be trusted.
├── HeaderUnusable    One of the three signature headers is missing or malformed.
├── SignatureWrong    The secret did not sign this body, id and time.
└── NotRecent         It was signed too long ago, or its time is in the future.
SecretUnusable        The secret is empty or damaged.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Protocol

#: How much the signed time of a callback may differ from the time it arrives.
TOLERANCE = timedelta(minutes=5)


class NotGenuine(Exception):
    """The callback cannot be trusted. The text says why. The base of the three exceptions below."""


class HeaderUnusable(NotGenuine):
    """A header that the signature needs is missing or malformed."""


class SignatureWrong(NotGenuine):
    """None of the secrets signed this id, time and body."""


class NotRecent(NotGenuine):
    """The signature is right, but its time is too far from now: this may be a replay."""


class SecretUnusable(ValueError):
    """The secret is empty, short or damaged, so that anybody could sign with it. The text never
    contains it."""


class Headers(Protocol):
    """The headers in any form that has `items`. The case of names does not matter."""

    def items(self) -> Iterable[tuple[str, str]]: ...


def verify_callback(
    headers: Headers,
    body: bytes,
    secret: str | Sequence[str],
    *,
    now: datetime | None = None,
    tolerance: timedelta | None = TOLERANCE,
) -> None:
    """Raise NotGenuine unless the service signed exactly these bytes with the account's callback
    secret, or one of several, within `tolerance` of `now`.

    `body` is the raw body, before anything parses it. `tolerance=None` accepts any age, for a
    callback that you saved. Store the `webhook-id` too: within the tolerance the same callback may
    arrive again.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError("body must be the bytes that arrived: neither decoded nor parsed")
    keys = [key_of(each) for each in ([secret] if isinstance(secret, str) else secret)]
    given = _the_three(headers)
    _check_signature(given, body, keys)
    if tolerance is not None:
        _check_time(signed_at(headers), now or datetime.now(UTC), tolerance)


def key_of(secret: str) -> bytes:
    """The key in a secret; SecretUnusable if it is empty, short or damaged."""
    if not secret:
        raise SecretUnusable("the secret is empty: it must be the account's callback secret")
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    is_whole = secret == "whsec_" + base64.b64encode(key).decode()
    if not is_whole or not 24 <= len(key) <= 64:
        raise SecretUnusable(
            "the secret is damaged: it must be `whsec_` and 24 to 64 bytes in base64, so copy the "
            "whole secret again"
        )
    return key


def id_of(headers: Headers) -> str:
    """The `webhook-id`, the same at every attempt; HeaderUnusable if there is none."""
    return _the_three(headers)[_ID]


def signed_at(headers: Headers) -> datetime:
    """When a callback was signed; HeaderUnusable if it does not say."""
    return datetime.fromtimestamp(int(_the_three(headers)[_TIMESTAMP]), UTC)


_ID, _TIMESTAMP, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
#: Ten digits reach the year 2286.
_FORMS = {
    _ID: (re.compile("[!-~]{1,256}"), "1 to 256 visible ASCII characters"),
    _TIMESTAMP: (re.compile("[0-9]{1,10}"), "seconds since 1970, in digits"),
    _SIGNATURE: (re.compile("[ -~]{1,4096}"), "signatures such as `v1,...`, separated by spaces"),
}


def _the_three(headers: Headers) -> dict[str, str]:
    """The three headers that a signature needs, by their names in lower case."""
    found: dict[str, str] = {}
    for given, value in headers.items():
        name = given.lower()
        if name in found:
            raise HeaderUnusable(
                f"{name} appears twice, but only one of them can be the signed one"
            )
        if name in _FORMS:
            found[name] = value
    for name, (form, wanted) in _FORMS.items():
        if not found.get(name):
            raise HeaderUnusable(f"{name} is missing: the service sends it with every callback")
        if not form.fullmatch(found[name]):
            raise HeaderUnusable(f"{name} is malformed: it must be {wanted}")
    return found


def _check_signature(given: dict[str, str], body: bytes, keys: Sequence[bytes]) -> None:
    """Make all comparisons, each in constant time, so that the time reveals nothing."""
    signed = f"{given[_ID]}.{given[_TIMESTAMP]}.".encode()
    candidates = given[_SIGNATURE].encode().split(b" ")
    wanted = [_signature(key, signed, body) for key in keys]
    matches = [hmac.compare_digest(*pair) for pair in product(wanted, candidates)]
    if not any(matches):
        raise SignatureWrong(
            f"{_SIGNATURE} is wrong: another secret signed it, or the body is not exactly what "
            "was sent"
        )


def _signature(key: bytes, head: bytes, body: bytes) -> bytes:
    digest = hmac.new(key, head, hashlib.sha256)
    digest.update(body)
    return b"v1," + base64.b64encode(digest.digest())


def _check_time(signed: datetime, now: datetime, tolerance: timedelta) -> None:
    age = now - signed
    if age > tolerance:
        raise NotRecent(f"{_TIMESTAMP} is too old: it was signed {_span(age)} ago")
    if age < -tolerance:
        raise NotRecent(
            f"{_TIMESTAMP} is {_span(-age)} in the future: check the clocks of both machines"
        )


def _span(span: timedelta) -> str:
    """The span in the largest unit that counts to at least two, or in seconds."""
    seconds = span // timedelta(seconds=1)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
