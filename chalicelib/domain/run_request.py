"""The JSON of a `run` request in, a submission out, or an error that names every fault.

pydantic judges the shape; its error types, never its texts, become the contract's codes and words.
Only the API imports this: the workers start without pydantic.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
from chalicelib.domain.batch import Job
from chalicelib.domain.submission import Submission
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

WhyNotUrl = Callable[[str], list[str]]


def parse(
    body: object, *, max_jobs: int, callback_required: bool, why_not_url: WhyNotUrl
) -> Submission:
    """The submission that a request's JSON value asks for.

    Raises the error of the first fault, in the order `jobs`, the jobs by index, `callbackUrl`;
    its reasons name all faults, up to 20.
    """
    request = as_object(body)
    jobs, faults = _judge_jobs(request.get("jobs"), max_jobs)
    url = request.get("callbackUrl")
    faults += _judge_url(url, why_not_url, is_required=callback_required)
    _raise_first(faults)
    return Submission(jobs=jobs, callback_url=url)


def as_object(body: object) -> dict[str, Any]:
    """The parameters of a call. `[]` is how some clients write none."""
    if body is None or body == []:
        return {}
    if not isinstance(body, dict):
        raise ParameterInvalid("body", ["must be a JSON object"])
    return body


@dataclass(frozen=True, slots=True)
class _Fault:
    """One thing that is wrong: where, what, and which error it is when it is the first."""

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


def _callable(namespace: str) -> str:
    if namespace.lower() == "batch":  # a signature does not tell the case
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
    #: The params as text, made once.
    _text: str = PrivateAttr()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self._text = strict_json.dump({} if self.params is None else self.params)
        size = len(self._text.encode()) + len(self.namespace) + len(self.action) + _JOB_BRACKETS
        if size > MAX_JOB_BYTES:
            raise PydanticCustomError("too_large", "", {"size": size})
        return self

    def as_job(self, index: int) -> Job:
        return Job(index, self.namespace, self.action, self._text)


_JOB_BRACKETS = len('{"namespace":"","action":"","params":}')

_TEXTS = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "must be 64 characters at most",
    "string_pattern_mismatch": "must be letters, digits and '_', beginning with a letter",
    "string_unicode": "must be letters, digits and '_', beginning with a letter",
    "params_type": "must be an object",
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
    """All of them, or as many as there are faults to be named."""
    good: list[Job] = []
    faults: list[_Fault] = []
    for index, job in enumerate(jobs):
        try:
            good.append(_JobShape.model_validate(job).as_job(index))
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            faults += [_shape_fault(index, detail) for detail in found]
        if len(faults) >= MAX_REASONS:
            break
    return tuple(good), faults


def _shape_fault(index: int, detail: ErrorDetails) -> _Fault:
    is_empty = detail["type"] == "string_too_short"
    error = JobParameterEmpty if is_empty else JobFormatWrong
    text = _TEXTS[detail["type"]].format(**detail.get("ctx", {}))
    path = "".join(f".{step}" for step in detail["loc"])
    return _Fault(f"jobs[{index}]{path}", text, error)


def _judge_url(url: object, why_not_url: WhyNotUrl, *, is_required: bool) -> list[_Fault]:
    if url is None:
        missing = _Fault("callbackUrl", "is required", _missing("callbackUrl"))
        return [missing] if is_required else []
    if not isinstance(url, str):
        return [_Fault("callbackUrl", "must be a string", _invalid("callbackUrl"))]
    return [_Fault("callbackUrl", text, _invalid("callbackUrl")) for text in why_not_url(url)]


def _missing(name: str) -> Callable[[list[str]], CallerError]:
    return lambda reasons: ParameterMissing(name, reasons)


def _invalid(name: str) -> Callable[[list[str]], CallerError]:
    return lambda reasons: ParameterInvalid(name, reasons)


def _raise_first(faults: list[_Fault]) -> None:
    if faults:
        raise faults[0].error([fault.reason for fault in faults[:MAX_REASONS]])
