"""What holds up an account's jobs, and until when."""

from datetime import timedelta

import pytest

from chalicelib.domain.holds import Hold, Holds, Outage, Pause
from tests.fakes.clock import START

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def outage(until_seconds: float) -> Outage:
    return Outage(began_at=START, until=START + until_seconds * SECOND)


def pause(until_seconds: float) -> Pause:
    return Pause(until=START + until_seconds * SECOND, reason="maintenance")


class TestOutage:
    def test_the_platform_is_called_again_after_15_seconds(self) -> None:
        assert Outage.beginning(START).until == START + 15 * SECOND

    def test_later_calls_follow_after_1_4_and_then_always_15_minutes(self) -> None:
        waits = []
        found = Outage.beginning(START)
        for _ in range(5):
            later = found.still_away(found.until)
            waits.append((later.until - found.until) / MINUTE)
            found = later
        assert waits == [1, 4, 15, 15, 15]

    def test_its_beginning_never_changes(self) -> None:
        later = Outage.beginning(START).still_away(START + MINUTE)
        assert (later.began_at, later.misses) == (START, 1)


class TestHolds:
    @pytest.mark.parametrize(
        ("holds", "reason", "until_seconds"),
        [
            (Holds(outage=outage(15)), "platform", 15),
            (Holds(pause=pause(60)), "pause", 60),
            (Holds(outage=outage(15), pause=pause(60)), "pause", 60),
            (Holds(outage=outage(90), pause=pause(60)), "platform", 90),
        ],
    )
    def test_the_longer_of_the_two_holds_up_a_call(
        self, holds: Holds, reason: str, until_seconds: float
    ) -> None:
        until = START + until_seconds * SECOND
        assert holds.hold(START) == Hold(reason=reason, until=until)
        assert holds.hold(until - SECOND / 1000) == Hold(reason=reason, until=until)

    @pytest.mark.parametrize(
        "holds", [Holds(), Holds(outage=outage(0)), Holds(pause=pause(0)), Holds(pause=pause(-60))]
    )
    def test_a_hold_that_is_over_holds_up_nothing(self, holds: Holds) -> None:
        assert holds.hold(START) is None
