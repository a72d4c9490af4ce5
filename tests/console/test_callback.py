"""The callback of a batch: its attempts, its body and, locally, what arrived, but no secret."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.batch import Batch, CallbackAttempt, CallbackResults, SubmissionTerms
from chalicelib.domain.outcome import Reply
from chalicelib.domain.states import CallbackState
from chalicelib.domain.trace import TraceContext
from tests.console.asking import Page, console_of
from tests.console.local_service import local_tools
from tests.fakes.clock import START
from tests.operations.world import World
from tests.samples import PLAIN_TERMS, TERMS

SECRET_URL = "https://me:canary@example.com:8443/canary/hook?token=canary"


def show(world: World, batch: Batch, received: list[dict[str, Any]] | None = None) -> Any:
    local = None if received is None else local_tools(received)
    return Page(console_of(world, local=local)).gets(f"/batches/{batch.batch_id}/callback")


def completed(world: World, terms: SubmissionTerms = PLAIN_TERMS, **fields: Any) -> Batch:
    batch = world.submitted(terms=terms, **fields)
    world.run_all_chunks(batch)
    return batch


def test_each_attempt_is_shown_with_its_outcome(world: World) -> None:
    batch = completed(world)
    world.receiver.answers = [Reply(status=503), Reply(status=200)]
    world.run_to_the_end()
    shown = show(world, batch)
    assert (shown["state"], shown["round"], shown["nextTryAt"]) == ("delivered", 1, None)
    assert [each["status"] for each in shown["attempts"]] == [503, 200]
    assert [each["error"] for each in shown["attempts"]] == ["HTTP 503", None]
    assert all(each["at"].endswith("Z") for each in shown["attempts"])


def test_an_attempt_in_progress_has_no_outcome_yet(world: World) -> None:
    batch = world.submitted(history=(CallbackAttempt(at=START),), attempts=1)
    assert show(world, batch)["attempts"] == [
        {"at": "2026-11-23T14:49:07.000Z", "status": None, "error": None, "tookMs": None}
    ]


def test_the_next_attempt_is_shown_only_while_there_is_one(world: World) -> None:
    batch = completed(world)
    head = world.head(batch)
    assert head.callback is CallbackState.WAITING
    assert show(world, batch)["nextTryAt"] is not None
    world.store.heads[batch.batch_id] = replace(head, callback=CallbackState.FAILED)
    assert show(world, batch)["nextTryAt"] is None


def test_its_size_is_that_of_the_body_that_is_sent(world: World) -> None:
    batch = completed(world, replace(PLAIN_TERMS, metadata={"order": "77"}), label="é")
    shown = show(world, batch)
    world.run_to_the_end()
    (post,) = world.receiver.posts
    assert shown["bytes"] == len(post.body)


@pytest.mark.parametrize("which", [CallbackResults.FAILED, CallbackResults.NONE])
def test_a_size_that_is_known_only_by_reading_everything_is_not_shown(
    world: World, which: CallbackResults
) -> None:
    batch = completed(world, replace(PLAIN_TERMS, callback_results=which))
    shown = show(world, batch)
    assert (shown["bytes"], shown["results"]) == (None, which.value)


def test_a_running_batch_has_no_size_yet(world: World) -> None:
    assert show(world, world.submitted())["bytes"] is None


def test_what_is_sent_is_shown_without_secrets(world: World) -> None:
    trace = TraceContext(trace_id="ab" * 16, flags="01")
    batch = completed(world, TERMS, trace=trace)
    shown = show(world, batch)
    world.run_to_the_end()
    (post,) = world.receiver.posts
    names = {*post.headers, *(TERMS.callback_headers or ())}
    assert {each["name"] for each in shown["headers"]} == names
    values = {each["name"]: each["value"] for each in shown["headers"]}
    assert values["webhook-id"] == post.headers["webhook-id"]
    assert values["traceparent"] == post.headers["traceparent"]
    assert values["webhook-signature"] is None
    secret = [each for each in shown["headers"] if each["isSecret"]]
    assert secret == [{"name": "Authorization", "value": None, "isSecret": True}]


def test_of_a_stages_receiver_only_the_host_is_shown(world: World) -> None:
    batch = world.submitted(terms=replace(PLAIN_TERMS, callback_url=SECRET_URL))
    assert show(world, batch)["url"] == "https://example.com:8443"
    assert show(world, batch, [])["url"] == SECRET_URL


def test_a_batch_without_a_callback_sends_nothing(world: World) -> None:
    terms = replace(PLAIN_TERMS, callback_url=None)
    shown = show(world, world.submitted(terms=terms, callback=CallbackState.NONE))
    assert (shown["state"], shown["url"], shown["headers"]) == ("none", None, [])


class TestReceived:
    def arrived(self, webhook_id: str, **fields: Any) -> dict[str, Any]:
        return {
            "path": "/callback?a=b",
            "headers": {"webhook-id": webhook_id, "authorization": "Bearer canary"},
            "body": {},
            "raw": "{}",
            "verified": True,
            "at": "2026-11-23T14:49:08.000+00:00",
            **fields,
        }

    def test_it_is_none_on_a_stage(self, world: World) -> None:
        assert show(world, world.submitted())["received"] is None

    def test_only_callbacks_of_the_batch_are_shown(self, world: World) -> None:
        """An earlier batch with the same id is a different one."""
        batch = world.submitted(terms=TERMS)
        ours = self.arrived(batch.callback_id)
        others = [
            self.arrived(f"{'0' * 32}-fedcba98-1"),
            self.arrived(f"{batch.batch_id}-00000000-1"),
            self.arrived("", headers={}),
        ]
        shown = show(world, batch, [*others, ours])
        assert shown["received"] == [
            {
                "at": "2026-11-23T14:49:08.000Z",
                "path": "/callback?a=b",
                "verified": True,
                "headers": [["webhook-id", batch.callback_id], ["authorization", None]],
                "raw": "{}",
                "rawBytes": 2,
            }
        ]

    def test_callers_headers_are_hidden_even_if_the_terms_are_damaged(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In that case nobody knows which of them are secret."""
        batch = world.submitted(terms=TERMS)
        monkeypatch.setattr(world.store, "find_terms", lambda _: None)
        (callback,) = show(world, batch, [self.arrived(batch.callback_id)])["received"]
        assert ["authorization", None] in callback["headers"]
        assert ["webhook-id", batch.callback_id] in callback["headers"]

    def test_only_the_beginning_of_a_large_body_is_shown(self, world: World) -> None:
        batch = world.submitted()
        arrived = self.arrived(batch.callback_id, raw="é" * 400_000)
        (callback,) = show(world, batch, [arrived])["received"]
        assert (len(callback["raw"]), callback["rawBytes"]) == (350_000, 800_000)
