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
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self, Unpack, cast
from urllib.parse import SplitResult, urlsplit
from uuid import uuid4

from batchback import strict_json
from batchback.errors import CallFailed, Refused, StillRunning, Unreachable, Unsupported
from batchback.polling import is_over, persistently, polled
from batchback.signing import iws_headers
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

#: To connect, and between two pieces of the answer: API Gateway itself gives up after 29 seconds.
TIMEOUT_SECONDS = (10.0, 35.0)

_API = "/api/1.0"
#: The API's own path, and the namespace of a call after it.
_PASTED_PATH = re.compile(r"/api/1\.0(/\w*)?/?$")
_CONTENT_TYPE = "application/json; charset=utf-8"
#: What stands between the client and the service answers so: the service itself never does.
_OF_A_GATEWAY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
#: What may be asked again: nothing changes by it.
_READS = {"progress", "results", "list", "ping"}
#: A connection that nobody used for so long may be dead: gateways and firewalls forget it silently.
_IDLE = timedelta(seconds=30)
_KEY = re.compile(r"[!-9;-~]{1,256}")
#: What every HTTP library sends as the same bytes.
_SECRET = re.compile(r"[!-~]([ -~]*[!-~])?")
_LONGEST_NUMBER = 9
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
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
        self._address = _checked_address(address)
        self._key = _checked_key(key)
        self._secret = _checked_secret(secret)
        self._session = session or _new_session(self._address)
        self._session_is_ours = session is None
        self._parse_float = parse_float
        self._now = now
        self._sleep = sleep
        self._monotonic = monotonic
        self._new_key = new_key
        self._used_at = now()
        self._says_version = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._session_is_ours:
            self._session.close()

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
        self._require_version([name for name in (*order, *headers) if name in _NEWER_IN_RUN])
        try:
            return cast(
                Submitted, self._with("asyncId", self._call("batch", "run", order, headers))
            )
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
        raise StillRunning(f"batch {id} is not completed after {timeout:g} s, and goes on")

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
        target = f"{_API}/{namespace}?action={action}"
        sent = strict_json.dump(body).encode()
        tries = 2 if action in _READS or "Idempotency-Key" in headers else 1
        response = self._post(target, sent, {**self._signed(target, sent), **headers}, tries)
        return self._answer_of(response, parse_float or self._parse_float)

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
            page = persistently(
                functools.partial(self._results, id, parse_float, start, per_page, **wanted),
                self._sleep,
            )
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
            what = f"the service is older than {' and '.join(newer)}, and would ignore it"
            raise Unsupported(f"{self._address}: {what}: leave it out, or have the service updated")

    def _ask(self, action: str, body: Mapping[str, Any], expected: str) -> dict[str, Any]:
        return self._with(expected, self.call("batch", action, body))

    def _with(self, expected: str, answer: dict[str, Any]) -> dict[str, Any]:
        if expected not in answer:
            raise self._unreachable(f"answered 200 without '{expected}', so it is another service")
        return answer

    def _signed(self, target: str, body: bytes) -> dict[str, str]:
        """Signed over the path without what the address has before it (a stage, a mount point):
        a gateway takes that off, and the service accepts the rest everywhere."""
        return iws_headers(
            key=self._key,
            secret=self._secret,
            target=target,
            body=body,
            now=self._now(),
            content_type=_CONTENT_TYPE,
        )

    def _post(
        self, target: str, body: bytes, headers: Mapping[str, str], tries: int
    ) -> "requests.Response":
        """Tried again only if the connection ends before the answer does."""
        from http.client import HTTPException

        import requests

        self._forget_idle_connections()
        try:
            return self._session.post(
                self._address + target,
                data=body,
                headers=headers,
                auth=_as_it_is,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.ConnectTimeout as error:
            raise self._unreachable(f"no connection in {TIMEOUT_SECONDS[0]:g} s") from error
        except requests.ReadTimeout as error:
            raise self._unreachable(f"no answer in {TIMEOUT_SECONDS[1]:g} s") from error
        except requests.exceptions.ProxyError as error:
            raise self._unreachable(f"by way of the proxy: {_first_cause(error)}") from error
        except requests.exceptions.SSLError as error:
            raise self._unreachable(_first_cause(error)) from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if tries > 1:
                return self._post(target, body, headers, tries - 1)
            raise self._unreachable(_first_cause(error)) from error
        except (OSError, ValueError, HTTPException) as error:
            # RequestException, and what comes through requests as it is: a file of certificates
            # that is not there, a host with an empty label, an answer that is not HTTP.
            raise self._unreachable(_first_cause(error)) from error

    def _forget_idle_connections(self) -> None:
        """Of a session of the caller's own the caller knows better."""
        now = self._now()
        if self._session_is_ours and abs(now - self._used_at) > _IDLE:
            self._session.close()
        self._used_at = now

    def _answer_of(
        self, response: "requests.Response", parse_float: Callable[[str], Any]
    ) -> dict[str, Any]:
        try:
            answer = json.loads(response.content, parse_float=parse_float)
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and response.status_code not in _OF_A_GATEWAY:
            if isinstance(answer.get("errorCode"), int):
                raise _refusal(answer, self._retry_after(response))
            if response.status_code == HTTPStatus.OK:
                return answer
        raise self._unreachable(_not_the_service(response, answer))

    def _retry_after(self, response: "requests.Response") -> int | None:
        """Whole seconds: HTTP has it so, or as a date (RFC 9110, 10.2.3)."""
        text = response.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdecimal():
            return int(text[:_LONGEST_NUMBER])
        try:
            return max(0, math.ceil((parsedate_to_datetime(text) - self._now()).total_seconds()))
        except (ValueError, TypeError, OverflowError):  # none, or one without a time zone
            return None

    def _unreachable(self, what: str) -> Unreachable:
        return Unreachable(f"{self._address}: {what}")


def _checked_address(address: str) -> str:
    """The address without the API's own path, which people often paste with it."""
    parts = _parts(address)
    if "@" in address:
        raise ValueError("the address has no room for user:password: give key and secret instead")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(f"the address {address!r} must begin with http:// or https://")
    if parts.query or parts.fragment:
        raise ValueError(f"the address has no room for a query: give it up to {parts.path!r}")
    return _PASTED_PATH.sub("", address).rstrip("/")


def _parts(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise ValueError("the address must be a URL such as https://batch.example.com") from error
    return parts


def _checked_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("the key is not 1 to 256 visible ASCII characters without a colon")
    return key


def _checked_secret(secret: str) -> str:
    if not _SECRET.fullmatch(secret):
        raise ValueError(
            "the secret holds a line break, a space at one end or a character that is not ASCII: "
            "give it as it was issued"
        )
    return secret


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


def _new_session(address: str) -> "requests.Session":
    # Imported here and in _post: it takes a fifth of a second, and the command line imports this
    # module for `batchback --help` too.
    import requests

    session = requests.Session()
    session.trust_env = not _is_this_machine(urlsplit(address).hostname or "")
    return session


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _given(**parameters: object) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _as_it_is(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    """An `auth` that adds nothing: without one, requests looks for credentials in a .netrc."""
    return request


def _first_cause(error: BaseException) -> str:
    """What the operating system said, which requests and urllib3 wrap three times over."""
    while (wrapped := _wrapped(error)) is not None:
        error = wrapped
    return _of_tls(error) or getattr(error, "strerror", None) or str(error) or type(error).__name__


def _of_tls(error: BaseException) -> str:
    """What went wrong with TLS; empty if that is not the cause."""
    import ssl

    if not isinstance(error, ssl.SSLError):
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if error.reason in _NO_TLS:
        return "it does not speak TLS: the right address may begin with http://"
    return f"TLS failed ({error.reason or type(error).__name__})"


#: What OpenSSL makes of an answer in plain HTTP, by version.
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}


def _wrapped(error: BaseException) -> BaseException | None:
    """Never `__context__`: that may be what our caller was handling when it called us."""
    places = (getattr(error, "reason", None), error.__cause__, *error.args)
    return next((place for place in places if isinstance(place, BaseException)), None)


def _refusal(answer: Mapping[str, Any], retry_after: int | None) -> Refused:
    specific_code = answer.get("specificCode")
    reasons = answer.get("additionalMessages")
    return Refused(
        answer["errorCode"],
        specific_code if isinstance(specific_code, int) else 0,
        str(answer.get("message") or "no message"),
        [str(reason) for reason in reasons] if isinstance(reasons, list) else [],
        retry_after,
    )


def _not_the_service(response: "requests.Response", answer: object) -> str:
    """API Gateway says in `message` what it has to say; a page of HTML helps nobody on one line."""
    said = f"answered {response.status_code} {response.reason or ''}".rstrip()
    message = answer.get("message") if isinstance(answer, dict) else None
    detail = message if isinstance(message, str) else "not an answer of the service"
    return f"{said}: {detail}"
