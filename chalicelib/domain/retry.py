"""When to retry, as data: a schedule gives the next wait, or says that there is none.

Times are in seconds. `random_unit` is a number from 0 to 1 that the caller draws, so the functions
here are deterministic.
"""

import math

#: How often a job is called in total before its failure is recorded.
JOB_TRIES = 5
#: The longest delay of a message, and so the longest `Retry-After` that is honored.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_MESSAGE_DELAY = 900

#: After this many consecutive errors a batch's message is not sent again. The sweep finds the batch
#: when it is due.
BATCH_ERRORS = 5
_FIRST_WAIT_AFTER_ERROR = 10
_ERROR_BACKOFF = 3
#: After this many the wait no longer grows. The number of errors is unlimited, but powers overflow.
_MOST_BACKOFFS = 5
#: Each wait between two calls of a job is this many times the one before.
JOB_BACKOFF = 4

_MINUTE = 60
_HOUR = 3600
#: The waits after the first failed attempt at a callback, the second, and so on. The first attempt
#: is immediate.
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
    """Return how many whole seconds to wait before a job's next call, after call number `attempt`
    failed temporarily. The wait is drawn between half of the schedule's wait and all of it, and is
    at least `Retry-After`, up to 15 minutes."""
    wait = first_wait * float(JOB_BACKOFF) ** (attempt - 1) * (0.5 + random_unit / 2)
    return min(MAX_MESSAGE_DELAY, math.ceil(max(1, wait, retry_after or 0)))


def error_wait(errors: int, random_unit: float) -> int:
    """Return how many whole seconds to wait before a message is retried, after this many
    consecutive errors of the database: 10, 30, 90, ... and at most 900, drawn between half of it
    and all."""
    wait = _FIRST_WAIT_AFTER_ERROR * float(_ERROR_BACKOFF) ** min(errors - 1, _MOST_BACKOFFS)
    return math.ceil(min(MAX_MESSAGE_DELAY, wait) * (0.5 + random_unit / 2))


def callback_wait(attempt: int, retry_after: float | None, random_unit: float) -> float:
    """Return how many seconds to wait before a callback's next attempt, after attempt number
    `attempt` failed: the schedule's wait plus up to a tenth, or the receiver's `Retry-After` if
    that is longer."""
    wait = CALLBACK_WAITS[attempt - 1] * (1 + random_unit / 10)
    return max(wait, min(retry_after or 0, _LONGEST_RETRY_AFTER))
