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

#: One thing that happens while an invocation is suspended:
#: - `submit`: the caller submits once more with the same Idempotency-Key; `rival`: another batch
#: - `cancel`, `restart`, `repost`: requests of the caller; `revoke`: its key is revoked
#: - `expire`: the batch expires, and the caller submits again with the same key
#: - `sweep`: a sweep runs; `stop`: a worker that noticed earlier that too many jobs failed writes
#:   it only now; `drain`: all other available messages are handled
#: - `again`: the message in hand is delivered a second time; `later`: ten seconds pass
#: - `lose`: all messages of `jobs` but the one in hand are lost; `double`: they come twice;
#:   `delay`: all waiting messages come later
#: - `database away`, `writes away`, `queue away`, `platform away`: each for a time; `platform back`
#: - `pause`, `resume`: an operator's actions
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
    #: How long each call takes, and the first post, the second, and so on. Whatever comes due
    #: during a call happens meanwhile.
    call_seconds: float = 0
    post_seconds: tuple[float, ...] = ()
    #: Whether a function goes on although its time is over.
    outlives_its_time: bool = False
    #: How far a function's clock is ahead of the true time, in seconds.
    clocks: Mapping[str, float] = field(default_factory=dict)
    #: Whether the index of due times is one invocation behind.
    index_lags: bool = False
    #: Whether others may act between two pages of one read.
    reads_are_torn: bool = False
    #: Whether a worker remembers what its predecessor knew about the platform.
    is_warm: bool = False
    #: How often each message of `jobs` is received in vain before it is run.
    throttles: int = 0

    #: How long something is away or paused, or messages are delayed.
    away_for: timedelta = timedelta(minutes=30)

    #: What else happens, at every moment.
    action: tuple[Step, ...] = ()
    #: What the caller does once all has come to rest.
    at_rest: Step | None = None
    #: What the caller does at a given time after its beginning.
    asks: tuple[tuple[timedelta, Step], ...] = ()
    #: Whether the caller submits with the same key again after the batch has expired, before the
    #: database has deleted anything of it, and while messages of the first batch still arrive.
    again_after_expiry: bool = False

    deadline: timedelta = timedelta(hours=12)
    #: The deadline that the caller gives instead of the default.
    own_deadline: timedelta | None = None
    #: How many jobs may fail before the batch is stopped.
    max_failed: int | None = None
    expiry: timedelta = timedelta(hours=60)
    #: How soon after the beginning of its last round the batch ends if nothing gets lost, and how
    #: much later for each loss.
    ends_within: timedelta = timedelta(minutes=1)
    #: The same, from the batch's end or the last repost until its callback.
    called_back_within: timedelta = timedelta(minutes=1)
    per_loss: timedelta = timedelta(minutes=13)
    #: Whether it ends at all before it expires.
    ends: bool = True
    callback_ends: CallbackState = CallbackState.DELIVERED
    #: The jobs that never get an answer from the platform.
    without_answer: frozenset[int] = field(default_factory=frozenset)
    #: What else must hold: see `promises`.
    insists: tuple[Callable[[State], None], ...] = ()
