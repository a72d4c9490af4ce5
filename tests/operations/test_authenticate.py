"""Authentication: who gets which answer, and that the work done reveals nothing."""

import base64
import hmac
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain import signing
from chalicelib.domain.account import Caller, Key, Secret
from chalicelib.domain.signing import SignedRequest
from chalicelib.errors import KeyRevoked, RequestStale, Unauthorized
from chalicelib.operations import authenticate
from chalicelib.operations.authenticate import Authenticator
from tests.fakes.clock import START, FakeClock
from tests.fakes.dynamodb import FakeKeyStore
from tests.samples import DEMO_KEY

TARGET = "/api/1.0/test?action=ping"
#: The paths that API Gateway passes on: with the stage and without.
TARGETS = (TARGET, f"/api{TARGET}")
BODY = b'{"jobs":[]}'
OLD = Secret(value="an older secret", expires_at=START + timedelta(hours=1))
ENDED = Secret(value="demo-secret", expires_at=START)
KEYS = {
    "one": replace(DEMO_KEY, key="one"),
    "two": replace(DEMO_KEY, key="two", secrets=(*DEMO_KEY.secrets, OLD)),
    "four": replace(DEMO_KEY, key="four", secrets=(*DEMO_KEY.secrets, OLD, OLD, OLD)),
    "long": replace(DEMO_KEY, key="long", secrets=(Secret(value="s" * 300),)),
    "revoked": replace(DEMO_KEY, key="revoked", is_revoked=True),
    "none": replace(DEMO_KEY, key="none", secrets=(ENDED,)),
}


class CountingKeys(FakeKeyStore):
    def __init__(self, counts: Counter[str]) -> None:
        super().__init__([*KEYS.values()])
        self._counts = counts

    def find_key(self, key: str) -> Key | None:
        self._counts["reads"] += 1
        return super().find_key(key)


def door(keys: FakeKeyStore, *, allow_basic: bool = True) -> Authenticator:
    return Authenticator(keys=keys, clock=FakeClock(), allow_basic=allow_basic)


def knock(headers: Mapping[str, str], keys: FakeKeyStore | None = None) -> Caller:
    request = SignedRequest(headers=headers, targets=TARGETS, body=BODY)
    return door(keys or FakeKeyStore([*KEYS.values()])).authenticate(request)


def signed(key: str, secret: str, **changes: Any) -> dict[str, str]:
    headers = signing.iws_headers(
        key=key,
        secret=secret,
        target=TARGET,
        body=BODY,
        now=changes.get("now", START),
        content_type="application/json",
    )
    return {name.lower(): value for name, value in headers.items()}


def basic(key: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}


both_ways = pytest.mark.parametrize("prove", [signed, basic])


class TestAnswers:
    @both_ways
    def test_a_caller_with_a_live_secret_is_authenticated(self, prove: Any) -> None:
        assert knock(prove("one", "demo-secret")) == Caller(account="acme", key="one")
        assert knock(prove("two", OLD.value)) == Caller(account="acme", key="two")

    @both_ways
    @pytest.mark.parametrize("key", [*KEYS, "unknown"])
    def test_a_wrong_secret_gets_the_same_answer_for_any_key(self, prove: Any, key: str) -> None:
        with pytest.raises(Unauthorized) as refused:
            knock(prove(key, "wrong"))
        assert (refused.value.message, refused.value.specific_code) == ("Unauthorized", 0)

    @both_ways
    def test_only_a_caller_with_the_secret_learns_that_a_key_is_revoked(self, prove: Any) -> None:
        with pytest.raises(KeyRevoked):
            knock(prove("revoked", "demo-secret"))
        with pytest.raises(Unauthorized):
            knock(prove("revoked", "wrong"))

    @both_ways
    @pytest.mark.parametrize("key", [*KEYS, "unknown"])
    def test_the_placeholder_secret_authenticates_nobody(self, prove: Any, key: str) -> None:
        with pytest.raises(Unauthorized):
            knock(prove(key, authenticate._NOBODYS_SECRET))

    @both_ways
    def test_an_ended_secret_authenticates_nobody(self, prove: Any) -> None:
        with pytest.raises(Unauthorized):
            knock(prove("none", ENDED.value))

    def test_a_stale_request_is_refused_before_any_key_is_looked_up(self) -> None:
        counts: Counter[str] = Counter()
        with pytest.raises(RequestStale):
            knock(
                signed("one", "demo-secret", now=START - timedelta(minutes=6)), CountingKeys(counts)
            )
        assert counts["reads"] == 0

    @pytest.mark.parametrize("headers", [{}, basic("k" * 257, "s"), basic("", "demo-secret")])
    def test_a_request_without_a_possible_key_is_refused_without_a_lookup(
        self, headers: dict[str, str]
    ) -> None:
        """The database would reject a name that is too long, which would be our error."""
        counts: Counter[str] = Counter()
        with pytest.raises(Unauthorized):
            knock(headers, CountingKeys(counts))
        assert counts["reads"] == 0


class CountedHmac:
    """The module `hmac`, with a record of its calls and of the sizes that they work on."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def digest(self, key: bytes, text: bytes, kind: Any) -> bytes:
        self._counts["HMAC"] += 1
        return hmac.digest(key, text, kind)

    def compare_digest(self, known: Any, given: Any) -> bool:
        self._counts[f"comparison of {len(known)} and {len(given)}"] += 1
        return hmac.compare_digest(known, given)


def steps(monkeypatch: pytest.MonkeyPatch, headers: Mapping[str, str]) -> Counter[str]:
    """What authenticating a request does, by kind of step: everything that takes time, and how
    often."""
    counts: Counter[str] = Counter()
    monkeypatch.setattr(signing, "hmac", CountedHmac(counts))
    monkeypatch.setattr(authenticate, "hmac", CountedHmac(counts))
    monkeypatch.setattr(signing, "_md5", _counted(signing._md5, counts, "MD5"))
    monkeypatch.setattr(authenticate, "_digest", _counted(authenticate._digest, counts, "SHA-256"))
    try:
        knock(headers, CountingKeys(counts))
        counts["accepted"] += 1
    except Unauthorized:
        pass
    monkeypatch.undo()
    return counts


def _counted(function: Any, counts: Counter[str], name: str) -> Any:
    def counted(value: Any) -> Any:
        counts[name] += 1
        return function(value)

    return counted


class TestWork:
    """Nothing here measures time: the same steps take the same time."""

    @pytest.mark.parametrize("key", [*KEYS, "unknown"])
    def test_a_wrong_signature_takes_the_same_steps_for_any_key(
        self, monkeypatch: pytest.MonkeyPatch, key: str
    ) -> None:
        assert steps(monkeypatch, signed(key, "wrong")) == {
            "reads": 1,
            "MD5": 1,
            "HMAC": 8,  # of four secrets and both forms of the path
            "comparison of 40 and 40": 8,
            "comparison of 32 and 32": 1,  # the Content-MD5
        }

    @pytest.mark.parametrize("key", [*KEYS, "unknown"])
    @pytest.mark.parametrize("secret", ["wrong", "", "demo-secreT", "s" * 5000])
    def test_a_wrong_password_takes_the_same_steps_for_any_key(
        self, monkeypatch: pytest.MonkeyPatch, key: str, secret: str
    ) -> None:
        """Hashes are compared, so not even the length of a secret makes a difference."""
        assert steps(monkeypatch, basic(key, secret)) == {
            "reads": 1,
            "SHA-256": 5,
            "comparison of 32 and 32": 4,
        }

    @both_ways
    def test_a_correct_password_takes_these_steps_too(
        self, monkeypatch: pytest.MonkeyPatch, prove: Any
    ) -> None:
        """The request is accepted, so the steps that were counted are the real work."""
        right = steps(monkeypatch, prove("one", "demo-secret"))
        assert right.pop("accepted") == 1
        assert right == steps(monkeypatch, prove("one", "demo-wrong!"))
