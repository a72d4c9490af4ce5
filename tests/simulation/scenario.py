"""What a simulated run begins with: a batch, and how platform, receiver and caller behave."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from chalicelib.domain.limits import Limits
from chalicelib.domain.outcome import NoReply, Reply

#: What the platform does at a call of a job, given its index and how often it was called before.
PlatformBehaviour = Callable[[int, int], Reply | NoReply | Literal["kill"]]
ReceiverBehaviour = Callable[[int], Reply | NoReply | Literal["kill"]]


def answers(index: int, _before: int) -> Reply | NoReply | Literal["kill"]:
    """Every job gets its answer, and a different one each time it is called, so that an answer
    that was exchanged for another shows."""
    return Reply(status=200, body=f'{{"job":{index},"call":{_before}}}'.encode())


def takes(_before: int) -> Reply | NoReply | Literal["kill"]:
    return Reply(status=200)


def kills(_before: int) -> Reply | NoReply | Literal["kill"]:
    """Whoever sends the callback dies of it, each time."""
    return "kill"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One story, before anything goes wrong in it."""

    name: str
    jobs: int
    chunk_size: int = 1
    per_flush: int = 1_000
    platform: PlatformBehaviour = answers
    receiver: ReceiverBehaviour = takes
    limits: Limits = field(default_factory=Limits)
    #: What happens besides, at every moment that there is: the caller does something, submits once
    #: more with the same Idempotency-Key, or another batch, the rival; all other messages overtake
    #: the one in hand; the one in hand is delivered a second time and overtakes itself.
    action: (
        Literal[
            "cancel",
            "restart",
            "repost",
            "submit",
            "cancel-restart",
            "overtake",
            "duplicate",
            "rival",
            "restart-rival",
        ]
        | None
    ) = None
    #: Whether the caller submits with the same key again when the batch has expired, before the
    #: database has deleted anything of it.
    again_after_expiry: bool = False
    #: The jobs that never get an answer of the platform's.
    without_answer: frozenset[int] = field(default_factory=frozenset)


def failing(job: int, times: int) -> PlatformBehaviour:
    """One job fails for now so many times; after more than five it stays unanswered."""

    def behave(index: int, before: int) -> Reply | NoReply | Literal["kill"]:
        return Reply(status=500) if index == job and before < times else answers(index, before)

    return behave


def poison(job: int) -> PlatformBehaviour:
    """One job kills every worker that runs it."""

    def behave(index: int, before: int) -> Reply | NoReply | Literal["kill"]:
        return "kill" if index == job else answers(index, before)

    return behave


def refusing(times: int) -> ReceiverBehaviour:
    """The receiver is down for so many attempts."""

    def behave(before: int) -> Reply | NoReply | Literal["kill"]:
        return NoReply(reason="no connection") if before < times else Reply(status=200)

    return behave
