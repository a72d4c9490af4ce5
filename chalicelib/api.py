"""The API as callers see it: one request in, one answer out, always in the contract's shape.

The names used on the wire are defined here. Only this module knows the details of the HTTP API:
what may be sent, which operation an action stands for, and what an error looks like. It does not
know API Gateway or Chalice.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from chalicelib.domain import cursor, results, run_request, strict_json, targets, trace, wire_time
from chalicelib.domain.account import Caller
from chalicelib.domain.batch import Batch, CallbackAttempt
from chalicelib.domain.cursor import Cursor
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.holds import Hold
from chalicelib.domain.media_type import is_json
from chalicelib.domain.own_words import why_not_label
from chalicelib.domain.results import Only, Page, View
from chalicelib.domain.run_request import as_object
from chalicelib.domain.signing import SignedRequest, ivvy_headers
from chalicelib.domain.strict_json import NotStrictJson
from chalicelib.domain.submission import Allowance
from chalicelib.domain.whole_number import why_not_whole
from chalicelib.errors import (
    BatchNotFound,
    CallerError,
    MediaTypeUnsupported,
    MethodNotAllowed,
    NotFound,
    ParameterInvalid,
    ParameterMissing,
    ResultsNotFound,
    ServiceError,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    describe,
)
from chalicelib.operations.authenticate import Authenticator
from chalicelib.operations.list_batches import BatchLister
from chalicelib.operations.ports import Clock, Journal
from chalicelib.operations.read_batch import BatchReader
from chalicelib.operations.rerun_batch import BatchRerunner
from chalicelib.operations.submit_batch import BatchSubmitter
from chalicelib.version import VERSION

MAX_BODY_BYTES = 3_500_000
MAX_PER_PAGE = 1_000
LISTED_PER_PAGE = 100

_VISIBLE_ASCII = re.compile(r"[!-~]{1,255}")
_ASYNC_ID = re.compile(r"[0-9a-f]{32}")
#: Secrets are UTF-8 (RFC 7617, 2.1).
_ASK_FOR_BASIC = 'Basic realm="Batchback", charset="UTF-8"'
_ASK_FOR_IWS = 'IWS realm="Batchback"'
_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request as it reached the function."""

    method: str
    namespace: str
    query: Mapping[str, Sequence[str]]
    #: Names in lower case.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    #: The path in every form the caller may have sent it.
    paths: Collection[str]

    @property
    def action(self) -> str | None:
        return next(iter(self.query.get("action") or ()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    status: int
    body: str
    headers: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class _Call:
    """A request being answered, and what its log lines say about it."""

    request: HttpRequest
    #: Known once the caller is authenticated.
    account: str | None = None
    #: The batch that the call is about, once that is known.
    batch_id: str | None = None
    #: The headers of this answer, in addition to those of every answer.
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, Any]:
        return as_object(_json(self.request.body))

    def async_id(self, parameters: Mapping[str, Any], not_found: type[NotFound]) -> str:
        """Return the id that the caller asks for. Text that cannot be an id gets the same answer
        as an unknown id."""
        value = parameters.get("async", parameters.get("asyncId"))
        if value is None:
            raise ParameterMissing("async")
        if not isinstance(value, str):
            raise ParameterInvalid("async", ["must be a string"])
        if not _ASYNC_ID.fullmatch(value):
            raise not_found
        self.batch_id = value
        return value


#: Performs one action and returns the body of its answer.
Action = Callable[[Caller, _Call], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Answers every request; raises only unexpected errors."""

    authenticator: Authenticator
    submitter: BatchSubmitter
    reader: BatchReader
    lister: BatchLister
    rerunner: BatchRerunner
    clock: Clock
    journal: Journal
    allowance: Allowance

    def answer(self, request: HttpRequest) -> HttpAnswer:
        started_at = self.clock.now()
        call = _Call(request=request)
        answer = self._answer_or_error(call)
        actions = self._namespaces.get(request.namespace)
        self.journal.write(
            "request",
            batch_id=call.batch_id,
            account=call.account,
            # Log only names that exist, because a caller may send any text.
            namespace=request.namespace if actions else None,
            action=request.action if actions and request.action in actions else None,
            status=answer.status,
            took_ms=round((self.clock.now() - started_at).total_seconds() * 1000),
        )
        return answer

    def _answer_or_error(self, call: _Call) -> HttpAnswer:
        try:
            body = self._answer(call)
        except CallerError as error:
            return _error(
                error.error_code,
                error.specific_code,
                error.message,
                error.reasons,
                self._headers_of(error),
            )
        except ServiceError as error:
            self.journal.write(
                "request failed",
                batch_id=call.batch_id,
                account=call.account,
                error=describe(error),
            )
            return internal_error(error.specific_code, error.message)
        return HttpAnswer(status=200, body=body, headers={**_HEADERS, **call.headers})

    def _headers_of(self, error: CallerError) -> dict[str, str]:
        """The headers that HTTP requires with some errors (RFC 9110, RFC 6585)."""
        if isinstance(error, Unauthorized):
            allows_basic = self.authenticator.allow_basic
            return {"WWW-Authenticate": _ASK_FOR_BASIC if allows_basic else _ASK_FOR_IWS}
        if isinstance(error, MethodNotAllowed):
            return {"Allow": "POST"}
        if isinstance(error, TooManyRequests):
            return {"Retry-After": str(error.retry_after)}
        return {}

    def _answer(self, call: _Call) -> str:
        request = call.request
        _check_form(request)
        caller = self.authenticator.authenticate(
            SignedRequest(
                headers=request.headers,
                targets=targets.as_sent(request.paths, request.query),
                body=request.body,
            )
        )
        call.account = caller.account
        return self._action(request)(caller, call)

    def _action(self, request: HttpRequest) -> Action:
        actions = self._namespaces.get(request.namespace)
        if actions is None:
            raise NotFound(f"There is no namespace '{request.namespace[:64]}'")
        if not request.action:
            raise ParameterMissing("action")
        if request.action not in actions:
            raise NotFound(f"There is no action '{request.action[:64]}'")
        return actions[request.action]

    @property
    def _namespaces(self) -> dict[str, dict[str, Action]]:
        return {
            "batch": {
                "run": self._run,
                "progress": self._progress,
                "results": self._results,
                "restart": self._restart,
                "repost": self._repost,
                "cancel": self._cancel,
                "list": self._list,
            },
            "test": {"ping": self._ping},
        }

    def _run(self, caller: Caller, call: _Call) -> str:
        body = call.request.body
        belongs_to = trace.parse(call.request.headers.get("traceparent"))
        wanted = run_request.parse(_json(body), self.allowance, belongs_to)
        key = _idempotency_key(call.request)
        submitted = self.submitter.submit_batch(caller, wanted, body, key)
        call.batch_id = submitted.batch_id
        if submitted.was_there:
            call.headers["Idempotent-Replayed"] = "true"
        return strict_json.dump({"asyncId": call.batch_id})

    def _progress(self, caller: Caller, call: _Call) -> str:
        batch_id = call.async_id(call.parameters, BatchNotFound)
        batch = self.reader.progress(caller, batch_id)
        metadata, hold = self.reader.metadata(batch), self.reader.hold(batch)
        return strict_json.dump(_progress(batch, metadata, hold))

    def _results(self, caller: Caller, call: _Call) -> str:
        parameters = call.parameters
        batch_id = call.async_id(parameters, ResultsNotFound)
        is_paged = any(parameters.get(name) is not None for name in ("start", "perPage"))
        page = _results_page(parameters) if is_paged else None
        view = View(
            only=_only(parameters),
            partial=_flag(parameters, "partial"),
            detailed=_flag(parameters, "detail"),
        )
        return self.reader.results(caller, batch_id, page=page, view=view).decode()

    def _restart(self, caller: Caller, call: _Call) -> str:
        self.rerunner.restart(caller, call.async_id(call.parameters, BatchNotFound))
        return strict_json.dump({"restarted": True})

    def _repost(self, caller: Caller, call: _Call) -> str:
        self.rerunner.repost(caller, call.async_id(call.parameters, BatchNotFound))
        return strict_json.dump({"reposted": True})

    def _cancel(self, caller: Caller, call: _Call) -> str:
        self.rerunner.cancel(caller, call.async_id(call.parameters, BatchNotFound))
        return strict_json.dump({"cancelled": True})

    def _list(self, caller: Caller, call: _Call) -> str:
        parameters = call.parameters
        per_page = _per_page(parameters, default=LISTED_PER_PAGE)
        label = _label(parameters)
        if isinstance(parameters.get("start"), str):
            start = _cursor(parameters["start"], caller.account)
            listing = self.lister.list_after(caller, start, per_page, label)
        else:
            page = Page(start=_start(parameters), per_page=per_page)
            listing = self.lister.list_from(caller, page, label)
        after = listing.following
        meta = results.meta(
            total=listing.total,
            page=Page(start=listing.start, per_page=per_page),
            count=len(listing.batches),
            following=cursor.compose(after, caller.account) if after else None,
        )
        return strict_json.dump(
            {"results": [_listed(batch) for batch in listing.batches], "meta": meta}
        )

    def _ping(self, _caller: Caller, call: _Call) -> str:
        as_object(_json(call.request.body))
        return strict_json.dump({"ack": wire_time.compose(self.clock.now()), "version": VERSION})


def internal_error(specific_code: int = 0, message: str = ServiceError.message) -> HttpAnswer:
    """The answer to a caller if something went wrong on our side."""
    return _error(500, specific_code, message, (), {})


def _check_form(request: HttpRequest) -> None:
    if request.method != "POST":
        raise MethodNotAllowed(request.method)
    if len(request.body) > MAX_BODY_BYTES:
        raise TooLarge(f"The body is {len(request.body)} bytes, over the limit of {MAX_BODY_BYTES}")
    content_type = request.headers.get("content-type", "").strip(" \t")
    if content_type and not is_json(content_type):
        raise MediaTypeUnsupported(content_type)
    encoding = request.headers.get("content-encoding", "identity").strip(" \t").lower()
    if encoding not in {"", "identity"}:
        raise MediaTypeUnsupported(f"{content_type} in Content-Encoding {encoding[:20]}")


def _json(body: bytes) -> object:
    """Return the value of a body. A byte order mark before it is ignored."""
    text = body.removeprefix(BOM_UTF8)
    if not text.strip(b" \t\r\n"):
        return {}
    try:
        return strict_json.parse(text)
    except NotStrictJson as error:
        raise ParameterInvalid("body", [str(error)]) from error


def _idempotency_key(request: HttpRequest) -> str | None:
    """Return the key from either header. If both are sent, the signed one counts, in lower case as
    it was signed: an attacker who repeats the request cannot change it to get a second batch."""
    signed = ivvy_headers(request.headers).get("ivvyidempotencykey")
    sent = [signed and signed.lower(), request.headers.get("idempotency-key")]
    keys = [key for key in sent if key is not None]
    if not all(map(_VISIBLE_ASCII.fullmatch, keys)):
        raise ParameterInvalid("Idempotency-Key", ["must be 1 to 255 visible ASCII characters"])
    return keys[0] if keys else None


def _results_page(parameters: Mapping[str, Any]) -> Page:
    return Page(start=_start(parameters), per_page=_per_page(parameters, default=MAX_PER_PAGE))


def _start(parameters: Mapping[str, Any]) -> int:
    return _whole(parameters, "start", low=0, high=10**9, default=0)


def _per_page(parameters: Mapping[str, Any], *, default: int) -> int:
    return _whole(parameters, "perPage", low=1, high=MAX_PER_PAGE, default=default)


def _label(parameters: Mapping[str, Any]) -> str | None:
    label: str | None = parameters.get("label")
    if label is not None and (reasons := why_not_label(label)):
        raise ParameterInvalid("label", reasons)
    return label


def _cursor(text: str, account: str) -> Cursor:
    found = cursor.parse(text, account)
    if found is None:
        reason = "must be a whole number, or the 'next' of one of your pages"
        raise ParameterInvalid("start", [reason])
    return found


def _whole(parameters: Mapping[str, Any], name: str, *, low: int, high: int, default: int) -> int:
    """Return a whole number, written as 10 or as 10.0: JSON does not distinguish them."""
    value = parameters.get(name)
    if value is None:
        return default
    if reasons := why_not_whole(value, low, high):
        raise ParameterInvalid(name, reasons)
    return int(value)


def _only(parameters: Mapping[str, Any]) -> Only | None:
    value = parameters.get("only")
    if value is None:
        return None
    if value not in [*Only]:
        raise ParameterInvalid("only", [f"must be {' or '.join(map(repr, map(str, Only)))}"])
    return Only(value)


def _flag(parameters: Mapping[str, Any], name: str) -> bool:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise ParameterInvalid(name, ["must be true or false"])
    return bool(value)


def _progress(
    batch: Batch, metadata: Mapping[str, str] | None, hold: Hold | None
) -> dict[str, Any]:
    last = batch.last_attempt
    return {
        "progress": batch.progress,
        "status": batch.status,
        "jobs": _jobs(batch),
        "createdAt": wire_time.compose(batch.created_at),
        "completedAt": _time_or_none(batch.completed_at),
        "callback": {
            "status": batch.callback.value,
            "attempts": batch.attempts,
            "lastStatus": last and last.status,
            "lastError": last and last.error,
            "nextAttemptAt": _time_or_none(batch.next_try_at),
            "history": [_attempt(each) for each in batch.history],
        },
        "deadlineAt": wire_time.compose(batch.deadline),
        "expiresAt": wire_time.compose(batch.expires_at),
        "label": batch.label,
        "metadata": metadata,
        **({"waiting": _waiting(hold)} if hold else {}),
    }


def _attempt(made: CallbackAttempt) -> dict[str, Any]:
    return {
        "at": wire_time.compose(made.at),
        "status": made.status,
        "error": made.short_error,
        "tookMs": made.took_ms,
    }


def _waiting(hold: Hold) -> dict[str, str]:
    return {"for": hold.reason, "until": wire_time.compose(hold.until)}


def _listed(batch: Batch) -> dict[str, Any]:
    return {
        "asyncId": batch.batch_id,
        "status": batch.status,
        "progress": batch.progress,
        "createdAt": wire_time.compose(batch.created_at),
        "jobs": _jobs(batch),
        "callback": {"status": batch.callback.value},
        "label": batch.label,
    }


def _jobs(batch: Batch) -> dict[str, int]:
    answered = batch.answered
    return {
        "total": batch.total,
        "succeeded": answered.succeeded,
        "failed": answered.failed,
        "waiting": batch.total - answered.total,
        "unanswered": answered.unanswered,
    }


def _time_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else wire_time.compose(moment)


def _error(
    error_code: int,
    specific_code: int,
    message: str,
    reasons: Sequence[str],
    headers: Mapping[str, str],
) -> HttpAnswer:
    body: dict[str, Any] = {
        "errorCode": error_code,
        "message": message,
        "specificCode": specific_code,
    }
    if reasons:
        body["additionalMessages"] = [*reasons]
    return HttpAnswer(status=error_code, body=json.dumps(body), headers={**_HEADERS, **headers})
