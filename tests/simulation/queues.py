"""The queues as the template defines them, and the function that works on each. Another queue needs
one more line here, and one more method of `SimulatedQueue`."""

from dataclasses import dataclass
from datetime import timedelta

from chalicelib.domain.message import MAX_RECEIVES

#: How long a function may take before Lambda ends it, as set in `.chalice/config.json`.
TIMEOUTS = {
    "submit": 29,
    "act": 29,
    "run_jobs": 60,
    "advance_batch": 120,
    "call_back": 120,
    "bury_jobs": 60,
    "sweep": 50,
}
#: A message whose function died is visible again after this many of the function's timeouts.
_TIMEOUTS_HIDDEN = 6


@dataclass(frozen=True, kw_only=True)
class QueueKind:
    """What happens to the messages of one queue."""

    function: str
    max_receives: int
    #: Where a message goes after that many receives. None: nowhere that anything works on it.
    dead_letters: str | None = None

    @property
    def visibility(self) -> timedelta:
        """How long a message in the hands of a worker is hidden."""
        return timedelta(seconds=_TIMEOUTS_HIDDEN * TIMEOUTS[self.function])


QUEUES = {
    "jobs": QueueKind(function="run_jobs", max_receives=MAX_RECEIVES, dead_letters="jobs-dead"),
    "batches": QueueKind(function="advance_batch", max_receives=5),
    "callbacks": QueueKind(function="call_back", max_receives=5),
    "jobs-dead": QueueKind(function="bury_jobs", max_receives=100),
}
