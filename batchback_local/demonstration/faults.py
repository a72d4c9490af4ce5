"""The usual faults of a demonstration server, as switches: a name for each behavior."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchback_console.local_tools import Fault, NotPossible
from batchback_local.demonstration.behavior import Behaviors

_SLOW = Fault(name="slow", title="Slow: answers after 2 s")
_BUSY = Fault(name="busy", title="Busy: 429 with Retry-After 30")
_AWAY = Fault(name="away", title="Away: closes connections without an answer")
#: Something else that somebody has set with POST /behave.
OTHER = Fault(name="other", title="Other: set with POST /behave")

Wishes = Mapping[Fault, Mapping[str, Any]]

OF_THE_PLATFORM: Wishes = {
    _SLOW: {"sleepMs": 2_000},
    Fault(name="unavailable", title="Unavailable: 503"): {"status": 503},
    Fault(name="flaky", title="Flaky: 503 to one call in three"): {
        "status": 503,
        "probability": 0.33,
    },
    _BUSY: {"status": 429, "retryAfter": 30},
    _AWAY: {"away": True},
}
OF_THE_RECEIVER: Wishes = {
    _SLOW: {"sleepMs": 2_000},
    Fault(name="failing", title="Failing: 500"): {"status": 500},
    _BUSY: {"status": 429, "retryAfter": 30},
    Fault(name="gone", title="Gone: 410, which ends the attempts"): {"status": 410},
    _AWAY: {"away": True},
}


@dataclass(frozen=True, slots=True)
class Switches:
    """Sets one fault of a server, or none. Implements `Demonstration`."""

    wishes: Wishes
    behaviors: Behaviors = field(repr=False)

    @property
    def faults(self) -> Sequence[Fault]:
        return [*self.wishes]

    @property
    def fault(self) -> Fault | None:
        told = self.behaviors.told
        if not told:
            return None
        return next((fault for fault, wish in self.wishes.items() if told == [wish]), OTHER)

    def fail(self, name: str | None) -> None:
        if name is None:
            self.behaviors.replace_all(None)
            return
        for fault, wish in self.wishes.items():
            if fault.name == name:
                self.behaviors.replace_all(wish)
                return
        known = ", ".join(fault.name for fault in self.wishes)
        raise NotPossible(f"There is no fault {name!r}: use one of {known}, or null.")
