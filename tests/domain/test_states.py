"""The tables of the state machines: what they allow, and that nothing else happens."""

from itertools import product

import pytest

from chalicelib.domain.states import (
    BATCH_MOVES,
    CALLBACK_MOVES,
    BatchEvent,
    BatchState,
    CallbackEvent,
    CallbackState,
    IllegalMove,
    after,
)


@pytest.mark.parametrize(("state", "event"), [*product(BatchState, BatchEvent)])
def test_a_batch_moves_as_its_table_says_or_not_at_all(
    state: BatchState, event: BatchEvent
) -> None:
    if (state, event) in BATCH_MOVES:
        assert after(BATCH_MOVES, state, event) is BATCH_MOVES[state, event]
    else:
        with pytest.raises(IllegalMove):
            after(BATCH_MOVES, state, event)


@pytest.mark.parametrize(("state", "event"), [*product(CallbackState, CallbackEvent)])
def test_a_callback_moves_as_its_table_says_or_not_at_all(
    state: CallbackState, event: CallbackEvent
) -> None:
    if (state, event) in CALLBACK_MOVES:
        assert after(CALLBACK_MOVES, state, event) is CALLBACK_MOVES[state, event]
    else:
        with pytest.raises(IllegalMove):
            after(CALLBACK_MOVES, state, event)


def test_every_state_can_be_left_except_no_callback() -> None:
    assert {state for state, _ in BATCH_MOVES} == set(BatchState)
    assert {state for state, _ in CALLBACK_MOVES} == set(CallbackState)
