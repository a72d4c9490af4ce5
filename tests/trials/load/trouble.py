"""What may be wrong while a stage works."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong; by default, nothing."""

    name: str = "none"
    #: This share of writes to the tables fails, half of them after they took effect.
    failing_writes: float = 0
    #: The first answers of each chunk cannot be put.
    fails_first_puts: bool = False
    #: For this long nobody can connect to the platform.
    platform_away: timedelta = timedelta()
    #: The platform answers 429, and asks to wait this many seconds.
    asks_to_wait: int | None = None
    #: For an hour the callers restart their batches this often.
    restarts_every: timedelta | None = None
    #: The accounts whose receivers never answer.
    hanging: Collection[str] = ()


NONE = Trouble()
FAILING_WRITES = Trouble(name="5 % of writes fail", failing_writes=0.05)
FAILED_PUTS = Trouble(name="each chunk's first put fails", fails_first_puts=True)
OUTAGE = Trouble(name="platform away for 30 minutes", platform_away=timedelta(minutes=30))
#: A little more than five minutes: a batch that was checked in the last five minutes is not checked
#: again.
IMPATIENCE = Trouble(
    name="`Retry-After: 900`, restarts every 5 minutes",
    asks_to_wait=900,
    restarts_every=timedelta(minutes=5, seconds=1),
)
