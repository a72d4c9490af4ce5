"""Parses the JSON of a `run` request into a submission, or raises an error that names every fault.

pydantic checks the shape; its error types, never its texts, are mapped to the contract's codes and
texts. Only the API imports this module, so that the workers start without pydantic.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    PlainValidator,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from chalicelib.domain import strict_json
from chalicelib.domain.batch import CallbackResults, Job
from chalicelib.domain.callback_headers import why_not_headers
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.own_words import is_job_id, why_not_label, why_not_metadata
from chalicelib.domain.submission import Allowance, Submission
from chalicelib.domain.trace import TraceContext
from chalicelib.domain.whole_number import why_not_whole
from chalicelib.errors import (
    CallerError,
    JobFormatWrong,
    JobParameterEmpty,
    ParameterInvalid,
    ParameterMissing,
    TooManyJobs,
)

MAX_JOB_BYTES = 200_000
MAX_REASONS = 20
#: More than any batch has jobs.
MAX_MAX_FAILED = 10**9

_MINUTE = timedelta(minutes=1)


def parse(body: object, allowance: Allowance, trace: TraceContext | None = None) -> Submission:
    """Return the submission that a request's JSON value describes.

    If there are faults, it raises the error of the first one, in the order `jobs`, each job by
    index, `callbackUrl`, optional keys. Its reasons name all faults, up to 20.
    """
    request = as_object(body)
    jobs, faults = _judge_jobs(request.get("jobs"), allowance.max_jobs)
    faults += _judge_callback_and_options(request, allowance)
    _raise_first(faults)
    minutes, max_failed = request.get("deadlineMinutes"), request.get("maxFailed")
    return Submission(
        jobs=jobs,
        callback_url=request.get("callbackUrl"),
        callback_results=CallbackResults(request.get("callbackResults") or CallbackResults.ALL),
        callback_headers=request.get("callbackHeaders") or {},
        label=request.get("label"),
        metadata=request.get("metadata") or {},
        deadline=None if minutes is None else int(minutes) * _MINUTE,
        max_failed=None if max_failed is None else int(max_failed),
        trace=trace,
    )


def as_object(body: object) -> dict[str, Any]:
    """Return the parameters of a call. Some clients send `[]` for none."""
    if body is None or body == []:
        return {}
    if not isinstance(body, dict):
        raise ParameterInvalid("body", ["must be a JSON object"])
    return body


@dataclass(frozen=True, slots=True)
class _Fault:
    """One fault: where it is, what it is, and which error to raise if it is the first."""

    where: str
    text: str
    error: Callable[[list[str]], CallerError]

    @property
    def reason(self) -> str:
        return f"{self.where}: {self.text}"


def _params(value: object) -> object:
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise PydanticCustomError("params_type", "")
    return value


def _id(value: object) -> object:
    if value is not None and not is_job_id(value):
        raise PydanticCustomError("job_id", "")
    return value


def _callable(namespace: str) -> str:
    if namespace.lower() == "batch":  # signatures ignore case
        raise PydanticCustomError("batch_in_batch", "")
    return namespace


_Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=64, pattern="^[A-Za-z][A-Za-z0-9_]*$"),
]


class _JobShape(BaseModel):
    namespace: Annotated[_Name, AfterValidator(_callable)]
    action: _Name
    params: Annotated[Any, PlainValidator(_params)] = None
    id: Annotated[Any, PlainValidator(_id)] = None
    #: The params as text, composed once.
    _text: str = PrivateAttr()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._text = strict_json.dump({} if self.params is None else self.params)
        size = len(self._text.encode()) + len(self.namespace) + len(self.action) + _JOB_BRACKETS
        if size > MAX_JOB_BYTES:
            raise PydanticCustomError("too_large", "", {"size": size})
        return self

    def as_job(self, index: int) -> Job:
        return Job(index, self.namespace, self.action, self._text, self.id)


_JOB_BRACKETS = len('{"namespace":"","action":"","params":}')

_TEXTS = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "must be 64 characters at most",
    "string_pattern_mismatch": "must be letters, digits and '_', beginning with a letter",
    "string_unicode": "must be letters, digits and '_', beginning with a letter",
    "params_type": "must be an object",
    "job_id": "must be 1 to 64 of A-Z a-z 0-9 . _ : -",
    "model_type": "must be an object",
    "batch_in_batch": "'batch' may not be called from a batch",
    "too_large": "is {size} bytes of JSON, over the limit of " + str(MAX_JOB_BYTES),
}


def _judge_jobs(jobs: object, max_jobs: int) -> tuple[tuple[Job, ...], list[_Fault]]:
    if jobs is None:
        return (), [_Fault("jobs", "is required", _missing("jobs"))]
    if not isinstance(jobs, list):
        return (), [_Fault("jobs", "must be an array", JobFormatWrong)]
    if not jobs:
        return (), [_Fault("jobs", "must not be empty", JobParameterEmpty)]
    if len(jobs) > max_jobs:
        return (), [_Fault("jobs", f"holds {len(jobs)} jobs", lambda _: TooManyJobs(max_jobs))]
    return _judge_each(jobs)


def _judge_each(jobs: list[object]) -> tuple[tuple[Job, ...], list[_Fault]]:
    """Return the good jobs and the faults. Stops when as many faults are found as are reported."""
    good: list[Job] = []
    faults: list[_Fault] = []
    places: dict[str, int] = {}
    for index, job in enumerate(jobs):
        try:
            good.append(_JobShape.model_validate(job).as_job(index))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            faults += [_shape_fault(index, detail) for detail in found]
        faults += _judge_repeated_id(index, job, places)
        if len(faults) >= MAX_REASONS:
            break
    return tuple(good), faults


def _shape_fault(index: int, detail: ErrorDetails) -> _Fault:
    is_empty = detail["type"] == "string_too_short"
    error = JobParameterEmpty if is_empty else JobFormatWrong
    text = _TEXTS[detail["type"]].format(**detail.get("ctx", {}))
    path = "".join(f".{step}" for step in detail["loc"])
    return _Fault(f"jobs[{index}]{path}", text, error)


def _judge_repeated_id(index: int, job: object, places: dict[str, int]) -> list[_Fault]:
    """Return the fault of an id that an earlier job has; `places` maps the ids so far to their
    jobs."""
    id = job.get("id") if isinstance(job, dict) else None
    first = places.setdefault(id, index) if is_job_id(id) else index
    if first == index:
        return []
    return [_Fault(f"jobs[{index}].id", f"is also the id of jobs[{first}]", JobFormatWrong)]


def _judge_callback_and_options(
    request: Mapping[str, Any], allowance: Allowance
) -> Iterator[_Fault]:
    url = request.get("callbackUrl")
    faults = _judge_url(url, allowance)
    yield from faults
    no_callback = ["needs a callbackUrl"] if url is None and not faults else []
    if isinstance(url, str) and not faults:
        no_secrets = allowance.why_no_secrets(url)
    else:
        no_secrets = no_callback
    most_minutes = allowance.max_deadline // _MINUTE
    yield from _judge(request, "label", why_not_label)
    yield from _judge(request, "metadata", why_not_metadata)
    yield from _judge(request, "callbackResults", _why_not_results, no_callback)
    yield from _judge(request, "callbackHeaders", why_not_headers, no_secrets)
    yield from _judge(request, "deadlineMinutes", partial(why_not_whole, low=1, high=most_minutes))
    yield from _judge(request, "maxFailed", partial(why_not_whole, low=0, high=MAX_MAX_FAILED))


def _judge(
    request: Mapping[str, Any],
    name: str,
    why_not: Callable[[Any], list[str]],
    why_not_here: Sequence[str] = (),
) -> Iterator[_Fault]:
    """Yield the faults of an optional key, including why no value of it can be used in this
    request."""
    value = request.get(name)
    if value is None:
        return
    for text in [*why_not(value), *(why_not_here if value else ())]:
        yield _Fault(name, text, _invalid(name))


def _why_not_results(wanted: object) -> list[str]:
    return [] if wanted in [*CallbackResults] else ["must be 'all', 'failed' or 'none'"]


def _judge_url(url: object, allowance: Allowance) -> list[_Fault]:
    if url is None:
        missing = _Fault("callbackUrl", "is required", _missing("callbackUrl"))
        return [missing] if allowance.callback_required else []
    if not isinstance(url, str):
        return [_Fault("callbackUrl", "must be a string", _invalid("callbackUrl"))]
    reasons = allowance.why_not_url(url)
    return [_Fault("callbackUrl", text, _invalid("callbackUrl")) for text in reasons]


def _missing(name: str) -> Callable[[list[str]], CallerError]:
    return lambda reasons: ParameterMissing(name, reasons)


def _invalid(name: str) -> Callable[[list[str]], CallerError]:
    return lambda reasons: ParameterInvalid(name, reasons)


def _raise_first(faults: list[_Fault]) -> None:
    if faults:
        raise faults[0].error([fault.reason for fault in faults[:MAX_REASONS]])
