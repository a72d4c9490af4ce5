"""What holds up the jobs of an account: its platform is not there, or an operator's pause.

Held up jobs wait and use no attempt. This module does not know where any of it is kept.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

#: Seconds until the platform is asked again, after it was found away once, twice, ...
OUTAGE_WAITS = (15, 60, 240, 900)
#: So many calls of an account in a row that find the platform away begin an outage.
CALLS_TO_TRIP = 10
#: So do all the calls of one message, from this attempt on.
ATTEMPT_TO_TRIP = 3
#: A worker that had any answer within this time holds an action for broken, and not the platform.
ANSWER_COUNTS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """An account's platform is not there. It is kept per account, so that one caller's broken
    action holds up nobody else's jobs."""

    began_at: datetime
    #: When it is asked again.
    until: datetime
    #: How often it was asked again and was still away.
    misses: int = 0

    @classmethod
    def beginning(cls, now: datetime) -> "Outage":
        return cls(began_at=now, until=now + timedelta(seconds=OUTAGE_WAITS[0]))

    def still_away(self, now: datetime) -> "Outage":
        """The outage after another call that found the platform away."""
        misses = self.misses + 1
        wait = OUTAGE_WAITS[min(misses, len(OUTAGE_WAITS) - 1)]
        return replace(self, misses=misses, until=now + timedelta(seconds=wait))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """An operator has stopped all calls of a stage for a time. Callbacks go on."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why no call may begin, and until when."""

    #: As callers are told: "platform" or "pause".
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What stands in the way of an account's jobs; all is well if nothing does."""

    outage: Outage | None = None
    pause: Pause | None = None

    def hold(self, now: datetime) -> Hold | None:
        """What holds up a call that would begin now, the longer of the two; None if nothing
        does."""
        found = [
            Hold(reason=reason, until=each.until)
            for reason, each in (("platform", self.outage), ("pause", self.pause))
            if each and now < each.until
        ]
        return max(found, key=lambda hold: hold.until, default=None)
