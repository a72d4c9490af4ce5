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
    ├── ServiceError               ours: answered as 500, retried by whoever can
    │   ├── NotSaved 24091         nothing was stored and nothing will run
    │   ├── OutcomeUnknown         it may have been stored: ask again with the Idempotency-Key
    │   └── Unavailable            the database or the queue does not answer
    │       ├── Denied             it refuses for good: a right or a table is missing
    │       └── TooNew             what it answers is of a format of a later release
    ├── Misconfigured              the operator's: one sentence that says what to do
    └── FunctionFailed             what Lambda is told of any of these, or of any other error

An adapter turns every foreign exception into one of these before it crosses its wall.
"""

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar


class BatchbackError(Exception):
    """The root: whatever the service raises on purpose."""


class CallerError(BatchbackError):
    """The caller can fix it. `error_code` is also the HTTP status; `reasons` name the faults."""

    error_code: ClassVar[int] = 400
    specific_code: ClassVar[int] = 0

    def __init__(self, message: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.reasons = tuple(reasons)


class BadRequest(CallerError):
    """The request cannot be understood, or asks for what cannot be done now."""


class ParameterMissing(BadRequest):
    """A required parameter is not there."""

    specific_code = 23017

    def __init__(self, name: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(f"'{name}' is required", reasons)


class ParameterInvalid(BadRequest):
    """A parameter is there and is not what it must be; `reasons` say why."""

    specific_code = 23016

    def __init__(self, name: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(f"'{name}' does not validate", reasons)


class JobFormatWrong(BadRequest):
    """A job is not `{"namespace", "action", "params"}` with the right types and characters."""

    specific_code = 24092

    def __init__(self, reasons: Sequence[str] = ()) -> None:
        super().__init__("Incorrect job format", reasons)


class JobParameterEmpty(BadRequest):
    """`jobs`, or a job's namespace or action, is there and empty."""

    specific_code = 24093

    def __init__(self, reasons: Sequence[str] = ()) -> None:
        super().__init__("Empty job parameter found", reasons)


class TooManyJobs(BadRequest):
    """More jobs than one request may hold."""

    specific_code = 24448

    def __init__(self, maximum: int) -> None:
        super().__init__(f"The maximum number of jobs can be put on a single request is {maximum}")


class NotCompleted(BadRequest):
    """The batch still runs, and only a completed one can be asked for this."""

    specific_code = 24114

    def __init__(self) -> None:
        super().__init__("Batch job not completed")


class Unauthorized(CallerError):
    """No credentials, or wrong ones; which of the two is never said."""

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
    """No such batch for this account; another account's batch is answered the same."""

    specific_code = 24105

    def __init__(self) -> None:
        super().__init__("Could not find batch")


class ResultsNotFound(BatchNotFound):
    """The same, as `results` says it."""

    specific_code = 24115


class MethodNotAllowed(CallerError):
    """Every call is a POST."""

    error_code = 405

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} is not allowed: every call is a POST")


class Conflict(CallerError):
    """What is asked for contradicts what was asked for before."""

    error_code = 409


class TooLarge(CallerError):
    """The request or the answer is larger than fits; the message gives sizes and the way out."""

    error_code = 413


class MediaTypeUnsupported(CallerError):
    """Bodies are JSON in UTF-8."""

    error_code = 415

    def __init__(self, content_type: str) -> None:
        super().__init__(f"Content-Type must be application/json, not {content_type[:100]!r}")


class TooManyRequests(CallerError):
    """The account has as much going as it may; nothing was stored. Asked again too soon, it is
    refused again."""

    error_code = 429

    def __init__(self, what: str, limit: int, wait_seconds: float) -> None:
        super().__init__(f"Too many requests: the account's limit for {what} is {limit}")
        #: Whole seconds, as HTTP has it (RFC 9110).
        self.retry_after = max(1, math.ceil(wait_seconds))


class KeyRevoked(CallerError):
    """The key has been revoked."""

    error_code = 463

    def __init__(self) -> None:
        super().__init__("Key revoked")


class ServiceError(BatchbackError):
    """Ours, not the caller's: answered as 500 with nothing of the detail, which is in the log."""

    specific_code: ClassVar[int] = 0
    message: ClassVar[str] = "Internal server error"


class NotSaved(ServiceError):
    """The batch was not stored and nothing of it will run: the caller may send it again."""

    specific_code = 24091
    message = "The information was not saved"


class OutcomeUnknown(ServiceError):
    """Whether the batch was stored could not be found out; with an Idempotency-Key the caller can
    ask again."""


class Unavailable(ServiceError):
    """The database or the queue refused or did not answer. A write may have taken effect all the
    same: every one of ours can be repeated."""

    #: Whether it may answer when it is asked again. What is denied or malformed stays so until
    #: somebody changes something.
    may_pass = True


class Denied(Unavailable):
    """The database or the queue refuses what it was asked, and will go on doing so."""

    may_pass = False


class TooNew(Unavailable):
    """An item or a message of a format that only a later release knows. It is left as it is: the
    later release, deployed again, goes on with it. Until then whoever meets it tries again."""

    may_pass = False

    def __init__(self, what: str, version: int, known: int) -> None:
        super().__init__(
            f"{what} is of format {version}, and this release knows formats up to {known}: "
            "deploy the later release that wrote it"
        )


class Misconfigured(BatchbackError):
    """The operator can fix it; the text is one sentence that says what to do."""

    may_pass = False


class FunctionFailed(BatchbackError):
    """What a function raises in place of whatever went wrong in it: Lambda writes the text of what
    is raised into its log, and tells it to X-Ray."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came of, the last first."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def describe(error: BaseException) -> str:
    """Describe an error for the log: its kind, its text if it is ours, and the same of what caused
    it. The texts of foreign errors, and of those for callers, repeat values, which are callers'."""
    return ", of ".join(map(_describe, chain(error)))


def _describe(error: BaseException) -> str:
    text = str(error) if isinstance(error, _TEXTS_FOR_THE_LOG) else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_TEXTS_FOR_THE_LOG = (ServiceError, Misconfigured)
