"""What an answer means: final, try again, or given up.

Sources: RFC 9110 (status codes, Retry-After), RFC 6585 (429), RFC 8470 (425).
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chalicelib.domain.batch import Answer, Verdict

#: The largest answer of a job that is kept: with its escapes it fits one stored item.
MAX_ANSWER_BYTES = 350_000
#: How much of an answer that is not JSON is shown.
SHOWN_CHARACTERS = 1_000
#: Answers below 500 that ask to be tried again: Request Timeout, Too Early, Too Many Requests.
TRANSIENT = frozenset({408, 425, 429})

_SUCCESS = range(200, 300)
_FAILED_REQUEST = 461
_KEY_REVOKED = 463


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that came over HTTP."""

    status: int
    #: What was read of the body; all of it unless `is_cut`.
    body: bytes = b""
    #: The body went on past what is read.
    is_cut: bool = False
    #: The size the answer declared, where it did.
    declared_bytes: int | None = None
    #: The Retry-After header as it came.
    retry_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReply:
    """No answer came. `reason` says in words why; it holds nothing secret."""

    reason: str
    #: Trying again will not help: what was asked for is refused on our side.
    is_final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """A failure that may pass."""

    reason: str
    #: Seconds the other side asked us to wait, at least.
    retry_after: float | None = None


def judge_job(reply: Reply | NoReply, now: datetime) -> Answer | TryAgain:
    """What a platform's answer to a job means: every answer below 500 is final, but those that
    ask to be tried again; an answer that cannot be used is recorded as what it was."""
    if isinstance(reply, NoReply):
        return gave_up(reply.reason) if reply.is_final else TryAgain(reason=reply.reason)
    if reply.status in TRANSIENT or reply.status >= 500:
        return TryAgain(
            reason=f"HTTP {reply.status}", retry_after=retry_after(reply.retry_after, now)
        )
    if reply.is_cut or len(reply.body) > MAX_ANSWER_BYTES:
        return failed_request(_too_large(reply))
    return _answer_of(reply)


def gave_up(reason: str) -> Answer:
    """The answer of a job whose call never got one: a restart runs it again."""
    return Answer(Verdict.GAVE_UP, _error(_FAILED_REQUEST, reason))


def gave_up_after(attempts: int, reason: str) -> Answer:
    return gave_up(f"Gave up after {attempts} attempts: {reason}")


def failed_request(reason: str, body: str | None = None) -> Answer:
    """The answer of a job that was called, and whose answer cannot be used."""
    return Answer(Verdict.FAILED, _error(_FAILED_REQUEST, reason, body))


def key_revoked() -> Answer:
    """The answer of a job whose key was revoked before its call."""
    return Answer(Verdict.FAILED, _error(_KEY_REVOKED, "Key revoked"))


def retry_after(header: str | None, now: datetime) -> float | None:
    """A Retry-After header in seconds from `now`: a number or an HTTP date; None where it is
    absent, past or senseless (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _answer_of(reply: Reply) -> Answer:
    try:
        text = reply.body.decode("utf-8-sig").strip(" \t\r\n")
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        shown = reply.body.decode("utf-8", "replace")[:SHOWN_CHARACTERS]
        return failed_request(f"the answer (HTTP {reply.status}) is not JSON", shown)
    is_error = reply.status not in _SUCCESS or (isinstance(value, dict) and "errorCode" in value)
    return Answer(Verdict.FAILED if is_error else Verdict.SUCCEEDED, text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _too_large(reply: Reply) -> str:
    size = reply.declared_bytes or len(reply.body)
    known = f"{size}" if size > MAX_ANSWER_BYTES else f"more than {MAX_ANSWER_BYTES}"
    return f"response of {known} bytes is over the limit of {MAX_ANSWER_BYTES}"


def _error(code: int, message: str, body: str | None = None) -> str:
    shown = {} if body is None else {"body": body}
    return json.dumps({"errorCode": code, "message": message, **shown})
