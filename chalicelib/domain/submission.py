"""A batch as a caller submits it. How one is read from a request's JSON is in `run_request`."""

from dataclasses import dataclass

from chalicelib.domain.batch import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A batch as asked for: every limit kept."""

    jobs: tuple[Job, ...]
    callback_url: str | None
