"""The exceptions, by who can fix them.

CallFailed          A call has no result.
├── Refused         The service refused the call.
├── Unreachable     No answer came back from the service.
└── Unsupported     The service is too old for a parameter, so nothing was sent.
CannotGoOn          A command needs its user to fix something.
NotWritten          A command succeeded, but its output cannot be written.
StillRunning        A batch is not over within the time to wait for it.
"""

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus


class CallFailed(Exception):
    """A call has no result. The base of the three exceptions below."""

    #: Whether a retry may succeed without anybody fixing anything.
    may_pass: bool = False
    #: After how many seconds to retry, if the service says so.
    retry_after: int | None = None
    #: The key that a `run` was sent with. Retry with it, and the batch runs only once.
    idempotency_key: str | None = None


class Refused(CallFailed):
    """The service refused the call; `reasons` name the faults. `retry_after` says after how many
    seconds to retry, if the service says so, as it does with every 429."""

    def __init__(
        self,
        error_code: int,
        specific_code: int,
        message: str,
        reasons: Sequence[str] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(error_code, specific_code, message, reasons, retry_after)
        self.error_code = error_code
        self.specific_code = specific_code
        self.message = message
        self.reasons = tuple(reasons)
        self.retry_after = retry_after
        self.may_pass = error_code in _MAY_PASS

    def __str__(self) -> str:
        said = f"({self.error_code}/{self.specific_code}): {self.message}"
        reasons = [*_news(self.message, self.reasons)]
        return f"{said}: {'; '.join(reasons)}" if reasons else said

    def because(self, reason: str) -> "Refused":
        """Return the same refusal with one more reason."""
        reasons = (*self.reasons, reason)
        return Refused(self.error_code, self.specific_code, self.message, reasons, self.retry_after)

    @property
    def is_outcome_unknown(self) -> bool:
        """Whether the call may have taken effect."""
        return (self.error_code, self.specific_code) == (HTTPStatus.INTERNAL_SERVER_ERROR, 0)

    @property
    def is_not_completed(self) -> bool:
        """Whether the batch still runs, so that a later call can succeed."""
        return self.specific_code == 24114

    @property
    def is_too_large(self) -> bool:
        """Whether the request or the answer to it is too large."""
        return self.error_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


_MAY_PASS = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR}


def _news(message: str, reasons: Sequence[str]) -> Iterator[str]:
    """The reasons without what the message already says."""
    named = re.match(r"'(\w+)' ", message)
    for reason in reasons:
        rest = reason.removeprefix(f"{named[1]}: ") if named else reason
        if rest not in message:
            yield rest


class Unreachable(CallFailed):
    """No answer came back from the service; `reason` says what came instead."""

    may_pass = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unsupported(CallFailed):
    """The service would ignore a parameter, so nothing was sent. The text is one sentence."""


class CannotGoOn(Exception):
    """A command cannot continue. The text is one sentence that says why and what to do."""


class NotWritten(Exception):
    """The output of a command cannot be written. The text is one sentence that says what was done.
    It is empty if the reader has gone and nothing was changed: then nothing is lost."""

    def __init__(self, fault: OSError, done: str = "") -> None:
        self.is_reader_gone = isinstance(fault, BrokenPipeError)
        super().__init__(self._sentence(fault, done))

    def _sentence(self, fault: OSError, done: str) -> str:
        if self.is_reader_gone and not done:
            return ""
        what = f"the output cannot be written ({fault.strerror or fault})"
        return (
            f"{what}, but the command succeeded: {done}"
            if done
            else f"{what}: write it somewhere else"
        )


class StillRunning(Exception):
    """The batch is still running after the time to wait for it. The text is one sentence."""
