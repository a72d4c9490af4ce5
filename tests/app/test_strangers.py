"""A caller without a valid key learns nothing, and one with a key learns nothing about other
accounts: not from the answer, not from its headers, and not from the work that it takes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain import signing
from chalicelib.domain.account import Key, Secret
from tests.app.conftest import Answer, Front, basic
from tests.description import description
from tests.fakes.clock import START
from tests.samples import DEMO_KEY

JOBS = {
    "jobs": [{"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}],
    "callbackUrl": "https://example.com/callback",
}
MISSING = "0" * 32
SPY = Key(key="spy", account="other", secrets=(Secret(value="spying"),))


class Watched:
    """A store that writes down the name of each call."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)


def watched(front: Front) -> list[str]:
    """Return the calls of the store from now on; use it before the service's first use."""
    store: Any = Watched(front.store)
    front.replace(store=store)
    calls: list[str] = store.calls
    return calls


def submitted(front: Front) -> str:
    async_id: str = front.call("run", JOBS).json["asyncId"]
    return async_id


def ended(front: Front) -> str:
    async_id = submitted(front)
    front.work_off()
    return async_id


def cancelled(front: Front) -> str:
    async_id = submitted(front)
    front.call("cancel", {"async": async_id})
    return async_id


def expired(front: Front) -> str:
    async_id = ended(front)
    front.clock.advance(hours=60)
    return async_id


PARAMETERS: dict[str, list[dict[str, object]]] = {
    "progress": [{}],
    "results": [{}, {"partial": True}, {"start": 0, "perPage": 10}],
    "restart": [{}],
    "repost": [{}],
    "cancel": [{}],
}
#: The actions that are not about one batch.
OF_NO_BATCH = {"run", "list", "ping"}
CALLS = [(action, more) for action, each in PARAMETERS.items() for more in each]


def test_every_action_is_tried_with_another_accounts_batch() -> None:
    assert {*PARAMETERS} | OF_NO_BATCH == {*description().actions}, (
        "add the action to PARAMETERS, or to OF_NO_BATCH if it takes no id of a batch"
    )


class TestOtherAccounts:
    @pytest.mark.parametrize(("action", "more"), CALLS)
    @pytest.mark.parametrize("made", [submitted, ended, cancelled])
    def test_another_accounts_batch_gets_exactly_the_answer_of_a_missing_one(
        self, front: Front, made: Callable[[Front], str], action: str, more: dict[str, object]
    ) -> None:
        """The bytes, the headers, the calls of the database and the queue, and the log line are the
        same, except for the id in the request."""
        front.keys.keys["spy"] = SPY
        calls = watched(front)
        foreign = made(front)
        front.queue.jobs.clear()
        front.queue.batches.clear()
        front.journal.lines.clear()
        before = front.store.copy()

        def asked(async_id: str) -> tuple[Answer, list[str]]:
            calls.clear()
            answer = front.call(action, {"async": async_id, **more}, key="spy", secret="spying")
            return answer, [*calls]

        assert asked(foreign) == asked(MISSING)
        answer, reads = asked(foreign)
        assert answer.status == 404
        assert reads == ["find"]
        assert front.store.heads == before.heads
        assert not front.queue.jobs
        assert not front.queue.batches
        of_foreign, of_missing = front.journal.lines[:2]
        assert (of_foreign["batch_id"], of_missing["batch_id"]) == (foreign, MISSING)
        assert {**of_foreign, "batch_id": MISSING} == of_missing

    @pytest.mark.parametrize(("action", "more"), CALLS)
    def test_an_expired_batch_gets_exactly_the_answer_of_a_missing_one(
        self, front: Front, action: str, more: dict[str, object]
    ) -> None:
        gone = front.call(action, {"async": expired(front), **more})
        assert gone == front.call(action, {"async": MISSING, **more})
        assert gone.status == 404

    def test_list_shows_and_counts_only_the_callers_batches(self, front: Front) -> None:
        front.keys.keys["spy"] = SPY
        ended(front)
        submitted(front)
        listed = front.call("list", {}, key="spy", secret="spying").json
        assert listed["results"] == []
        assert listed["meta"]["totalResults"] == 0

    def test_an_idempotency_key_of_another_account_finds_nothing(self, front: Front) -> None:
        """The caller gets neither its id nor a conflict: the same text is a different key in every
        account."""
        front.keys.keys["spy"] = SPY
        word = {"Idempotency-Key": "order-77"}
        theirs = front.send(
            "/api/1.0/batch?action=run", _body(), headers={**basic("demo", "demo-secret"), **word}
        )
        ours = front.send(
            "/api/1.0/batch?action=run", _body(b" "), headers={**basic("spy", "spying"), **word}
        )
        assert (theirs.status, ours.status) == (200, 200)
        assert theirs.json["asyncId"] != ours.json["asyncId"]


def _body(more: bytes = b"") -> bytes:
    return b'{"jobs":[{"namespace":"a","action":"b"}],"callbackUrl":"https://example.com/"}' + more


def signed(secret: str, key: str = "demo") -> dict[str, str]:
    """Sign for no particular target: all that matters is that the signature is wrong."""
    return signing.iws_headers(
        key=key,
        secret=secret,
        target="/",
        body=b"",
        now=START,
        content_type="application/json",
    )


NO_KEY: dict[str, Mapping[str, str]] = {
    "nothing": {},
    "an unknown key": basic("unknown", "demo-secret"),
    "a wrong password": basic("demo", "wrong"),
    "a revoked key": basic("revoked", "wrong"),
    "a wrong signature": signed("wrong"),
    "an unknown key's signature": signed("wrong", key="unknown"),
    "a revoked key's signature": signed("wrong", key="revoked"),
    "nonsense": {"Authorization": "Basic %%%", "X-Api-Authorization": "IWS"},
}
NAMES = [
    *(f"{each.namespace}?action={each.name}" for each in description().actions.values()),
    "batch?action=nonsense",
    "batch",
    "nonsense?action=run",
    "nonsense",
]


class TestStrangers:
    @pytest.mark.parametrize("who", NO_KEY)
    def test_strangers_get_the_same_bytes_for_any_request(self, front: Front, who: str) -> None:
        """It does not matter whether the namespace, action or batch exists, or what the body is."""
        front.keys.keys["revoked"] = replace(DEMO_KEY, key="revoked", is_revoked=True)
        real = f'{{"async":"{ended(front)}"}}'.encode()
        bodies = [b"", b"{}", real, f'{{"async":"{MISSING}"}}'.encode(), b"[", b"\xff"]
        answers = [
            front.send(f"/api/1.0/{name}", body, headers=dict(NO_KEY[who]))
            for name in NAMES
            for body in bodies
        ]
        assert {answer.body for answer in answers} == {
            b'{"errorCode": 401, "message": "Unauthorized", "specificCode": 0}'
        }
        assert {answer.status for answer in answers} == {401}
        assert len({str(answer.headers) for answer in answers}) == 1

    def test_a_stale_request_is_reported_as_stale_to_any_caller(self, front: Front) -> None:
        stale = {**signed("wrong"), "IVVY-Date": "2020-01-01 00:00:00"}
        answers = {
            front.send(
                f"/api/1.0/{name}", headers={**stale, "X-Api-Authorization": authorization}
            ).body
            for name in NAMES
            for authorization in (f"IWS demo:{'0' * 40}", f"IWS unknown:{'0' * 40}")
        }
        assert answers == {
            b'{"errorCode": 401, "message": "Request is stale", "specificCode": 23005}'
        }

    @pytest.mark.parametrize(
        ("status", "change"),
        [
            (405, {"method": "GET"}),
            (413, {"body": b" " * 3_500_001}),
            (415, {"headers": {"Content-Type": "text/plain"}}),
        ],
    )
    def test_a_malformed_request_gets_the_same_answer_for_existing_and_missing_things(
        self, front: Front, status: int, change: dict[str, Any]
    ) -> None:
        answers = [front.send(f"/api/1.0/{name}", **change) for name in NAMES]
        assert {answer.status for answer in answers} == {status}
        assert len({(answer.body, str(answer.headers)) for answer in answers}) == 1

    @pytest.mark.parametrize("who", NO_KEY)
    def test_no_batch_is_looked_up_for_strangers(self, front: Front, who: str) -> None:
        calls = watched(front)
        real = f'{{"async":"{ended(front)}"}}'.encode()
        assert calls
        calls.clear()
        for name in NAMES:
            front.send(f"/api/1.0/{name}", real, headers=dict(NO_KEY[who]))
        assert calls == []
        assert front.queue.jobs == []
