"""A platform and a receiver that answer as a test tells them to, and record the calls."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.domain.account import Key
from chalicelib.domain.outcome import NoReply, Reply


@dataclass(frozen=True)
class Call:
    namespace: str
    action: str
    body: bytes
    idempotency_key: str
    key: str
    traceparent: str | None

    @property
    def params(self) -> Any:
        return json.loads(self.body)


def echo(call: Call) -> Reply | NoReply:
    """Answer with what was sent."""
    return Reply(status=200, body=json.dumps({"echo": call.params}).encode())


@dataclass
class FakePlatform:
    answer: Callable[[Call], Reply | NoReply] = echo
    calls: list[Call] = field(default_factory=list)

    def prepare(self) -> None:
        """There is nothing to read."""

    def call(
        self,
        *,
        namespace: str,
        action: str,
        body: bytes,
        idempotency_key: str,
        traceparent: str | None,
        key: Key,
    ) -> Reply | NoReply:
        made = Call(namespace, action, body, idempotency_key, key.key, traceparent)
        self.calls.append(made)
        return self.answer(made)


@dataclass(frozen=True)
class Post:
    url: str
    headers: Mapping[str, str]
    private_headers: Mapping[str, str]
    body: bytes
    timeout_seconds: float


@dataclass
class FakeReceiver:
    #: The answers to the next posts; 200 when they are used up.
    answers: list[Reply | NoReply] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)

    def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        private_headers: Mapping[str, str],
        body: Sequence[bytes],
        timeout_seconds: float,
    ) -> Reply | NoReply:
        self.posts.append(Post(url, headers, private_headers, b"".join(body), timeout_seconds))
        return self.answers.pop(0) if self.answers else Reply(status=200)
