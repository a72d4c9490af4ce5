"""Submitting a batch, including when the database or the queue fails in the middle."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NoReturn

import pytest

from chalicelib.domain.batch import Batch, CallbackResults, SubmissionTerms
from chalicelib.domain.message import JobsMessage
from chalicelib.domain.states import BatchState, CallbackState
from chalicelib.domain.submission import Submission
from chalicelib.domain.trace import TraceContext
from chalicelib.errors import NotSaved, OutcomeUnknown, Unavailable
from chalicelib.service import Service
from tests.fakes.clock import START
from tests.fakes.ports import SETTINGS, InMemory
from tests.samples import DEMO_CALLER, some_jobs


class World(InMemory):
    """The submitting side, with everything behind it in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.service = Service(replace(SETTINGS, jobs_per_message=25), self.ports)
        self.submit = self.service.submitter.submit_batch

    def run(self, total: int = 3, url: str | None = "https://example.com/cb") -> str:
        submission = Submission(jobs=some_jobs(total), callback_url=url)
        return self.submit(DEMO_CALLER, submission, b"{}").batch_id

    @property
    def only_head(self) -> Batch:
        [head] = self.store.heads.values()
        return head


@pytest.fixture
def world() -> World:
    return World()


def fail(*_: object, **__: object) -> NoReturn:
    raise Unavailable("down")


def test_a_submitted_batch_is_stored_and_every_chunk_sent_once(world: World) -> None:
    batch_id = world.run(200)
    head = world.only_head
    assert head.batch_id == batch_id
    assert (head.total, head.chunk_size, head.state) == (200, 25, BatchState.RUNNING)
    assert [message.chunk for message, _ in world.queue.jobs] == [*range(8)]
    assert world.queue.jobs == [(JobsMessage.of(head, chunk), 0) for chunk in head.chunks]
    assert {message.deadline for message, _ in world.queue.jobs} == {head.deadline}


def test_the_first_check_comes_later_if_everything_was_sent(world: World) -> None:
    world.run()
    assert world.only_head.next_check_at == START + timedelta(minutes=30)
    assert world.only_head.checks == 1


def test_messages_hold_no_data_of_the_caller(world: World) -> None:
    world.run()
    assert "inviteContacts" not in json.dumps([str(message) for message in world.queue.jobs])


def test_a_batch_without_a_callback_url_waits_for_no_callback(world: World) -> None:
    world.run(url=None)
    assert world.only_head.callback is CallbackState.NONE


def test_with_the_queue_down_the_batch_is_safe_and_the_first_check_sends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.queue, "send_jobs", fail)
    batch_id = world.run()
    assert world.only_head.batch_id == batch_id
    assert world.only_head.next_check_at == START + timedelta(seconds=60)
    assert world.only_head.checks == 0


def test_if_the_jobs_cannot_be_saved_nothing_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.store, "save_jobs", fail)
    with pytest.raises(NotSaved):
        world.run()
    assert world.store.heads == {}
    assert world.queue.jobs == []


def test_if_the_commit_fails_nothing_ever_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Batch] = []
    commit = world.store.commit

    def lose(batch: Batch, _now: object) -> NoReturn:
        late.append(batch)
        fail()

    monkeypatch.setattr(world.store, "commit", lose)
    with pytest.raises(NotSaved):
        world.run()
    assert not commit(late[0], START)
    assert world.store.heads == {}
    assert world.queue.jobs == []


def test_a_commit_whose_answer_was_lost_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = world.store.commit

    def answer_lost(batch: Batch, _now: object) -> NoReturn:
        commit(batch, START)
        fail()

    monkeypatch.setattr(world.store, "commit", answer_lost)
    batch_id = world.run()
    assert world.only_head.batch_id == batch_id
    assert len(world.queue.jobs) == 3


def test_a_commit_that_finds_its_submission_voided_has_saved_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first try was assumed lost, and voided."""
    commit = world.store.commit

    def come_too_late(batch: Batch, now: datetime) -> Batch | None:
        world.store.void(batch, now)
        return commit(batch, now)

    monkeypatch.setattr(world.store, "commit", come_too_late)
    with pytest.raises(NotSaved):
        world.run()
    assert world.store.heads == {}
    assert not world.queue.is_busy


def test_if_the_database_stays_down_the_outcome_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.store, "commit", fail)
    monkeypatch.setattr(world.store, "void", fail)
    with pytest.raises(OutcomeUnknown):
        world.run()
    assert world.queue.jobs == []


def test_a_key_is_free_again_once_its_batch_has_expired(world: World) -> None:
    """It is free even for another body, and before the database deletes the batch, which may take
    days."""
    submission = Submission(jobs=some_jobs(1), callback_url=None)
    first = world.submit(DEMO_CALLER, submission, b"one", "key")
    again = world.submit(DEMO_CALLER, submission, b"one", "key")
    assert (first.was_there, again) == (False, replace(first, was_there=True))
    old = world.only_head
    world.clock.set(old.expires_at)
    assert world.submit(DEMO_CALLER, submission, b"another", "key") == first
    assert world.only_head.submission != old.submission
    assert world.only_head.created_at == old.expires_at


def test_the_callers_options_for_a_batch_are_stored(world: World) -> None:
    """What lists and workers need is in the head, the rest is with the terms."""
    trace = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "01")
    submission = Submission(
        jobs=some_jobs(1),
        callback_url="https://example.com/cb",
        callback_results=CallbackResults.NONE,
        callback_headers={"X-A": "canary"},
        label="nightly",
        metadata={"order": "77"},
        deadline=timedelta(minutes=5),
        max_failed=0,
        trace=trace,
    )
    world.submit(DEMO_CALLER, submission, b"{}")
    head = world.only_head
    assert (head.label, head.has_metadata, head.max_failed) == ("nightly", True, 0)
    assert (head.trace, head.deadline) == (trace, START + timedelta(minutes=5))
    assert world.store.find_terms(head) == SubmissionTerms(
        callback_url="https://example.com/cb",
        request_hash=hashlib.sha256(b"{}").hexdigest(),
        callback_results=CallbackResults.NONE,
        callback_headers={"X-A": "canary"},
        metadata={"order": "77"},
        deadline=timedelta(minutes=5),
    )
