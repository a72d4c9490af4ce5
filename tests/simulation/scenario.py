"""What a simulated run begins with: a batch, and how platform, receiver, caller, clocks and AWS
behave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from chalicelib.domain.limits import Limits
from chalicelib.domain.results import MAX_CALLBACK_BYTES
from chalicelib.domain.states import CallbackState
from tests.simulation.behavior import PlatformBehavior, ReceiverBehavior, answers, takes

if TYPE_CHECKING:
    from tests.simulation.state import State

#: One thing that happens besides, while an invocation stands still:
#: `submit`, the caller submits once more with the same Idempotency-Key; `rival`, another batch;
#: `cancel`, `restart`, `repost`, what the caller may ask for; `revoke`, its key is revoked;
#: `expire`, the batch expires, and the caller submits again with the same key; `sweep`, a sweep
#: runs; `stop`, a worker that noticed before that too many jobs failed writes it only now;
#: `drain`, all other messages that can be had are worked off; `again`, the
#: message in hand is delivered a second time; `later`, it is ten seconds later; `lose`, all
#: messages of `jobs` but the one in hand are lost; `double`, they come twice; `delay`, all that
#: wait come later; `database away`, `writes away`, `queue away`, `platform away`, each for a time,
#: and `platform back`;
#: `pause` and `resume`, what an operator may do.
Step = Literal[
    "submit",
    "rival",
    "cancel",
    "restart",
    "repost",
    "revoke",
    "expire",
    "sweep",
    "stop",
    "drain",
    "again",
    "later",
    "lose",
    "double",
    "delay",
    "database away",
    "writes away",
    "queue away",
    "platform away",
    "platform back",
    "pause",
    "resume",
]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One story, before anything goes wrong in it."""

    name: str
    jobs: int
    chunk_size: int = 1
    per_flush: int = 1_000
    limits: Limits = field(default_factory=Limits)
    has_callback: bool = True
    max_callback_bytes: int = MAX_CALLBACK_BYTES

    platform: PlatformBehavior = answers
    receiver: ReceiverBehavior = takes
    #: What each call takes, and what the first post, the second, ...; whatever comes due meanwhile
    #: happens meanwhile.
    call_seconds: float = 0
    post_seconds: tuple[float, ...] = ()
    #: Whether a function goes on though its time is over.
    outlives_its_time: bool = False
    #: How far a function's clock is ahead of the true time, in seconds.
    clocks: Mapping[str, float] = field(default_factory=dict)
    #: Whether the index of due times tells what was true one invocation ago.
    index_lags: bool = False
    #: Whether there is a moment for others between two pages of one read.
    reads_are_torn: bool = False
    #: Whether a worker remembers what the one before it knew of the platform.
    is_warm: bool = False
    #: How often each message of `jobs` is received in vain before it is run.
    throttles: int = 0

    #: How long something is away or paused, or messages are delayed.
    away_for: timedelta = timedelta(minutes=30)

    #: What happens besides, at every moment that there is.
    action: tuple[Step, ...] = ()
    #: What the caller does once all has come to rest.
    at_rest: Step | None = None
    #: What the caller does when so much time has passed since it began.
    asks: tuple[tuple[timedelta, Step], ...] = ()
    #: Whether the caller submits with the same key again when the batch has expired, before the
    #: database has deleted anything of it, and while messages of the first life still arrive.
    again_after_expiry: bool = False

    deadline: timedelta = timedelta(hours=12)
    #: What the caller wants instead.
    own_deadline: timedelta | None = None
    #: How many jobs may fail before the batch is stopped.
    max_failed: int | None = None
    expiry: timedelta = timedelta(hours=60)
    #: How soon after the beginning of its last round the batch ends if nothing gets lost, and how
    #: much later it may for each loss.
    ends_within: timedelta = timedelta(minutes=1)
    #: The same, from the batch's end, or the last repost, to its callback.
    called_back_within: timedelta = timedelta(minutes=1)
    per_loss: timedelta = timedelta(minutes=13)
    #: Whether it ends at all before it expires.
    ends: bool = True
    callback_ends: CallbackState = CallbackState.DELIVERED
    #: The jobs that never get an answer of the platform's.
    without_answer: frozenset[int] = field(default_factory=frozenset)
    #: What is insisted on besides: see `promises`.
    insists: tuple[Callable[[State], None], ...] = ()
