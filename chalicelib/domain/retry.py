"""When to retry, as data: a schedule gives a wait, or says that it was the last.

Seconds throughout. `random_unit` is a number from 0 to 1 that the caller draws: nothing here is
left to chance.
"""

import math

#: A job is called this often in all before its failure is recorded.
JOB_TRIES = 5
#: The longest a message can be delayed, and so the longest `Retry-After` that is honoured.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_MESSAGE_DELAY = 900

#: After this many errors in a row a batch's message is left to its due time.
BATCH_ERRORS = 5
_FIRST_WAIT_AFTER_ERROR = 10
_ERROR_BACKOFF = 3
#: After these the wait is the longest. Errors have no maximum, and powers do.
_MOST_BACKOFFS = 5
#: Each wait between two calls of a job is this many times the one before.
JOB_BACKOFF = 4

_MINUTE = 60
_HOUR = 3600
#: Waits after the first failed attempt at a callback, the second, ... (the first is at once).
CALLBACK_WAITS = (
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
)
CALLBACK_TRIES = len(CALLBACK_WAITS) + 1
#: A longer wait than this outlives every batch.
_LONGEST_RETRY_AFTER = 100 * _HOUR


def job_wait(
    attempt: int, *, first_wait: float, retry_after: float | None, random_unit: float
) -> int:
    """Whole seconds until a job's next call, after call number `attempt` failed for now. Drawn
    between half of the schedule's wait and all of it; a `Retry-After` is waited for at least, up
    to 15 minutes."""
    wait = first_wait * float(JOB_BACKOFF) ** (attempt - 1) * (0.5 + random_unit / 2)
    return min(MAX_MESSAGE_DELAY, math.ceil(max(1, wait, retry_after or 0)))


def error_wait(errors: int, random_unit: float) -> int:
    """Whole seconds until a message is tried again, after error number `errors` in a row of the
    database: 10, 30, 90, ... and 900 at most, drawn between half of it and all."""
    wait = _FIRST_WAIT_AFTER_ERROR * float(_ERROR_BACKOFF) ** min(errors - 1, _MOST_BACKOFFS)
    return math.ceil(min(MAX_MESSAGE_DELAY, wait) * (0.5 + random_unit / 2))


def callback_wait(attempt: int, retry_after: float | None, random_unit: float) -> float:
    """Seconds until a callback's next attempt, after attempt number `attempt` failed: the
    schedule's wait and up to a tenth more, or the receiver's `Retry-After` where that is later."""
    wait = CALLBACK_WAITS[attempt - 1] * (1 + random_unit / 10)
    return max(wait, min(retry_after or 0, _LONGEST_RETRY_AFTER))
