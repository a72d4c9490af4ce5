"""The JSON of the API, typed: what the client sends and what the service answers."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

#: Of which jobs to give the results.
Only = Literal["failed", "succeeded"]
#: Which results the callback carries.
CallbackResults = Literal["all", "failed", "none"]


class Job(TypedDict):
    """One call for the platform."""

    namespace: str
    action: str
    params: NotRequired[Mapping[str, Any]]
    #: Your own name for it, which its result gives back.
    id: NotRequired[str]


class RunOptions(TypedDict, total=False):
    """How to run a batch, as `Client.run` has it."""

    label: str | None
    metadata: Mapping[str, str] | None
    callback_results: CallbackResults | None
    callback_headers: Mapping[str, str] | None
    deadline_minutes: int | None
    max_failed: int | None
    traceparent: str | None


class Submitted(TypedDict):
    asyncId: str


class JobCounts(TypedDict):
    total: int
    succeeded: int
    failed: int
    waiting: int
    #: Those of the failed that a restart runs again.
    unanswered: NotRequired[int]


class CallbackAttempt(TypedDict):
    at: str
    status: int | None
    error: str | None
    tookMs: int | None


class Callback(TypedDict):
    status: str
    attempts: int
    lastStatus: int | None
    lastError: str | None
    nextAttemptAt: str | None
    history: list[CallbackAttempt]


#: By TypedDict's other form, because `for` is a word of Python's.
Waiting = TypedDict("Waiting", {"for": str, "until": str})


class Progress(TypedDict):
    """The percentage, which every service of this API gives, and what only Batchback adds."""

    progress: int
    status: NotRequired[str]
    jobs: NotRequired[JobCounts]
    createdAt: NotRequired[str]
    completedAt: NotRequired[str | None]
    callback: NotRequired[Callback]
    deadlineAt: NotRequired[str]
    expiresAt: NotRequired[str]
    label: NotRequired[str | None]
    metadata: NotRequired[dict[str, str] | None]
    #: What jobs wait for outside of the service; missing if they do not.
    waiting: NotRequired[Waiting]


class Meta(TypedDict):
    totalResults: int
    start: int
    perPage: int
    count: int
    #: The `start` of the following page, None after the last; not every service says it.
    next: NotRequired[int | None]


class Result(TypedDict):
    namespace: str
    action: str
    request: Any
    response: Any
    #: The caller's own name for the job, if it was given one.
    id: NotRequired[str]
    #: The place of the job in the batch, if details or the results so far were asked for.
    index: NotRequired[int]
    #: These four if details were asked for.
    outcome: NotRequired[str]
    httpStatus: NotRequired[int | None]
    attempts: NotRequired[int | None]
    tookMs: NotRequired[int | None]


class Results(TypedDict):
    asyncId: str
    results: list[Result]
    meta: NotRequired[Meta]


class Restarted(TypedDict):
    restarted: bool


class Reposted(TypedDict):
    reposted: bool


class Cancelled(TypedDict):
    cancelled: bool


class CallbackStatus(TypedDict):
    status: str


class Listed(TypedDict):
    asyncId: str
    status: str
    progress: int
    createdAt: str
    jobs: NotRequired[JobCounts]
    callback: NotRequired[CallbackStatus]
    label: NotRequired[str | None]


class ListMeta(TypedDict):
    #: Missing if there are more than the service counts.
    totalResults: NotRequired[int]
    start: int
    perPage: int
    count: int
    #: The `start` of the following page, None after the last; not every service says it.
    next: NotRequired[str | None]


class Batches(TypedDict):
    results: list[Listed]
    meta: ListMeta


class Pong(TypedDict):
    ack: str
    #: Services that say none know no optional parameter of `run`.
    version: NotRequired[str]
