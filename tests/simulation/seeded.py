"""Each fault, and an ordinary run that detects it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.simulation.condition_faults import CONDITION_FAULTS
from tests.simulation.faults import FAULTS
from tests.simulation.hindrance_faults import HINDRANCE_FAULTS
from tests.simulation.limit_faults import LIMIT_FAULTS
from tests.simulation.ordinary import ORDINARY
from tests.simulation.stop_faults import STOP_FAULTS
from tests.simulation.time_faults import TIME_FAULTS

_ALL = {
    **FAULTS,
    **CONDITION_FAULTS,
    **TIME_FAULTS,
    **HINDRANCE_FAULTS,
    **LIMIT_FAULTS,
    **STOP_FAULTS,
}


@dataclass(frozen=True)
class Seeded:
    fault: Callable[[], AbstractContextManager[None]]
    #: The name of the run.
    seen_in: str


#: A fast run that detects each fault.
_SEEN_IN = {
    "a_counter_instead_of_a_set": "plain-3-in-1s-1-crashes",
    "done_before_the_flush": "plain-3-in-1s-1-crashes",
    "completed_before_done": "plain-3-in-1s-1-crashes",
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
    "an_outcome_recorded_without_the_lease": "repost-3-in-3s",
    "no_round": "cancel-restart-3-in-3s",
    "no_submission": "expiry-amid-work-3-in-3s",
    "no_lease_in_the_condition": "outliving-its-lease-1-in-1s-1-crashes",
    "no_callback_round": "repost-3-in-3s",
    "a_message_of_any_submission": "same-key-after-expiry-3-in-1s-1-crashes",
    "an_attempt_never_counted_up": "giving-up-3-in-1s-1-crashes",
    "a_restart_that_keeps_the_cancel": "cancel-restart-3-in-3s",
    "answers_of_later_rounds_accepted": "restart-overtakes-3-in-3s",
    "blame_after_one_death": "throttled-1-in-1s-1-crashes",
    "a_finish_announced_once": "plain-3-in-1s-1-crashes",
    "jobs_not_started_dropped": "slow-calls-6-in-6s-1-crashes",
    "a_repost_without_a_due_time": "repost-1-in-1s-1-errors",
    "a_cancel_without_a_due_time": "cancel-1-in-1s-1-crashes",
    "a_lease_shorter_than_a_delivery": "slow-receiver-1-in-1s-1-crashes",
    "a_retry_after_of_the_platform_ignored": "busy-platform-1-in-1s-1-crashes",
    "a_retry_after_of_the_receiver_ignored": "gone-1-in-1s-1-crashes",
    "a_wait_mistaken_for_a_standstill": "checking-while-it-waits-1-in-1s",
    "a_revoked_key_that_signs": "revoked-key-3-in-3s",
    "no_deadline": "deadline-1-in-1s-1-crashes",
    "no_expiry": "expiry-while-running-1-in-1s-1-crashes",
    "checks_that_ignore_waits": "checking-while-it-waits-1-in-1s",
    "restarts_that_ignore_waits": "restarting-while-it-waits-1-in-1s",
    "a_pause_that_is_ignored": "paused-1-in-1s",
    "an_error_mistaken_for_a_death": "an-error-10-in-10s-1-errors",
    "errors_without_backoff": "database-away-1-in-1s",
    "errors_never_counted": "database-away-1-in-1s",
    "errors_that_forget_what_the_platform_asked": "the-longer-wait-2-in-2s-1-errors",
    "a_sentinel_that_stays": "sentinel-doubled-2-in-1s",
    "a_sentinel_that_does_not_compare": "a-backlog-of-one-2-in-2s",
    "a_rescue_that_is_not_finished": "lost-2-in-1s-1-crashes",
    "a_completion_that_is_not_announced": "plain-3-in-1s-1-crashes",
    "a_completion_that_keeps_the_slot": "limited-3-in-3s-1-crashes",
    "a_repost_that_ends_the_lease": "repost-while-delivering-1-in-1s",
    "a_restart_that_ends_the_lease": "restart-while-delivering-1-in-1s",
    "attempts_used_while_the_platform_is_away": "platform-away-1-in-1s",
    "a_message_held_up_forever": "never-there-12-in-4s",
    "an_outage_that_never_ends": "platform-away-1-in-1s",
    "an_outage_moved_without_its_condition": "platform-back-meanwhile-2-in-1s",
    "a_message_past_its_last_attempt_that_calls": "database-away-for-minutes-1-in-1s",
    "jobs_not_started_that_use_an_attempt": "writes-away-1-in-1s",
    "jobs_called_that_use_no_attempt": "an-error-while-failing-3-in-3s-1-errors",
    "jobs_not_started_that_lose_an_attempt": "paused-while-giving-up-1-in-1s",
    "a_check_that_moves_the_due_time_of_a_cancel": "cancel-while-it-waits-1-in-1s-1-crashes",
    "no_condition_on_the_slots": "limited-rival-1-in-1s-1-crashes",
    "a_slot_taken_after_the_commit": "limited-rival-1-in-1s-1-crashes",
    "a_slot_freed_before_the_end": "limited-rival-1-in-1s-1-crashes",
    "abandoned_slots_never_pruned": "limited-rival-1-in-1s-1-crashes",
    "only_ended_batches_free_their_slots": "limited-3-in-3s-1-crashes",
    "no_grace": "limited-rival-1-in-1s-1-crashes",
    "a_restart_that_is_not_admitted": "limited-restart-1-in-1s",
    "completing_that_ignores_a_stop": "completed-while-stopped-3-in-1s-1-crashes",
    "a_stop_that_ignores_a_cancel": "too-many-failures-while-cancelled-12-in-4s",
    "a_cancel_that_ignores_a_stop": "cancelled-while-stopped-3-in-3s-1-crashes",
    "a_stop_that_is_not_written": "too-many-failures-3-in-3s-1-crashes",
    "a_stop_in_a_later_round": "restart-after-a-stop-3-in-1s-1-crashes",
    "a_stop_that_workers_ignore": "too-many-failures-3-in-1s-1-crashes",
    "a_limit_that_workers_ignore": "too-many-failures-3-in-3s-1-crashes",
    "a_restart_that_keeps_the_stop": "restart-after-a-stop-3-in-1s-1-crashes",
    "a_restart_that_forgets_the_deadline": "own-deadline-1-in-1s-1-crashes",
    "no_life_in_the_ids": "same-key-after-expiry-3-in-1s-1-crashes",
    "a_trace_parent_for_each_attempt": "failing-3-in-1s-1-crashes",
    "attempts_missing_from_the_answers": "failing-3-in-1s-1-crashes",
}

SEEDED = {fault: Seeded(_ALL[fault], seen_in) for fault, seen_in in _SEEN_IN.items()}
assert {*SEEDED} == {*_ALL}, "every fault names a run that detects it"
assert {each.seen_in for each in SEEDED.values()} <= {*ORDINARY}, (
    "every such run is an ordinary one"
)
