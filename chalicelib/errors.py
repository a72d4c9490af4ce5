"""Every error the service knows, and whose fault it is.

    BatchbackError
    ├── CallerError                the caller's fault: answered in the contract's shape
    │   ├── BadRequest 400         ├── ParameterMissing 23017   ├── ParameterInvalid 23016
    │   │                          ├── JobFormatWrong 24092     ├── JobParameterEmpty 24093
    │   │                          ├── TooManyJobs 24448        └── NotCompleted 24114
    │   ├── Unauthorized 401       └── RequestStale 23005
    │   ├── NotFound 404           ├── BatchNotFound 24105      └── ResultsNotFound 24115
    │   ├── MethodNotAllowed 405
    │   ├── Conflict 409
    │   ├── TooLarge 413
    │   ├── MediaTypeUnsupported 415
    │   ├── TooManyRequests 429
    │   └── KeyRevoked 463
    ├── ServiceError               our fault: answered as 500; retrying may help
    │   ├── NotSaved 24091         nothing was stored and nothing will run
    │   ├── OutcomeUnknown         it may have been stored: repeat it with the Idempotency-Key
    │   └── Unavailable            the database or the queue does not answer
    │       ├── Denied             it refuses until a permission or a table is added
    │       └── TooNew             the item or message has the format of a later release
    ├── Misconfigured              the operator's fault: one sentence that says what to do
    └── FunctionFailed             raised instead of the original error, which Lambda would log

Adapters turn every foreign exception into one of these.
"""

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar


class BatchbackError(Exception):
    """The root: every error that the service raises on purpose."""


class CallerError(BatchbackError):
    """The caller can fix it. `error_code` is also the HTTP status; `reasons` name what is wrong."""

    error_code: ClassVar[int] = 400
    specific_code: ClassVar[int] = 0

    def __init__(self, message: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.reasons = tuple(reasons)


class BadRequest(CallerError):
    """The request cannot be understood, or cannot be done now."""


class ParameterMissing(BadRequest):
    """A required parameter is missing."""

    specific_code = 23017

    def __init__(self, name: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(f"'{name}' is required", reasons)


class ParameterInvalid(BadRequest):
    """A parameter has an invalid value; `reasons` say why."""

    specific_code = 23016

    def __init__(self, name: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(f"'{name}' does not validate", reasons)


class JobFormatWrong(BadRequest):
    """A job is not `{"namespace", "action", "params"}` with the right types and characters."""

    specific_code = 24092

    def __init__(self, reasons: Sequence[str] = ()) -> None:
        super().__init__("Incorrect job format", reasons)


class JobParameterEmpty(BadRequest):
    """`jobs`, or the namespace or action of a job, is empty."""

    specific_code = 24093

    def __init__(self, reasons: Sequence[str] = ()) -> None:
        super().__init__("Empty job parameter found", reasons)


class TooManyJobs(BadRequest):
    """More jobs than one request may hold."""

    specific_code = 24448

    def __init__(self, maximum: int) -> None:
        super().__init__(f"The maximum number of jobs can be put on a single request is {maximum}")


class NotCompleted(BadRequest):
    """The batch is still running, and this needs a completed one."""

    specific_code = 24114

    def __init__(self) -> None:
        super().__init__("Batch job not completed")


class Unauthorized(CallerError):
    """The credentials are missing or wrong; the answer never says which."""

    error_code = 401

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class RequestStale(Unauthorized):
    """The signed date is not within 5 minutes of now."""

    specific_code = 23005

    def __init__(self) -> None:
        super().__init__("Request is stale")


class NotFound(CallerError):
    """No such namespace, action or batch."""

    error_code = 404


class BatchNotFound(NotFound):
    """The account has no such batch. A batch of another account gets the same answer."""

    specific_code = 24105

    def __init__(self) -> None:
        super().__init__("Could not find batch")


class ResultsNotFound(BatchNotFound):
    """The batch was not found, with the code that `results` uses."""

    specific_code = 24115


class MethodNotAllowed(CallerError):
    """Every call is a POST."""

    error_code = 405

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} is not allowed: every call is a POST")


class Conflict(CallerError):
    """The request contradicts an earlier one."""

    error_code = 409


class TooLarge(CallerError):
    """The request or the answer is too large; the message gives the sizes and what to do
    instead."""

    error_code = 413


class MediaTypeUnsupported(CallerError):
    """Bodies are JSON in UTF-8."""

    error_code = 415

    def __init__(self, content_type: str) -> None:
        super().__init__(f"Content-Type must be application/json, not {content_type[:100]!r}")


class TooManyRequests(CallerError):
    """The account has reached a limit; nothing was stored. Retrying too soon gets the same
    answer."""

    error_code = 429

    def __init__(self, what: str, limit: int, wait_seconds: float) -> None:
        super().__init__(f"Too many requests: the account's limit for {what} is {limit}")
        #: Whole seconds, as HTTP requires (RFC 9110).
        self.retry_after = max(1, math.ceil(wait_seconds))


class KeyRevoked(CallerError):
    """The key has been revoked."""

    error_code = 463

    def __init__(self) -> None:
        super().__init__("Key revoked")


class ServiceError(BatchbackError):
    """Our fault, not the caller's: answered as 500 without details, which are in the log."""

    specific_code: ClassVar[int] = 0
    message: ClassVar[str] = "Internal server error"


class NotSaved(ServiceError):
    """The batch was not stored and none of it will run: the caller may send it again."""

    specific_code = 24091
    message = "The information was not saved"


class OutcomeUnknown(ServiceError):
    """It is unknown whether the batch was stored; with an Idempotency-Key the caller can safely
    retry."""


class Unavailable(ServiceError):
    """The database or the queue refused or did not answer. A write may have taken effect anyway,
    but all our writes can be repeated."""

    #: Whether a retry may succeed. A request that is denied or malformed stays so until somebody
    #: changes something.
    may_pass = True


class Denied(Unavailable):
    """The database or the queue refuses the request, and will refuse it again."""

    may_pass = False


class TooNew(Unavailable):
    """An item or a message has a format that only a later release knows. It is left unchanged, and
    each function that meets it retries until the later release is deployed again."""

    may_pass = False

    def __init__(self, what: str, version: int, known: int) -> None:
        super().__init__(
            f"{what} has format {version}, and this release knows formats up to {known}: "
            "deploy the later release that wrote it"
        )


class Misconfigured(BatchbackError):
    """The operator can fix it; the text is one sentence that says what to do."""

    may_pass = False


class FunctionFailed(BatchbackError):
    """Raised instead of the original error, whose text Lambda would write into its log and send to
    X-Ray."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and then its causes, each after the error it caused."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def describe(error: BaseException) -> str:
    """Describe an error and its causes for the log: the type of each, and its text if it is safe.
    The texts of foreign errors and of errors for callers may contain callers' values."""
    return ", of ".join(map(_describe, chain(error)))


def _describe(error: BaseException) -> str:
    text = str(error) if isinstance(error, _TEXTS_FOR_THE_LOG) else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_TEXTS_FOR_THE_LOG = (ServiceError, Misconfigured)
