"""A batch as a caller submits it. How one is read from a request's JSON is in `run_request`."""

from collections.abc import Mapping
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
