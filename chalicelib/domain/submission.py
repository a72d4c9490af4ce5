"""A batch as a caller submits it, and what a stage allows it. How one is read from a request's JSON
is in `run_request`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from chalicelib.domain.batch import CallbackResults, Job
from chalicelib.domain.trace import TraceContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A batch as asked for: every limit kept."""

    jobs: tuple[Job, ...]
    callback_url: str | None
    callback_results: CallbackResults = CallbackResults.ALL
    #: They hold secrets: never shown, never logged.
    callback_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    label: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: None: as long as the stage says.
    deadline: timedelta | None = None
    max_failed: int | None = None
    trace: TraceContext | None = None


#: The reasons why something is not done with a URL; none: it is.
WhyNotUrl = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a stage allows a submission."""

    max_jobs: int
    max_deadline: timedelta
    callback_required: bool
    #: Why it is not called.
    why_not_url: WhyNotUrl
    #: Why it is called, but sent no secrets.
    why_no_secrets: WhyNotUrl
