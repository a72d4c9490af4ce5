"""Scenarios in which something fails, waits, gets lost, or is away for a time."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.outcome import Reply
from tests.simulation.behavior import busy, busy_by_job, failing, poison, unreachable
from tests.simulation.insisted import (
    a_cancel_ends_it_within_minutes,
    a_job_is_called_once,
    an_absent_platform_is_left_alone,
    an_error_is_no_death,
    called_again_at_most,
    no_job_is_called_before_its_time,
    no_job_is_called_more_than_five_times,
    no_message_is_sent_twice,
    rescued_at_most,
)
from tests.simulation.scenario import Scenario

_EVER = 999
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_NOW = timedelta()
_FIRST = frozenset({0})
_ALL = frozenset(range(12))
#: A little more than five minutes, so that nothing happens at the same moment.
_RESTARTS = timedelta(minutes=5, seconds=7)
#: The longest that a message waits.
_LONGEST_WAIT = timedelta(minutes=16)
#: The second check finds a standstill, and its sentinel waits for 15 minutes.
_RESCUE = timedelta(minutes=46)

#: One call of the database or queue fails.
ERRORS = (
    Scenario(name="an-error", jobs=10, chunk_size=10, insists=(an_error_is_no_death,)),
    Scenario(name="an-error", jobs=6, chunk_size=3, per_flush=1, insists=(an_error_is_no_death,)),
    Scenario(
        name="an-error-while-failing",
        jobs=3,
        chunk_size=3,
        platform=failing(0, _EVER),
        without_answer=_FIRST,
        ends_within=timedelta(minutes=22),
        insists=(no_job_is_called_more_than_five_times,),
    ),
)

#: A platform that asks for long waits.
WAITING = (
    Scenario(
        name="restarting-while-it-waits",
        jobs=1,
        platform=busy(*[900] * _EVER),
        asks=tuple((times * _RESTARTS, "restart") for times in range(1, 12)),
        without_answer=_ALL,
        ends_within=timedelta(minutes=62),
        insists=(no_job_is_called_more_than_five_times, no_message_is_sent_twice),
    ),
    Scenario(
        name="checking-while-it-waits",
        jobs=1,
        platform=busy(*[900] * _EVER),
        without_answer=_ALL,
        ends_within=timedelta(minutes=62),
        insists=(no_job_is_called_more_than_five_times, no_message_is_sent_twice),
    ),
    Scenario(
        name="handed-on-often",
        jobs=12,
        chunk_size=12,
        per_flush=1,
        platform=failing(11, _EVER),
        call_seconds=21,
        without_answer=frozenset({11}),
        ends_within=45 * _MINUTE,
        insists=(no_job_is_called_more_than_five_times,),
    ),
    Scenario(
        name="the-longer-wait",
        jobs=2,
        chunk_size=2,
        platform=busy_by_job((840, 840, 61), (840, 840, 900)),
        ends_within=45 * _MINUTE,
        insists=(no_job_is_called_before_its_time,),
    ),
)
#: The same, cancelled at every moment.
A_CANCEL_AMID_WAITS = Scenario(
    name="cancel-while-it-waits",
    jobs=1,
    platform=busy(840, 840, 900),
    action=("cancel",),
    ends_within=45 * _MINUTE,
    insists=(a_cancel_ends_it_within_minutes,),
)

#: Messages that are lost or late, and the sentinel that finds out.
SENTINELS = (
    Scenario(
        name="lost",
        jobs=2,
        asks=((_NOW, "lose"),),
        ends_within=_RESCUE,
        insists=(rescued_at_most(1),),
    ),
    Scenario(
        name="sentinel-doubled",
        jobs=2,
        asks=((_NOW, "lose"),),
        action=("double",),
        ends_within=_RESCUE,
        insists=(rescued_at_most(1),),
    ),
    Scenario(
        name="sentinel-late",
        jobs=2,
        asks=((_NOW, "lose"),),
        action=("delay",),
        away_for=2 * _HOUR,
        ends_within=3 * _HOUR,
        insists=(rescued_at_most(2),),
    ),
    Scenario(
        name="sentinel-of-an-older-round",
        jobs=2,
        asks=((_NOW, "lose"),),
        action=("cancel", "drain", "restart", "drain", "lose"),
        ends_within=2 * _HOUR,
        per_loss=2 * _HOUR,
        insists=(rescued_at_most(2),),
    ),
    Scenario(
        name="a-backlog-of-one",
        jobs=2,
        chunk_size=2,
        asks=((_NOW, "delay"),),
        away_for=timedelta(minutes=44),
        platform=busy(600),
        ends_within=_HOUR,
        insists=(no_job_is_called_before_its_time, rescued_at_most(0)),
    ),
)

#: Away at every moment, for a time.
AWAY = (
    Scenario(
        name="platform-away",
        jobs=1,
        action=("platform away",),
        ends_within=timedelta(minutes=30) + _LONGEST_WAIT,
        insists=(an_absent_platform_is_left_alone, a_job_is_called_once),
    ),
    Scenario(
        name="platform-away-after-answers",
        jobs=1,
        is_warm=True,
        action=("platform away",),
        ends_within=timedelta(minutes=30) + _LONGEST_WAIT,
        insists=(an_absent_platform_is_left_alone, a_job_is_called_once),
    ),
    Scenario(
        name="platform-back-meanwhile",
        jobs=2,
        asks=((_NOW, "platform away"),),
        away_for=10 * _HOUR,
        action=("platform back", "drain"),
        without_answer=_ALL,
        ends_within=3 * _HOUR,
    ),
    Scenario(
        name="database-away",
        jobs=1,
        action=("database away",),
        away_for=_HOUR,
        ends_within=_HOUR + _LONGEST_WAIT,
        called_back_within=_HOUR + _LONGEST_WAIT,
        insists=(called_again_at_most(12),),
    ),
    Scenario(
        name="writes-away",
        jobs=1,
        action=("writes away",),
        away_for=_HOUR,
        ends_within=_HOUR + _LONGEST_WAIT,
        called_back_within=_HOUR + _LONGEST_WAIT,
        insists=(called_again_at_most(12),),
    ),
    Scenario(
        name="database-away-for-minutes",
        jobs=1,
        platform=failing(0, _EVER),
        action=("database away",),
        away_for=timedelta(minutes=2),
        without_answer=_ALL,
        ends_within=timedelta(minutes=27),
        called_back_within=timedelta(minutes=20),
        insists=(no_job_is_called_more_than_five_times,),
    ),
    Scenario(
        name="queue-away",
        jobs=1,
        action=("queue away",),
        ends_within=_HOUR,
        called_back_within=_HOUR,
        insists=(called_again_at_most(12),),
    ),
    Scenario(
        name="paused",
        jobs=1,
        platform=failing(0, 2),
        action=("pause",),
        ends_within=timedelta(minutes=30) + _LONGEST_WAIT,
        insists=(called_again_at_most(2),),
    ),
    Scenario(
        name="paused-while-giving-up",
        jobs=1,
        platform=failing(0, _EVER),
        action=("pause",),
        without_answer=_FIRST,
        ends_within=timedelta(minutes=52) + _LONGEST_WAIT,
        insists=(no_job_is_called_more_than_five_times,),
    ),
    Scenario(
        name="paused-and-resumed",
        jobs=1,
        asks=((_NOW, "pause"),),
        away_for=5 * _HOUR,
        action=("resume",),
        ends_within=5 * _HOUR + _LONGEST_WAIT,
        insists=(a_job_is_called_once,),
    ),
)
#: Away from the beginning.
AWAY_FOR_GOOD = (
    Scenario(
        name="never-there",
        jobs=1,
        platform=failing(0, _EVER, Reply(status=503)),
        without_answer=_FIRST,
        ends_within=3 * _HOUR,
    ),
    Scenario(
        name="never-there",
        jobs=12,
        chunk_size=4,
        platform=lambda index, before: Reply(status=503),
        without_answer=_ALL,
        ends_within=3 * _HOUR,
    ),
    Scenario(
        name="poison-while-away",
        jobs=1,
        platform=poison(0),
        asks=((_NOW, "platform away"),),
        without_answer=_FIRST,
        ends_within=2 * _HOUR,
    ),
)

#: Triggered while a delivery is under way.
DELIVERING = (
    Scenario(
        name="repost-while-delivering",
        jobs=1,
        post_seconds=(60, 60),
        action=("repost",),
        called_back_within=timedelta(minutes=5),
    ),
    Scenario(
        name="restart-while-delivering",
        jobs=1,
        post_seconds=(60, 60),
        action=("restart",),
        platform=unreachable(0, 1),
        without_answer=_FIRST,
        called_back_within=timedelta(minutes=5),
    ),
)
