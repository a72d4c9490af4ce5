"""The batch API for Python programs: one method per action, with IWS signatures.

    with Client("https://batch.example.com", key, secret) as client:
        batch = client.run(
            [{"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}],
            "https://example.com/callback",
        )
        client.progress(batch["asyncId"])

The methods return the service's own JSON, typed. A call can fail in three ways:

    CallFailed
    ├── Refused         The service refused the call. A retry does not help, except after 24114 (not
    │                   completed), 429 (a limit of the account) and the 500s.
    ├── Unreachable     There was no answer, or it came from something else, such as a gateway or a
    │                   proxy. The service may or may not have received the call.
    └── Unsupported     The service is too old for a parameter and would ignore it.

If a connection ends without an answer, the client retries once if the call only reads (progress,
results, list and ping) or is a `run`, which always has an idempotency key. It never sends anything
else twice on its own.
"""

import functools
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, Unpack, cast
from uuid import uuid4

from batchback.errors import CallFailed, StillRunning, Unsupported
from batchback.polling import is_over, persistently, polled
from batchback.transport import Transport
from batchback.wire import (
    Batches,
    CallbackResults,
    Cancelled,
    Job,
    Only,
    Pong,
    Progress,
    Reposted,
    Restarted,
    Result,
    Results,
    RunOptions,
    Submitted,
)

if TYPE_CHECKING:
    import requests

#: Actions that change nothing, so the client may repeat them.
_READS = {"progress", "results", "list", "ping"}
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
#: Version 00, or a later one, which may have more fields.
_TRACEPARENT = re.compile(
    r"(?!ff)(?!00.{53}-)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[^,]*)?"
)
#: Parameters and a header that only services that report a version understand.
_NEWER_IN_RUN = {
    "label",
    "metadata",
    "callbackResults",
    "callbackHeaders",
    "deadlineMinutes",
    "maxFailed",
    "traceparent",
}


class Client:
    """Call one service with one key. An invalid address, key or secret raises ValueError
    immediately.

    If you pass a session, you close it. Otherwise the client makes its own and closes it. That
    session takes proxies and certificates from the environment, except for calls to this machine,
    and never takes credentials from a .netrc.

    `parse_float` converts the fractional numbers in answers, as in `json.loads`: `Decimal` keeps
    all of their digits.
    """

    def __init__(
        self,
        address: str,
        key: str,
        secret: str,
        *,
        session: "requests.Session | None" = None,
        parse_float: Callable[[str], Any] = float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        new_key: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._transport = Transport(address, key, secret, session=session, now=now)
        self._parse_float = parse_float
        self._sleep = sleep
        self._monotonic = monotonic
        self._new_key = new_key
        self._says_version = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def run(
        self,
        jobs: Iterable[Job],
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        *,
        label: str | None = None,
        metadata: Mapping[str, str] | None = None,
        callback_results: CallbackResults | None = None,
        callback_headers: Mapping[str, str] | None = None,
        deadline_minutes: int | None = None,
        max_failed: int | None = None,
        traceparent: str | None = None,
    ) -> Submitted:
        """Submit a batch. Once this returns, the service has stored it.

        If you pass no idempotency key, the client makes one. If a CallFailed leaves the outcome
        unknown, repeat the call with the exception's `idempotency_key`: the batch then runs only
        once, even if the first call arrived."""
        order = _given(
            jobs=[*jobs],
            callbackUrl=callback_url,
            label=label,
            metadata=metadata,
            callbackResults=callback_results,
            callbackHeaders=callback_headers,
            deadlineMinutes=deadline_minutes,
            maxFailed=max_failed,
        )
        return self.submit(order, idempotency_key, traceparent=traceparent)

    def submit(
        self,
        order: Mapping[str, Any],
        idempotency_key: str | None = None,
        *,
        traceparent: str | None = None,
    ) -> Submitted:
        """Submit a batch as `run` does, from a whole request object, which is sent unchanged."""
        key = self._new_key() if idempotency_key is None else idempotency_key
        headers = {"Idempotency-Key": _checked_idempotency_key(key)}
        if traceparent is not None:
            headers["traceparent"] = _checked_traceparent(traceparent)
        self._require_version([*_newer_in(order, headers)])
        try:
            answer = self._call("batch", "run", order, headers)
            return cast(Submitted, self._with("asyncId", answer))
        except CallFailed as failure:
            failure.idempotency_key = key
            raise

    def rerun_failed(
        self,
        id: str,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[RunOptions],
    ) -> Submitted | None:
        """Submit the failed jobs of a completed batch, with their ids, as a new batch. Return None
        if there are none. The callback URL of the old batch cannot be read, so pass it again. With
        an idempotency key you can repeat the call, as with `run`."""
        pages = self._pages(id, float, only="failed")
        failed = [_job_of(result) for page in pages for result in page["results"]]
        return self.run(failed, callback_url, idempotency_key, **options) if failed else None

    def progress(self, id: str) -> Progress:
        """Return the progress of the batch."""
        return cast(Progress, self._ask("progress", {"async": id}, "progress"))

    def wait(
        self,
        id: str,
        timeout: float | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Progress:
        """Return the progress once the batch is over; raise StillRunning after `timeout` seconds.
        `on_progress` receives each progress along the way. Up to four polls in a row may fail."""
        deadline = math.inf if timeout is None else self._monotonic() + timeout
        for progress in polled(
            lambda: self.progress(id),
            deadline=deadline,
            sleep=self._sleep,
            monotonic=self._monotonic,
        ):
            if on_progress is not None:
                on_progress(progress)
            if is_over(progress):
                return progress
        raise StillRunning(
            f"batch {id} is not completed after {timeout:g} s, and still running: wait again"
        )

    def results(
        self,
        id: str,
        start: int | None = None,
        per_page: int | None = None,
        *,
        only: Only | None = None,
        detail: bool = False,
        partial: bool = False,
    ) -> Results:
        """Return all results in the order of the jobs, or a page of them. While the batch runs,
        this raises Refused with 24114 unless you ask for the results so far (`partial`). `only`
        selects the jobs that failed or succeeded; `detail` adds the outcome, the HTTP status and
        more to each result."""
        return self._results(
            id, self._parse_float, start, per_page, only=only, detail=detail, partial=partial
        )

    def iter_results(
        self,
        id: str,
        *,
        only: Only | None = None,
        detail: bool = False,
        partial: bool = False,
        per_page: int | None = None,
    ) -> Iterator[Result]:
        """Yield each result once, in the order of the jobs, and fetch as many pages as needed."""
        for page in self.iter_pages(
            id, only=only, detail=detail, partial=partial, per_page=per_page
        ):
            yield from page["results"]

    def iter_pages(
        self,
        id: str,
        *,
        only: Only | None = None,
        detail: bool = False,
        partial: bool = False,
        per_page: int | None = None,
    ) -> Iterator[Results]:
        """Yield the pages of results. A call that fails is retried up to four times if a retry may
        help."""
        return self._pages(
            id, self._parse_float, only=only, detail=detail, partial=partial, per_page=per_page
        )

    def restart(self, id: str) -> Restarted:
        """Rerun every job that never got an answer."""
        return cast(Restarted, self._ask("restart", {"async": id}, "restarted"))

    def repost(self, id: str) -> Reposted:
        """Send the callback of a completed batch again."""
        return cast(Reposted, self._ask("repost", {"async": id}, "reposted"))

    def cancel(self, id: str) -> Cancelled:
        """End the batch early: jobs without a response are answered "Cancelled"."""
        return cast(Cancelled, self._ask("cancel", {"async": id}, "cancelled"))

    def list(
        self,
        start: int | str | None = None,
        per_page: int | None = None,
        *,
        label: str | None = None,
    ) -> Batches:
        """Return a page of the account's batches, newest first. `label` selects those with this
        label; such a page may be short or even empty and still have a `next`. `start` is the
        `next` of the previous page, or a number."""
        wanted = _given(start=start, perPage=per_page, label=label)
        self._require_version([name for name in ("label",) if name in wanted])
        return cast(Batches, self._ask("list", wanted, "results"))

    def ping(self) -> Pong:
        """Check that the address, the key, the secret and the clock are right."""
        return cast(Pong, self._with("ack", self.call("test", "ping", {})))

    def call(
        self,
        namespace: str,
        action: str,
        body: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Make any call and return the service's answer; raise Refused or Unreachable."""
        headers = _given(**{"Idempotency-Key": idempotency_key})
        if idempotency_key is not None:
            _checked_idempotency_key(idempotency_key)
        return self._call(namespace, action, body, headers)

    def _call(
        self,
        namespace: str,
        action: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        parse_float: Callable[[str], Any] | None = None,
    ) -> dict[str, Any]:
        return self._transport.ask(
            namespace,
            action,
            body,
            headers,
            parse_float=parse_float or self._parse_float,
            may_repeat=action in _READS or "Idempotency-Key" in headers,
        )

    def _pages(
        self,
        id: str,
        parse_float: Callable[[str], Any],
        *,
        per_page: int | None = None,
        **wanted: Any,
    ) -> Iterator[Results]:
        start: int | None = 0
        while start is not None:
            ask = functools.partial(self._results, id, parse_float, start, per_page, **wanted)
            page = persistently(ask, self._sleep)
            yield page
            start = _following(page)

    def _results(
        self,
        id: str,
        parse_float: Callable[[str], Any],
        start: int | None,
        per_page: int | None,
        *,
        only: Only | None = None,
        detail: bool = False,
        partial: bool = False,
    ) -> Results:
        newer = _given(only=only, detail=detail or None)
        self._require_version([*newer])
        wanted = _given(start=start, perPage=per_page, partial=partial or None) | newer
        answer = self._call("batch", "results", {"async": id, **wanted}, {}, parse_float)
        return cast(Results, self._with("results", answer))

    def _require_version(self, newer: Sequence[str]) -> None:
        """Raise Unsupported if the service reports no version, and so would ignore these."""
        if not newer or self._says_version:
            return
        self._says_version = "version" in self.ping()
        if not self._says_version:
            raise Unsupported(
                f"the service is too old for {' and '.join(newer)}, and would ignore it: do "
                "without it, or ask the operator to update the service"
            )

    def _ask(self, action: str, body: Mapping[str, Any], expected: str) -> dict[str, Any]:
        return self._with(expected, self.call("batch", action, body))

    def _with(self, expected: str, answer: dict[str, Any]) -> dict[str, Any]:
        if expected not in answer:
            raise self._transport.unreachable(
                f"answered 200 without '{expected}', so it is a different service"
            )
        return answer


def _given(**parameters: object) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _checked_idempotency_key(idempotency_key: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise ValueError("the idempotency key must be 1 to 255 visible ASCII characters")
    return idempotency_key


def _checked_traceparent(traceparent: str) -> str:
    if not _TRACEPARENT.fullmatch(traceparent):
        raise ValueError(
            "the traceparent must follow W3C Trace Context, such as "
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        )
    return traceparent


def _newer_in(order: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[str]:
    given = _given(**{**order, **headers})
    yield from (name for name in given if name in _NEWER_IN_RUN)
    jobs = order.get("jobs")
    if isinstance(jobs, list) and any(map(_has_id, jobs)):
        yield "the id of jobs"


def _has_id(job: object) -> bool:
    return isinstance(job, dict) and job.get("id") is not None


def _job_of(result: Result) -> Job:
    """The job that a result belongs to."""
    given = {"params": result["request"] or None, "id": result.get("id")}
    job = {"namespace": result["namespace"], "action": result["action"], **_given(**given)}
    return cast(Job, job)


def _following(page: Results) -> int | None:
    """The `start` of the next page, or None. A service that reports no `next` counts results, and
    has one for each job."""
    if "meta" not in page:
        return None
    meta = page["meta"]
    if "next" in meta:
        return meta["next"]
    after = meta["start"] + meta["count"]
    return after if meta["start"] < after < meta["totalResults"] else None
