"""Each fault, and an ordinary run that sees it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.simulation.condition_faults import CONDITION_FAULTS
from tests.simulation.faults import FAULTS
from tests.simulation.limit_faults import LIMIT_FAULTS
from tests.simulation.ordinary import ORDINARY
from tests.simulation.time_faults import TIME_FAULTS

_ALL = {**FAULTS, **CONDITION_FAULTS, **TIME_FAULTS, **LIMIT_FAULTS}


@dataclass(frozen=True)
class Seeded:
    fault: Callable[[], AbstractContextManager[None]]
    #: The name of the run.
    seen_in: str


#: Of the runs that see it, one that is soon done.
_SEEN_IN = {
    "a_counter_instead_of_a_set": "plain-3-in-1s-1-crashes",
    "done_before_the_flush": "plain-3-in-1s-1-crashes",
    "the_message_to_batches_before_done": "overtake-3-in-3s",
    "the_head_before_the_jobs": "plain-3-in-1s-1-crashes",
    "answers_put_unconditionally": "duplicate-3-in-3s",
    "completing_without_its_condition": "cancel-restart-3-in-3s",
    "done_without_the_round": "cancel-restart-3-in-3s",
    "a_redelivered_full_chunk_that_does_nothing": "plain-3-in-1s-1-crashes",
    "no_lease": "duplicate-meanwhile-3-in-3s",
    "the_attempt_counted_after_the_post": "deadly-callback-3-in-1s-1-crashes",
    "a_blind_due_at": "overtake-3-in-3s",
    "no_split": "poison-12-in-12s-1-crashes",
    "no_submission_in_the_keys": "same-key-after-expiry-3-in-1s-1-crashes",
    "failed_messages_ignored": "plain-3-in-1s-1-crashes",
    "a_lease_that_anybody_records_under": "repost-3-in-3s",
    "no_round": "cancel-restart-3-in-3s",
    "no_submission": "expiry-amid-work-3-in-3s",
    "no_lease_in_the_condition": "outliving-its-lease-1-in-1s-1-crashes",
    "no_callback_round": "repost-3-in-3s",
    "a_message_of_any_submission": "same-key-after-expiry-3-in-1s-1-crashes",
    "an_attempt_never_counted_up": "giving-up-3-in-1s-1-crashes",
    "a_restart_that_keeps_the_cancel": "cancel-restart-3-in-3s",
    "answers_of_later_rounds_taken": "restart-overtakes-3-in-3s",
    "blame_after_one_death": "throttled-1-in-1s-1-crashes",
    "a_finish_announced_once": "plain-3-in-1s-1-crashes",
    "jobs_not_started_dropped": "slow-calls-6-in-6s-1-crashes",
    "a_repost_without_a_due_time": "repost-1-in-1s-1-errors",
    "a_cancel_without_a_due_time": "cancel-1-in-1s-1-crashes",
    "a_lease_shorter_than_a_delivery": "slow-receiver-1-in-1s-1-crashes",
    "a_platform_that_is_not_listened_to": "busy-platform-1-in-1s-1-crashes",
    "a_receiver_that_is_not_listened_to": "gone-1-in-1s-1-crashes",
    "a_wait_taken_for_a_standstill": "busy-platform-1-in-1s-1-crashes",
    "a_key_that_signs_for_ever": "revoked-key-3-in-3s",
    "no_deadline": "deadline-1-in-1s-1-crashes",
    "no_expiry": "expiry-while-running-1-in-1s-1-crashes",
    "no_condition_on_the_slots": "limited-rival-1-in-1s-1-crashes",
    "a_slot_taken_after_the_commit": "limited-rival-1-in-1s-1-crashes",
    "a_slot_freed_before_the_end": "limited-rival-1-in-1s-1-crashes",
    "nobody_prunes_abandoned_slots": "limited-rival-1-in-1s-1-crashes",
    "only_ended_batches_free_their_slots": "limited-3-in-3s-1-crashes",
    "no_grace": "limited-rival-1-in-1s-1-crashes",
    "a_restart_that_is_not_admitted": "limited-restart-1-in-1s",
}

SEEDED = {fault: Seeded(_ALL[fault], seen_in) for fault, seen_in in _SEEN_IN.items()}
assert {*SEEDED} == {*_ALL}, "each fault is seen"
assert {each.seen_in for each in SEEDED.values()} <= {*ORDINARY}, "in an ordinary run"
