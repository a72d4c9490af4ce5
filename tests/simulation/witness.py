"""Promises that must be checked while things happen, because the final state does not show them."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.batch import Batch
from tests.simulation.state import RIVAL, State

#: How old a worker's knowledge of a pause may be.
_KNOWN_FOR = timedelta(seconds=5)


class Broken(AssertionError):
    """A promise that was not kept."""

    def __init__(self, promise: str) -> None:
        super().__init__(f"broken promise: {promise}")


def insist(holds: bool, promise: str) -> None:
    if not holds:
        raise Broken(promise)


def insist_on_the_pause(state: State) -> None:
    """Check a call. A worker with a wrong clock, or one that cannot read, may not know of the
    pause."""
    pause, paused_at = state.store.paused, state.paused_at
    excused = state.scenario.clocks or state.errors or "database" in state.away
    if pause and paused_at and not excused and state.now < pause.until:
        insist(state.now - paused_at <= _KNOWN_FOR, "no call starts while the stage is paused")


def insist_on_a_new_id(state: State, id: str) -> None:
    """Check the id of a call or a callback that goes out."""
    insist(id not in state.ids_before, "no id from an earlier batch with this key is sent again")


def note_change(state: State, found: Batch | None, writer: Batch, after: Batch | None) -> None:
    """Check a change to a head by a worker that had read it as `writer`. The write found it as
    `found` and left it as `after`, which is None if nothing was written."""
    if after is None or found is None:
        return
    _insist_that_the_late_one_loses(found, writer, after)
    _insist_on_the_end(state, found, writer, after)
    if found.waits(state.now) and not state.scenario.clocks and found.is_running:
        is_cancel = after.cancelled and not found.cancelled
        insist(
            after.rerun == found.rerun or is_cancel,
            "restarting a waiting batch changes nothing",
        )
    if after.batch_id != RIVAL and after.is_completed and not found.is_completed:
        state.completed[after.round] = state.results(after)
    if after.cancelled and not found.cancelled:
        state.cancelled_at = state.now
    if after.is_completed and after.callback_round != found.callback_round:
        state.reposted_at = state.now


def _insist_on_the_end(state: State, found: Batch, writer: Batch, after: Batch) -> None:
    """A batch ends in one way, and the worker that ends it knew which way that is."""
    insist(not (after.cancelled and after.stopped), "a batch is cancelled or stopped, not both")
    if after.stopped and not found.stopped:
        insist(after.round == 1, "only the first round can be stopped")
        limit = found.total if found.max_failed is None else found.max_failed
        insist(
            state.failed(found) > limit,
            "a batch is stopped only if more jobs failed than its limit",
        )
    if not after.is_completed or after.round != found.round:
        return
    if found.is_running:
        seen = (writer.cancelled, writer.stopped)
        insist(
            seen == (found.cancelled, found.stopped),
            "the worker that ends a batch knows of its cancel or stop",
        )
    else:
        insist(after.status == found.status, "the status of a completed round does not change")


def _insist_that_the_late_one_loses(found: Batch, writer: Batch, after: Batch) -> None:
    """Check the second of two writers that read the same state of the batch."""
    insist(found.submission == writer.submission, "no write changes the head of another submission")
    insist(found.round == writer.round, "no write is made on behalf of an older round")
    if found.round == after.round and found.is_completed and writer.is_completed:
        insist(
            found.callback_round == writer.callback_round,
            "no callback of an older repost is recorded",
        )
        is_reposted = after.callback_round != found.callback_round
        insist(
            found.lease == writer.lease or is_reposted,
            "only the holder of the lease records a delivery",
        )
