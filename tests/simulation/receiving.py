"""Scenarios in which a callback does not end by being accepted."""

from datetime import timedelta

from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.retry import CALLBACK_TRIES
from chalicelib.domain.states import CallbackState
from tests.simulation.behavior import refusing
from tests.simulation.insisted import posts_at_most
from tests.simulation.scenario import Scenario

_EVER = 99

RECEIVING = (
    Scenario(
        name="gone",
        jobs=1,
        receiver=refusing(_EVER, Reply(status=410)),
        callback_ends=CallbackState.FAILED,
        insists=(posts_at_most(1),),
    ),
    Scenario(
        name="refused",
        jobs=1,
        receiver=refusing(_EVER, NoReply(reason="a private address", is_final=True)),
        callback_ends=CallbackState.FAILED,
        insists=(posts_at_most(1),),
    ),
    Scenario(
        name="too-large",
        jobs=1,
        max_callback_bytes=50,
        callback_ends=CallbackState.FAILED,
        insists=(posts_at_most(0),),
    ),
    Scenario(
        name="no-callback",
        jobs=1,
        has_callback=False,
        callback_ends=CallbackState.NONE,
        insists=(posts_at_most(0),),
    ),
    Scenario(
        name="never-accepted",
        jobs=1,
        receiver=refusing(_EVER),
        callback_ends=CallbackState.FAILED,
        insists=(posts_at_most(CALLBACK_TRIES),),
    ),
    Scenario(
        name="asked-to-wait",
        jobs=1,
        receiver=refusing(2, Reply(status=503, retry_after="1000")),
        called_back_within=timedelta(minutes=40),
        per_loss=timedelta(minutes=90),
    ),
    Scenario(
        name="repost-after-the-last",
        jobs=1,
        receiver=refusing(CALLBACK_TRIES),
        at_rest="repost",
        per_loss=timedelta(minutes=45),
    ),
)
