"""Types for the JSON of the API: what the client sends and the service answers."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

#: Which jobs to return the results of.
Only = Literal["failed", "succeeded"]
#: Which results to include in the callback.
CallbackResults = Literal["all", "failed", "none"]


class Job(TypedDict):
    """One call to the platform."""

    namespace: str
    action: str
    params: NotRequired[Mapping[str, Any]]
    #: Your own name for the job, which its result repeats.
    id: NotRequired[str]


class RunOptions(TypedDict, total=False):
    """How to run a batch: the keyword arguments of `Client.run`."""

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
    #: How many of the failed jobs a restart would rerun.
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


#: In the functional form of TypedDict, because `for` is a Python keyword.
Waiting = TypedDict("Waiting", {"for": str, "until": str})


class Progress(TypedDict):
    """The percentage, which every such service returns, and the fields that Batchback adds."""

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
    #: What the jobs are waiting for outside the service; missing if they are not waiting.
    waiting: NotRequired[Waiting]


class Meta(TypedDict):
    totalResults: int
    start: int
    perPage: int
    count: int
    #: The `start` of the next page, or None after the last. Some services do not return it.
    next: NotRequired[int | None]


class Result(TypedDict):
    namespace: str
    action: str
    request: Any
    response: Any
    #: Your own name for the job, if you gave it one.
    id: NotRequired[str]
    #: The position of the job in the batch, if you asked for details or the results so far.
    index: NotRequired[int]
    #: These four are present if you asked for details.
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
    #: The `start` of the next page, or None after the last. Some services do not return it.
    next: NotRequired[str | None]


class Batches(TypedDict):
    results: list[Listed]
    meta: ListMeta


class Pong(TypedDict):
    ack: str
    #: Services that return none know no optional parameters of `run`.
    version: NotRequired[str]
