"""The batch API for Python programs: one method per action, signed as IWS.

    with Client("https://batch.example.com", key, secret) as client:
        batch = client.run(
            [{"namespace": "event", "action": "inviteContacts", "params": {"event": 1}}],
            "https://example.com/callback",
        )
        client.progress(batch["asyncId"])

What comes back is the service's own JSON, typed. What goes wrong is one of three things:

    CallFailed
    ├── Refused         the service answered, and said no: sending the same again changes nothing,
    │                   but for 24114 (not completed), 429 (a limit of the account) and the 500s
    ├── Unreachable     no answer came, or one that is not the service's: a gateway's, a proxy's.
    │                   Whether the call arrived is not known.
    └── Unsupported     the service is older than what was asked of it, and would ignore that

If a connection ends without an answer, the client asks once more for what only reads (progress,
results, list and ping), and for `run`, which always has an idempotency key. It sends nothing else
twice on its own.
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

#: What may be asked again: nothing changes by it.
_READS = {"progress", "results", "list", "ping"}
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
#: Version 00, or a later one, which may go on.
_TRACEPARENT = re.compile(
    r"(?!ff)(?!00.{53}-)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[^,]*)?"
)
#: What only a service knows that says a version: parameters and a header.
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
    """Call one service with one key; ValueError at once if the address, the key or the secret
    cannot be one.

    If you pass a session, closing it is up to you. The client's own session is closed with the
    client; it takes proxies and certificates from the environment, except for this machine, and
    never takes credentials from a .netrc.

    `parse_float` makes the numbers of results that are not whole, as in `json.loads`: `Decimal`
    keeps all of their digits.
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
        """Submit a batch; once this returns, the batch is safe.

        Without an idempotency key it is sent with a new one. If it ends in a CallFailed whose
        outcome is not known, run the same again with the key that the exception has: then the batch
        runs once, whatever arrived."""
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
        """`run` with the whole request object, which is sent as it is."""
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
        """Submit the jobs of a completed batch that did not succeed as a new batch, with their ids;
        None if there are none. Nobody can read the callback URL of the old batch, so give it
        again. With an idempotency key you can call it again, as `run`."""
        pages = self._pages(id, float, only="failed")
        failed = [_job_of(result) for page in pages for result in page["results"]]
        return self.run(failed, callback_url, idempotency_key, **options) if failed else None

    def progress(self, id: str) -> Progress:
        """How far the batch is."""
        return cast(Progress, self._ask("progress", {"async": id}, "progress"))

    def wait(
        self,
        id: str,
        timeout: float | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Progress:
        """The progress once the batch is over; StillRunning if it is not after `timeout` seconds.
        `on_progress` gets each progress on the way. Four calls in a row may fail meanwhile."""
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
            f"batch {id} is not completed after {timeout:g} s and goes on: wait again"
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
        """All results in the order of the jobs, or a page of them. Refused with 24114 while the
        batch runs, unless you ask for the results so far (`partial`). `only` picks those that
        failed or succeeded; `detail` adds to each what happened."""
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
        """Each result once, in the order of the jobs, however many pages they take."""
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
        """The same, page by page. A call that fails is repeated four times if that may help."""
        return self._pages(
            id, self._parse_float, only=only, detail=detail, partial=partial, per_page=per_page
        )

    def restart(self, id: str) -> Restarted:
        """Run every job again that never got an answer."""
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
        """A page of the account's batches, newest first, or of those with this label. `start` is
        the `next` of the page before, or a number. A page with a label may be short or even empty,
        and have a `next`."""
        wanted = _given(start=start, perPage=per_page, label=label)
        self._require_version([name for name in ("label",) if name in wanted])
        return cast(Batches, self._ask("list", wanted, "results"))

    def ping(self) -> Pong:
        """Check that address, key, secret and clock are right."""
        return cast(Pong, self._with("ack", self.call("test", "ping", {})))

    def call(
        self,
        namespace: str,
        action: str,
        body: Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """The service's answer to any call, Refused or Unreachable."""
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
        """Unsupported if the service would ignore these: it says no version then."""
        if not newer or self._says_version:
            return
        self._says_version = "version" in self.ping()
        if not self._says_version:
            raise Unsupported(
                f"the service is too old for {' and '.join(newer)}, and would ignore it: do "
                "without it, or have the service updated"
            )

    def _ask(self, action: str, body: Mapping[str, Any], expected: str) -> dict[str, Any]:
        return self._with(expected, self.call("batch", action, body))

    def _with(self, expected: str, answer: dict[str, Any]) -> dict[str, Any]:
        if expected not in answer:
            raise self._transport.unreachable(
                f"answered 200 without '{expected}', so it is another service"
            )
        return answer


def _given(**parameters: object) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _checked_idempotency_key(idempotency_key: str) -> str:
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise ValueError("the idempotency key is not 1 to 255 visible ASCII characters")
    return idempotency_key


def _checked_traceparent(traceparent: str) -> str:
    if not _TRACEPARENT.fullmatch(traceparent):
        raise ValueError(
            "the traceparent is not as W3C Trace Context has it, such as "
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        )
    return traceparent


def _newer_in(order: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[str]:
    yield from (name for name in (*order, *headers) if name in _NEWER_IN_RUN)
    jobs = order.get("jobs")
    if isinstance(jobs, list) and any(isinstance(job, dict) and "id" in job for job in jobs):
        yield "the id of jobs"


def _job_of(result: Result) -> Job:
    """The job that a result is of."""
    given = {"params": result["request"] or None, "id": result.get("id")}
    job = {"namespace": result["namespace"], "action": result["action"], **_given(**given)}
    return cast(Job, job)


def _following(page: Results) -> int | None:
    """The `start` of the page after this one. A service that does not say it counts results, of
    which each job has one."""
    if "meta" not in page:
        return None
    meta = page["meta"]
    if "next" in meta:
        return meta["next"]
    after = meta["start"] + meta["count"]
    return after if meta["start"] < after < meta["totalResults"] else None
