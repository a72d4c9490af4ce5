"""A batch as a caller submits it, and what a stage allows it. `run_request` parses one from
JSON."""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import timedelta

from chalicelib.domain.batch import CallbackResults, Job
from chalicelib.domain.dataclass import dataclass
from chalicelib.domain.trace import TraceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A submitted batch that is within all limits."""

    jobs: tuple[Job, ...]
    callback_url: str | None
    callback_results: CallbackResults = CallbackResults.ALL
    #: They contain secrets and are never shown or logged.
    callback_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    label: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: None for the stage's setting.
    deadline: timedelta | None = None
    max_failed: int | None = None
    trace: TraceContext | None = None


#: Returns the reasons why a URL may not be used; none if it may.
WhyNotUrl = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a stage allows in a submission."""

    max_jobs: int
    max_deadline: timedelta
    callback_required: bool
    #: Why it may not be called.
    why_not_url: WhyNotUrl
    #: Why it may be called, but not sent secrets.
    why_no_secrets: WhyNotUrl
