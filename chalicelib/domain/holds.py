"""What holds up an account's jobs: its platform is down, or an operator has paused the stage.

Jobs that are held up wait without using an attempt. This module does not know where any of this is
stored.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.dataclass import dataclass

#: Seconds until the service calls the platform again, after it was down once, twice, ...
OUTAGE_WAITS = (15, 60, 240, 900)
#: This many consecutive calls of an account that find the platform down begin an outage.
CALLS_TO_TRIP = 10
#: From this attempt on, so do all the calls of one message.
ATTEMPT_TO_TRIP = 3
#: If a worker got any answer within this time, it assumes that one action is broken, and not the
#: platform.
ANSWER_COUNTS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """An account's platform is down. This is recorded per account, so that one caller's broken
    action does not hold up the jobs of others."""

    began_at: datetime
    #: When the service calls the platform again.
    until: datetime
    #: How often it was called again and was still down.
    misses: int = 0

    @classmethod
    def beginning(cls, now: datetime) -> "Outage":
        return cls(began_at=now, until=now + timedelta(seconds=OUTAGE_WAITS[0]))

    def still_away(self, now: datetime) -> "Outage":
        """Return the outage after another call that found the platform down."""
        misses = self.misses + 1
        wait = OUTAGE_WAITS[min(misses, len(OUTAGE_WAITS) - 1)]
        return replace(self, misses=misses, until=now + timedelta(seconds=wait))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """An operator has stopped all calls of a stage for a time. Callbacks continue."""

    until: datetime
    reason: str

    def lasts(self, now: datetime) -> bool:
        return now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why no call may begin, and until when."""

    #: As callers see it: "platform" or "pause".
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What holds up an account's jobs; both fields are None if nothing does."""

    outage: Outage | None = None
    pause: Pause | None = None

    def hold(self, now: datetime) -> Hold | None:
        """Return what holds up a call that would begin now, or None. If both do, return the longer
        one."""
        found = [
            Hold(reason=reason, until=each.until)
            for reason, each in (("platform", self.outage), ("pause", self.pause))
            if each and now < each.until
        ]
        return max(found, key=lambda hold: hold.until, default=None)
