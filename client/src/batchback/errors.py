"""What goes wrong, by who can fix it.

CallFailed          a call that has no result
├── Refused         the service answered, and said no
├── Unreachable     no answer of the service came back
└── Unsupported     the service is too old for what was asked, so it was not sent
CannotGoOn          a command that its user can fix
NotWritten          a command that did what it should, and whose output cannot be written
StillRunning        a batch that is not over when the time to wait for it is
"""

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus


class CallFailed(Exception):
    """The root: a call that has no result."""

    #: Whether the same call may be answered later, though nobody fixes anything.
    may_pass: bool = False
    #: In how many seconds to send the same again, if the service says so.
    retry_after: int | None = None
    #: What a `run` was sent with. Repeated with it, the batch runs once.
    idempotency_key: str | None = None


class Refused(CallFailed):
    """The service said no; `reasons` name the faults. `retry_after` is in how many seconds to send
    the same again, if the service says so: it does with every 429."""

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
        """The same with one more reason."""
        reasons = (*self.reasons, reason)
        return Refused(self.error_code, self.specific_code, self.message, reasons, self.retry_after)

    @property
    def is_outcome_unknown(self) -> bool:
        """Whether what was asked for may have been done."""
        return (self.error_code, self.specific_code) == (HTTPStatus.INTERNAL_SERVER_ERROR, 0)

    @property
    def is_not_completed(self) -> bool:
        """Whether the batch still runs and the same question has an answer later."""
        return self.specific_code == 24114

    @property
    def is_too_large(self) -> bool:
        """Whether the request, or the answer to it, does not fit."""
        return self.error_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


_MAY_PASS = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR}


def _news(message: str, reasons: Sequence[str]) -> Iterator[str]:
    """What the reasons say beyond the message, which may name the same parameter."""
    named = re.match(r"'(\w+)' ", message)
    for reason in reasons:
        rest = reason.removeprefix(f"{named[1]}: ") if named else reason
        if rest not in message:
            yield rest


class Unreachable(CallFailed):
    """No answer of the service came back; `reason` says what came instead."""

    may_pass = True

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unsupported(CallFailed):
    """The service would ignore what was asked, so it was not sent; the text is one sentence."""


class CannotGoOn(Exception):
    """A command cannot do what it was asked for; the text is one sentence that says what to do."""


class NotWritten(Exception):
    """The output of a command cannot be written; the text is one sentence that says what was done.
    It is empty if the reader has gone and nothing was changed: nobody misses anything then."""

    def __init__(self, fault: OSError, done: str = "") -> None:
        self.is_reader_gone = isinstance(fault, BrokenPipeError)
        super().__init__(self._sentence(fault, done))

    def _sentence(self, fault: OSError, done: str) -> str:
        if self.is_reader_gone and not done:
            return ""
        what = f"the output cannot be written ({fault.strerror or fault})"
        return f"{what}, but it is done: {done}" if done else f"{what}: write it somewhere else"


class StillRunning(Exception):
    """The time to wait for a batch is up, and it goes on; the text is one sentence."""
