"""FILE of `batchback run`: a request object, an array of jobs, or one job per line."""

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from batchback import strict_json
from batchback.errors import CannotGoOn
from batchback.shell import Shell


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFile:
    """The request in FILE, and the lines of its jobs."""

    name: str
    request: Mapping[str, Any]
    #: The line number of each job, if FILE has one job per line.
    lines: tuple[int, ...] = ()


def read_request(file: str, shell: Shell) -> RequestFile:
    """Return the request object in FILE, or make one from the jobs in it."""
    found = _read(file, shell)
    _refuse_results(found)
    return found


def _read(file: str, shell: Shell) -> RequestFile:
    name = "standard input" if file == "-" else file
    # Windows editors begin UTF-8 files with a byte order mark, which is not JSON.
    content = shell.read(file).removeprefix(codecs.BOM_UTF8)
    if _is_lines(content):
        jobs = dict(_jobs_on_lines(content, name))
        return RequestFile(name=name, request={"jobs": [*jobs.values()]}, lines=(*jobs,))
    return _of_value(_parsed(content, name), name)


def _is_lines(content: bytes) -> bool:
    """Whether the first line is a whole object and more lines follow."""
    first, _, rest = content.lstrip().partition(b"\n")
    if not first.startswith(b"{") or not rest.strip():
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_results(found: RequestFile) -> None:
    """Raise CannotGoOn if FILE holds results, whose jobs would run without their parameters."""
    jobs = found.request.get("jobs", found.request.get("results"))
    for job in jobs if isinstance(jobs, list) else ():
        if isinstance(job, dict) and "request" in job and "params" not in job:
            raise CannotGoOn(
                f"{found.name} contains results, not jobs: rename `request` to `params` in each, or"
                " run `batchback rerun-failed ID` to submit the failed jobs of a batch again"
            )


_JOB = {"namespace", "action"}
_WANTED = (
    'write the jobs as a JSON array, [{"namespace": "...", "action": "..."}, ...], or one per line'
)


def _of_value(value: object, name: str) -> RequestFile:
    if isinstance(value, list):
        return RequestFile(name=name, request={"jobs": value})
    if not isinstance(value, dict):
        raise CannotGoOn(f"{name} contains neither a request object nor jobs: {_WANTED}")
    is_job = "jobs" not in value and _JOB & value.keys()
    return RequestFile(name=name, request={"jobs": [value]} if is_job else value)


def _jobs_on_lines(content: bytes, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line that is not empty, and its job."""
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            yield number, _job_on(line, f"{name}, line {number}")


def _job_on(line: bytes, place: str) -> dict[str, Any]:
    job = _parsed(line, place, is_line=True)
    if not isinstance(job, dict):
        raise CannotGoOn(f"{place} is not a job: write an object, {_A_JOB}")
    return job


_A_JOB = '{"namespace": "...", "action": "..."}'


def _parsed(content: bytes, place: str, *, is_line: bool = False) -> object:
    """Parse as strictly as the service does, so that nothing changes on the way."""
    try:
        return strict_json.parse(content)
    except strict_json.NotStrictJson as fault:
        if isinstance(fault.__cause__, json.JSONDecodeError):
            _refuse_syntax(content, place, fault.__cause__, is_line=is_line)
        raise CannotGoOn(f"{place} {fault}: fix it, and retry") from fault


def _refuse_syntax(
    content: bytes, place: str, at: json.JSONDecodeError, *, is_line: bool
) -> NoReturn:
    if not content.strip():
        raise CannotGoOn(f"{place} is empty: {_WANTED}") from at
    if not content.lstrip().startswith((b"[", b"{")):
        raise CannotGoOn(f"{place} is not JSON: {_WANTED}") from at
    if at.msg == "Extra data":
        how = "write one job per line, or combine them into one array with `jq -s . FILE`"
        raise CannotGoOn(f"{place} contains more than one JSON value: {how}") from at
    where = f"column {at.colno}" if is_line else f"line {at.lineno}, column {at.colno}"
    raise CannotGoOn(f"{place}, {where}: {at.msg}: fix it") from at
