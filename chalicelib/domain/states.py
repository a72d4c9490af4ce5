"""The state machines of a batch and of its callback, as tables of (state, event) to next state.

A move that is not in a table is impossible: `after` raises and nothing changes. The pictures in
docs/how-it-works.md are drawn from these tables.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from chalicelib.errors import BatchbackError


class BatchState(StrEnum):
    """The state of a batch."""

    RUNNING = "running"  #: some jobs have no answer yet
    COMPLETED = "completed"  #: every job has its final answer


class CallbackState(StrEnum):
    """The state of the callback for the latest completion."""

    NONE = "none"  #: the batch has no callback URL
    WAITING = "waiting"  #: due when the batch completes, or being attempted
    DELIVERED = "delivered"  #: the receiver answered 2xx
    FAILED = "failed"  #: no attempt is left; a repost begins a new series


class BatchEvent(StrEnum):
    """What moves a batch."""

    ALL_CHUNKS_DONE = "all chunks are done"
    RESTARTED = "restarted"  #: a new round begins


class CallbackEvent(StrEnum):
    """What moves a callback."""

    TAKEN = "the receiver answered 2xx"
    FAILED_FOR_NOW = "an attempt failed"  #: there are more to come
    GIVEN_UP = "410, refused, or the last attempt failed"
    ASKED_ANEW = "reposted or restarted"  #: a new series of attempts


BATCH_MOVES: Mapping[tuple[BatchState, BatchEvent], BatchState] = {
    (BatchState.RUNNING, BatchEvent.ALL_CHUNKS_DONE): BatchState.COMPLETED,
    (BatchState.COMPLETED, BatchEvent.RESTARTED): BatchState.RUNNING,
}

CALLBACK_MOVES: Mapping[tuple[CallbackState, CallbackEvent], CallbackState] = {
    (CallbackState.WAITING, CallbackEvent.TAKEN): CallbackState.DELIVERED,
    (CallbackState.WAITING, CallbackEvent.FAILED_FOR_NOW): CallbackState.WAITING,
    (CallbackState.WAITING, CallbackEvent.GIVEN_UP): CallbackState.FAILED,
    (CallbackState.WAITING, CallbackEvent.ASKED_ANEW): CallbackState.WAITING,
    (CallbackState.DELIVERED, CallbackEvent.ASKED_ANEW): CallbackState.WAITING,
    (CallbackState.FAILED, CallbackEvent.ASKED_ANEW): CallbackState.WAITING,
    (CallbackState.NONE, CallbackEvent.ASKED_ANEW): CallbackState.NONE,
}

State = TypeVar("State", BatchState, CallbackState)
Event = TypeVar("Event", BatchEvent, CallbackEvent)


class IllegalMove(BatchbackError):
    """An event happened in a state that does not allow it. This is a bug, and nothing has
    changed."""


def after(moves: Mapping[tuple[State, Event], State], state: State, event: Event) -> State:
    """Return the state after an event, or raise IllegalMove."""
    try:
        return moves[state, event]
    except KeyError:
        raise IllegalMove(f"not possible in the state {state}: {event}") from None
