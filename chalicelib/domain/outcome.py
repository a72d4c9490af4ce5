"""What an answer means: it is final, the call must be retried, or no answer will ever come.

Sources: RFC 9110 (status codes, Retry-After), RFC 6585 (429), RFC 8470 (425).
"""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chalicelib.domain import strict_json
from chalicelib.domain.batch import Answer, Batch, Verdict
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.strict_json import NotStrictJson

#: The largest answer to a job that is kept: with its escapes it fits in one stored item.
MAX_ANSWER_BYTES = 350_000
#: How many characters are shown of an answer that is not JSON.
SHOWN_CHARACTERS = 1_000
#: Answers below 500 that are retried: Request Timeout, Too Early, Too Many Requests.
TRANSIENT = frozenset({408, 425, 429})

_SUCCESS = range(200, 300)
_FAILED_REQUEST = 461
_KEY_REVOKED = 463
_CONFLICT = 409
_GONE = 410
#: Bad Gateway, Service Unavailable, Gateway Timeout.
_AWAY = frozenset({502, 503, 504})
_MAY_ASK_TO_WAIT = frozenset({429, 503})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that came over HTTP."""

    status: int
    #: The part of the body that was read; all of it unless `is_cut`.
    body: bytes = b""
    #: Whether the body is longer than what was read.
    is_cut: bool = False
    #: The size that the answer declared, if it did.
    declared_bytes: int | None = None
    #: The Retry-After header as received.
    retry_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReply:
    """No answer came. `reason` says why in words; it contains no secret."""

    reason: str
    #: Retrying does not help, because our side refuses the call.
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """A failure that may be temporary."""

    reason: str
    status: int | None = None
    #: How many seconds the other side asked us to wait.
    retry_after: float | None = None
    #: Whether the other side was down.
    is_away: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receiver has the callback."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The receiver will not take the callback, however often it is sent."""

    reason: str
    status: int | None = None


def judge_job(
    reply: Reply | NoReply, now: datetime, *, may_still_run: bool = False
) -> Answer | TryAgain:
    """Return what the platform's answer to a job means. Every answer below 500 is final, except
    those that ask for a retry. An answer that cannot be used is recorded as an error that describes
    it.

    `may_still_run` says that an earlier call of this job ended without an answer, so the platform
    may still be working on it. Then 409 means that our own Idempotency-Key is in use, which is
    temporary."""
    return _judge_reply(reply, now, TRANSIENT | {_CONFLICT} if may_still_run else TRANSIENT)


def is_away(reply: Reply | NoReply) -> bool:
    """Whether the platform was down: no connection, no answer in time, or a gateway that says so.
    429 does not count, because the platform did answer."""
    if isinstance(reply, NoReply):
        return not reply.is_final
    return reply.status in _AWAY


def gave_up(found: TryAgain, attempt: int) -> Answer:
    """The answer of a job whose last attempt failed."""
    return unanswered(f"Gave up after {attempt} attempts: {found.reason}")


def judge_callback(reply: Reply | NoReply, now: datetime) -> Delivered | TryAgain | Refused:
    """Return what a receiver's answer means: 2xx is success, 410 stops the attempts for good, and
    anything else is retried."""
    if isinstance(reply, NoReply):
        again = Refused if reply.is_final else TryAgain
        return again(reason=reply.reason)
    if reply.status in _SUCCESS:
        return Delivered(status=reply.status)
    if reply.status == _GONE:
        return Refused(reason=f"HTTP {_GONE}", status=_GONE)
    asked = reply.retry_after if reply.status in _MAY_ASK_TO_WAIT else None
    return TryAgain(
        reason=f"HTTP {reply.status}", status=reply.status, retry_after=retry_after(asked, now)
    )


def word(found: object) -> str:
    """The name of an outcome in the log."""
    return found.verdict.name.lower() if isinstance(found, Answer) else type(found).__name__.lower()


def is_success(found: Answer | TryAgain) -> bool:
    """Whether the platform did the job."""
    return isinstance(found, Answer) and found.verdict is Verdict.SUCCEEDED


def unanswered(reason: str) -> Answer:
    """The answer of a job whose call never got one: a restart runs it again."""
    return Answer(Verdict.UNANSWERED, _error(_FAILED_REQUEST, reason))


def past_deadline() -> Answer:
    """The answer of a job that was not answered in time."""
    return unanswered("Not answered before the batch's deadline")


def cancelled() -> Answer:
    """The answer of a job that had none when its batch was cancelled."""
    return unanswered("Cancelled")


def stopped(max_failed: int) -> Answer:
    """The answer of a job that had none when more jobs of its batch failed than allowed."""
    return unanswered(f"Stopped: more than {max_failed} jobs failed")


def instead_of_a_call(batch: Batch) -> Answer:
    """The answer of a job that has none when its batch is to be ended."""
    if batch.cancelled:
        return cancelled()
    if batch.stopped and batch.max_failed is not None:
        return stopped(batch.max_failed)
    return past_deadline()


def worker_died() -> Answer:
    """The answer of a job that killed every worker that ran it."""
    return unanswered("The worker that ran this job died each time")


def not_stored() -> Answer:
    """The answer of a job that has no attempt left, and whose last answer could not be recorded."""
    return unanswered("The answer could not be stored")


def unreadable() -> Answer:
    """The answer of a job that cannot be read from the database."""
    return failed_request("the stored job could not be read")


def failed_request(reason: str, body: str | None = None) -> Answer:
    """The answer of a job that was called, but whose answer cannot be used."""
    return Answer(Verdict.FAILED, _error(_FAILED_REQUEST, reason, body))


def key_revoked() -> Answer:
    """The answer of a job whose key may no longer sign for its batch."""
    return Answer(Verdict.FAILED, _error(_KEY_REVOKED, "Key revoked"))


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return a Retry-After header as seconds from `now`. It is a number or an HTTP date; None if it
    is missing or invalid (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    if seconds := re.fullmatch(r"[ \t]*([0-9]{1,9})[ \t]*", header):
        return float(seconds[1])
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _judge_reply(
    reply: Reply | NoReply, now: datetime, transient: frozenset[int]
) -> Answer | TryAgain:
    if isinstance(reply, NoReply):
        if reply.is_final:
            return unanswered(reply.reason)
        return TryAgain(reason=reply.reason, is_away=True)
    if reply.status in transient or reply.status >= 500:
        return TryAgain(
            reason=f"HTTP {reply.status}",
            status=reply.status,
            retry_after=retry_after(reply.retry_after, now),
            is_away=reply.status in _AWAY,
        )
    if reply.is_cut or len(reply.body) > MAX_ANSWER_BYTES:
        return failed_request(_too_large(reply))
    return _answer_of(reply)


def _answer_of(reply: Reply) -> Answer:
    """Return the recorded answer. A success without a body is `null`."""
    try:
        text = reply.body.decode("utf-8-sig").strip(" \t\r\n")
        text = text or ("null" if reply.status in _SUCCESS else "")
        value = strict_json.parse_answer(text)
    except NotStrictJson as error:
        return _unusable(reply, str(error))
    except ValueError:
        return _unusable(reply, "is not JSON")
    is_error = reply.status not in _SUCCESS or (isinstance(value, dict) and "errorCode" in value)
    return Answer(Verdict.FAILED if is_error else Verdict.SUCCEEDED, text)


def _unusable(reply: Reply, reason: str) -> Answer:
    shown = reply.body.decode("utf-8", "replace")[:SHOWN_CHARACTERS]
    return failed_request(f"the answer (HTTP {reply.status}) {reason}", shown)


def _too_large(reply: Reply) -> str:
    size = reply.declared_bytes or len(reply.body)
    known = f"{size}" if size > MAX_ANSWER_BYTES else f"more than {MAX_ANSWER_BYTES}"
    return f"response of {known} bytes is over the limit of {MAX_ANSWER_BYTES}"


def _error(code: int, message: str, body: str | None = None) -> str:
    shown = {} if body is None else {"body": body}
    return json.dumps({"errorCode": code, "message": message, **shown})
