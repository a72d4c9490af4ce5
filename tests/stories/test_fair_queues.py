"""Every message on every queue belongs to its account's group, no matter who sent it. Using the
groups is up to SQS; naming them is up to us."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.domain.outcome import NoReply, Reply
from tests.stories.jobs import jobs
from tests.stories.on_moto import Message, OnMoto


class Watched:
    """A service whose every message is inspected."""

    def __init__(self, life: OnMoto) -> None:
        self.life = life
        self.seen: list[Message] = []
        life.order = self._see

    def _see(self, messages: Sequence[Message]) -> Sequence[Message]:
        self.seen += messages
        return messages

    def receive(self) -> list[Message]:
        return [*self._see(self.life.receive())]

    def in_haste(self, messages: Sequence[Message]) -> None:
        """Deliver to functions whose time is nearly up."""
        for message in messages:
            self.life.deliver(message, seconds=30)
            self.life.delete(message)

    @property
    def jobs_messages(self) -> list[Any]:
        return [body for body in map(_body, self.seen) if "chunk" in body]

    @property
    def batch_messages(self) -> list[Any]:
        return [body for body in map(_body, self.seen) if "chunk" not in body]

    @property
    def groups(self) -> set[str | None]:
        return {message["Attributes"].get("MessageGroupId") for message in self.seen}


@pytest.fixture
def watched(life: OnMoto) -> Watched:
    return Watched(life)


def _body(message: Message) -> Any:
    return json.loads(message["Body"])


#: The account of the key that calls in every story.
ACCOUNT = "demo"


def test_messages_of_a_submission_and_of_the_end_of_its_jobs(watched: Watched) -> None:
    watched.life.submit(jobs(200))
    watched.life.work_off()
    assert len(watched.jobs_messages) == 4
    assert len(watched.batch_messages) >= 1
    assert watched.groups == {ACCOUNT}


def test_messages_of_jobs_that_are_retried(watched: Watched) -> None:
    tries = iter([Reply(status=503), Reply(status=200, body=b"{}")])
    watched.life.platform.answer = lambda _: next(tries)
    watched.life.submit(jobs(1))
    watched.life.work_off()
    assert [body["attempt"] for body in watched.jobs_messages] == [1, 2]
    assert watched.groups == {ACCOUNT}


def test_messages_of_jobs_that_are_handed_on_for_lack_of_time(watched: Watched) -> None:
    watched.life.submit(jobs(1))
    watched.in_haste(watched.receive())
    watched.life.work_off()
    assert [body["hops"] for body in watched.jobs_messages] == [0, 1]
    assert watched.groups == {ACCOUNT}


def test_messages_of_a_check_that_is_handed_on_for_lack_of_time(watched: Watched) -> None:
    async_id = watched.life.submit(jobs(1))
    watched.life.ask("cancel", {"async": async_id})
    watched.in_haste([each for each in watched.receive() if "chunk" not in _body(each)])
    watched.life.work_off()
    assert [body["hops"] for body in watched.batch_messages][:2] == [0, 1]
    assert watched.groups == {ACCOUNT}


def test_messages_from_a_message_that_is_split(watched: Watched) -> None:
    watched.life.configure(JOBS_PER_MESSAGE="5")
    watched.life.submit(jobs(40))
    for message in watched.receive()[1:]:
        watched.life.deliver(message)
        watched.life.delete(message)
    watched.life.clock.advance(seconds=361)
    watched.life.work_off()
    alone = [body for body in watched.jobs_messages if body["indexes"]]
    assert sorted(index for body in alone for index in body["indexes"]) == [*range(5)]
    assert watched.groups == {ACCOUNT}


def test_messages_of_a_sweep_and_of_a_check_that_sends_again(watched: Watched) -> None:
    life = watched.life
    life.submit(jobs(1))
    life.delete(life.receive()[0])  # lost for good
    life.clock.advance(minutes=31)
    life.sweep()
    life.work_off()
    assert life.journal.of("batch swept")
    assert life.journal.of("chunks sent again")
    sentinel, message = watched.jobs_messages
    assert ("sentinel" in sentinel, "sentinel" in message) == (True, False)
    assert watched.groups == {ACCOUNT}


def test_messages_of_a_callback_that_is_retried(watched: Watched) -> None:
    watched.life.receiver.answers = [NoReply(reason="no connection")]
    watched.life.submit(jobs(1))
    watched.life.work_off()
    assert len(watched.life.receiver.posts) == 2
    assert len(watched.batch_messages) == 2
    assert watched.groups == {ACCOUNT}


@pytest.mark.parametrize("action", ["restart", "repost", "cancel"])
def test_messages_of_a_rerun(watched: Watched, action: str) -> None:
    async_id = watched.life.submit(jobs(1))
    if action != "cancel":
        watched.life.work_off()
    watched.seen.clear()
    watched.life.ask(action, {"async": async_id})
    watched.life.work_off()
    assert watched.batch_messages
    assert watched.groups == {ACCOUNT}


def test_a_dead_message_stays_in_its_group(watched: Watched) -> None:
    life = watched.life
    life.submit(jobs(1))
    for _ in range(3):
        assert len(life.receive()) == 1  # and its worker dies
        life.clock.advance(seconds=361)
    [dead] = life.receive()
    assert dead["QueueUrl"].endswith(life.names.jobs_dead_queue)
    assert dead["Attributes"]["MessageGroupId"] == ACCOUNT
