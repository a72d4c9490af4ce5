"""Check a request without the service.

Only the service knows what its deployment decides: how many jobs a batch may have, which networks
it may call, how long a deadline may be. For everything else the tests hold this module to the
service's own messages.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batchback import strict_json

MAX_BODY_BYTES = 3_500_000
MAX_JOBS = 10_000
MAX_JOB_BYTES = 200_000
MAX_URL_CHARACTERS = 2_048
MAX_METADATA = 16
MAX_HEADERS = 10
MAX_HEADERS_BYTES = 4_096
#: The longest that a deployment can allow.
MAX_DEADLINE_MINUTES = 2_880

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_JOB_BRACKETS = len('{"namespace":"","action":"","params":}')
_JOB_KEYS = {"namespace", "action", "params", "id"}


def faults(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield each fault, beginning with its place."""
    yield from _faults_of_jobs(request.get("jobs"))
    for name, judge in _JUDGES.items():
        if request.get(name) is not None:
            yield from (f"{name}: {fault}" for fault in judge(request[name]))
    yield from _faults_without_callback(request)
    yield from _faults_of_size(request)


def remarks(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is allowed but may be a mistake."""
    if request.get("callbackUrl") is None:
        yield "callbackUrl: is missing, and most deployments require it"
    for name in sorted(request.keys() - _JUDGES.keys() - {"jobs"}):
        yield f"{name}: is not a parameter of run, and is ignored"
    unknown = {name for job in _dicts_in(request.get("jobs")) for name in job} - _JOB_KEYS
    for name in sorted(unknown):
        yield f"jobs[].{name}: is not a field of a job, and is ignored"


def _dicts_in(jobs: object) -> Iterator[dict[str, Any]]:
    yield from (job for job in jobs if isinstance(job, dict)) if isinstance(jobs, list) else ()


def _faults_without_callback(request: Mapping[str, Any]) -> Iterator[str]:
    if request.get("callbackUrl") is None:
        about_one = ("callbackResults", "callbackHeaders")
        yield from (f"{name}: needs a callbackUrl" for name in about_one if request.get(name))


def _faults_of_size(request: Mapping[str, Any]) -> Iterator[str]:
    size = len(strict_json.dump(request).encode())
    if size > MAX_BODY_BYTES:
        limit = f"over the limit of {MAX_BODY_BYTES}"
        yield f"the request: is {size} bytes, {limit}: send several batches"


# ---- jobs


def _faults_of_jobs(jobs: object) -> Iterator[str]:
    if jobs is None:
        yield "jobs: is required"
    elif not isinstance(jobs, list):
        yield "jobs: must be an array"
    elif not jobs:
        yield "jobs: must not be empty"
    else:
        if len(jobs) > MAX_JOBS:
            yield f"jobs: holds {len(jobs)} jobs, and no deployment takes more than {MAX_JOBS}"
        yield from _faults_of_each(jobs)


def _faults_of_each(jobs: list[object]) -> Iterator[str]:
    places: dict[str, int] = {}
    for index, job in enumerate(jobs):
        where = f"jobs[{index}]"
        if not isinstance(job, dict):
            yield f"{where}: must be an object"
            continue
        yield from (f"{where}{fault}" for fault in _faults_of_job(job))
        yield from _faults_of_id(job.get("id"), where, index, places)


def _faults_of_job(job: Mapping[str, Any]) -> Iterator[str]:
    wrong = [*_faults_of_name(job, "namespace"), *_faults_of_name(job, "action")]
    if isinstance(job.get("namespace"), str) and job["namespace"].lower() == "batch":
        wrong.append(".namespace: 'batch' may not be called from a batch")
    params = job.get("params")
    if params not in (None, []) and not isinstance(params, dict):
        wrong.append(".params: must be an object")
    yield from wrong or _faults_of_job_size(job)


def _faults_of_name(job: Mapping[str, Any], name: str) -> Iterator[str]:
    value = job.get(name)
    if name not in job:
        yield f".{name}: is required"
    elif not isinstance(value, str):
        yield f".{name}: must be a string"
    elif not value:
        yield f".{name}: must not be empty"
    elif len(value) > 64:
        yield f".{name}: must be 64 characters at most"
    elif not _NAME.fullmatch(value):
        yield f".{name}: must be letters, digits and '_', beginning with a letter"


def _faults_of_job_size(job: Mapping[str, Any]) -> Iterator[str]:
    params = len(strict_json.dump(job.get("params") or {}).encode())
    size = params + len(job["namespace"]) + len(job["action"]) + _JOB_BRACKETS
    if size > MAX_JOB_BYTES:
        yield f": is {size} bytes of JSON, over the limit of {MAX_JOB_BYTES}"


def _faults_of_id(value: object, where: str, index: int, places: dict[str, int]) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, str) or not _ID.fullmatch(value):
        yield f"{where}.id: must be 1 to 64 of A-Z a-z 0-9 . _ : -"
    elif places.setdefault(value, index) != index:
        yield f"{where}.id: is also the id of jobs[{places[value]}]"


# ---- the rest


_URL = re.compile(
    r"https?://"
    r"(?P<user>[^/?#]*@)?"
    r"(?P<host>\[[^/?#@\[\]]*\]|[^/?#@:\[\]]*)"
    r"(?::(?P<port>[^/?#@]*))?"
    r"(?:[/?][^#]*)?"
    r"(?P<fragment>#.*)?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")


def _of_url(url: object) -> Iterator[str]:
    if not isinstance(url, str):
        yield "must be a string"
    elif len(url) > MAX_URL_CHARACTERS:
        yield f"is {len(url)} characters long, over the limit of {MAX_URL_CHARACTERS}"
    elif not url.isprintable() or " " in url or "\\" in url:
        yield "must not hold spaces, backslashes, control or invisible characters"
    elif not re.match("https?:", url, re.IGNORECASE | re.ASCII):
        yield "must be http or https"
    elif parts := _URL.fullmatch(url):
        yield from _of_parts(parts)
    else:
        yield "is not a URL: it must look like https://host:port/path"


def _of_parts(parts: re.Match[str]) -> Iterator[str]:
    if parts["user"] is not None:
        yield "must not hold a user or a password"
    elif parts["fragment"] is not None:
        yield "must not hold a fragment (#): it would never be sent"
    if not parts["host"]:
        yield "must name a host"
    port = parts["port"]
    if port is not None and not _PORT.fullmatch(port):
        yield "the port is not a number"
    elif port is not None and not (port in {"80", "443"} or 1024 <= int(port) <= 65_535):
        yield f"port {port} is not allowed: use 80, 443 or 1024 to 65535"


def _is_text(value: object, least: int, most: int) -> bool:
    return isinstance(value, str) and least <= len(value) <= most and value.isprintable()


def _of_label(label: object) -> Iterator[str]:
    if not _is_text(label, 1, 64):
        yield "must be 1 to 64 printable characters"


def _of_metadata(metadata: object) -> Iterator[str]:
    if not isinstance(metadata, dict):
        yield "must be an object"
    elif len(metadata) > MAX_METADATA:
        yield f"holds {len(metadata)} values, over the limit of {MAX_METADATA}"
    else:
        yield from _of_values(metadata)


def _of_values(metadata: Mapping[str, object]) -> Iterator[str]:
    for place, (name, value) in enumerate(metadata.items(), 1):
        if not _is_text(name, 1, 64):
            yield f"the name of value {place} must be 1 to 64 printable characters"
        if not _is_text(value, 0, 512):
            yield f"value {place} must be a string of at most 512 printable characters"


def _of_callback_results(wanted: object) -> Iterator[str]:
    if wanted not in ("all", "failed", "none"):
        yield "must be 'all', 'failed' or 'none'"


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_LETTER_OR_DIGIT = re.compile(r"[^a-z0-9]")
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_NOT_FOR_CALLERS = re.compile(
    r"accept-encoding|connection|content-.*|expect|forwarded|host|idempotency-key|keep-alive"
    r"|proxy-.*|te|traceparent|tracestate|trailer|transfer-encoding|upgrade|user-agent"
    r"|webhook-.*|x-forwarded-.*"
)


def _of_headers(headers: object) -> Iterator[str]:
    """Yield faults without any value, which may be secret."""
    if not isinstance(headers, dict):
        yield "must be an object"
    elif len(headers) > MAX_HEADERS:
        yield f"holds {len(headers)} headers, over the limit of {MAX_HEADERS}"
    else:
        wrong = [*_of_each_header(headers), *_of_repeated_headers(headers)]
        yield from wrong or _of_size(headers)


def _of_each_header(headers: Mapping[str, object]) -> Iterator[str]:
    for place, (name, value) in enumerate(headers.items(), 1):
        if not _HEADER_NAME.fullmatch(name):
            yield f"the name of header {place} must be letters, digits and !#$%&'*+-.^_`|~"
            continue
        if _NOT_FOR_CALLERS.fullmatch(_NO_LETTER_OR_DIGIT.sub("-", name.lower())):
            yield f"{name[:64]} may not be set: choose another name"
        if not isinstance(value, str):
            yield f"{name[:64]} must be a string"
        elif not _HEADER_VALUE.fullmatch(value):
            yield f"{name[:64]} must be printable ASCII, not empty, without spaces at its ends"


def _of_repeated_headers(headers: Mapping[str, object]) -> Iterator[str]:
    seen: set[str] = set()
    for name in filter(_HEADER_NAME.fullmatch, headers):
        if name.lower() in seen:
            yield f"{name[:64]} is repeated: header names ignore case"
        seen.add(name.lower())


def _of_size(headers: Mapping[str, str]) -> Iterator[str]:
    size = sum(len(name) + len(value) for name, value in headers.items())
    if size > MAX_HEADERS_BYTES:
        yield f"holds {size} bytes, over the limit of {MAX_HEADERS_BYTES}"


def _whole_number(low: int, high: int) -> Callable[[object], Iterator[str]]:
    def judge(value: object) -> Iterator[str]:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or value % 1:  # type: ignore[operator]
            yield f"must be a whole number from {low} to {high}"

    return judge


_JUDGES: dict[str, Callable[[Any], Iterator[str]]] = {
    "callbackUrl": _of_url,
    "label": _of_label,
    "metadata": _of_metadata,
    "callbackResults": _of_callback_results,
    "callbackHeaders": _of_headers,
    "deadlineMinutes": _whole_number(1, MAX_DEADLINE_MINUTES),
    "maxFailed": _whole_number(0, 10**9),
}
