"""`make large`: run batches of ten thousand jobs through the whole service, in separate processes.

    many       each job has its own answer: one callback, in order, the same bytes as its pages
    heavy      answers so long that the callback is as large as allowed
    cancelled  cancelled while it runs, then restarted: in the end all jobs have their answers

How long each batch takes says little, because the embedded AWS is a single process. The peak memory
of a worker says more; Linux reports it."""

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from batchback import CallFailed, Job

from batchback_local.demonstration.receiver import verifies
from batchback_local.http_server import Answer, HttpServer, Request
from batchback_local.live.memory import peak_bytes
from batchback_local.live.process import ServiceProcess
from batchback_local.live.service import LiveService
from batchback_local.live.waiting import DidNotHappen, until
from chalicelib.domain.results import MAX_CALLBACK_BYTES
from tests.samples import without_life

JOBS = 10_000
#: The size of a job as JSON: ten thousand of this size fit into a request of 3.5 MB.
JOB_BYTES = 340
#: The settings of the service that runs them.
OPTIONS = ("--worker-processes", "2")
VARIABLES = {"MAX_JOBS_PER_BATCH": f"{JOBS}"}

#: The longest that one batch may take; it usually takes a minute.
_PATIENCE_SECONDS = 900
_HTTP_SECONDS = 60
_MEGABYTE = 1_000_000
#: How long calls take, so that a cancel finds most jobs unfinished.
_SLOW_MS = 800
#: The bytes of a callback besides its results, and of a result besides its answer.
_BRACKETS = len('{"asyncId":"","results":[]}') + 32
_RESULT_BYTES = JOB_BYTES + len('"request":') - len('"params":') + len(',"response":') + len(",")
_CANCELLED = {"errorCode": 461, "message": "Cancelled"}

#: Whether a response is right for the job with this number.
IsRight = Callable[[int, Any], bool]


@dataclass(slots=True, kw_only=True)
class Story:
    """The outcome of one batch."""

    name: str
    accepted_seconds: float = 0
    seconds: float = 0
    callback_bytes: int = 0
    page_bytes: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.name}: accepted in {self.accepted_seconds:.1f} s, "
            f"ended after {self.seconds:.0f} s, "
            f"a callback of {self.callback_bytes / _MEGABYTE:.1f} MB, "
            f"{len(self.page_bytes)} pages of "
            f"{max(self.page_bytes, default=0) / _MEGABYTE:.1f} MB at most: "
            f"{'; '.join(self.faults) or 'all right'}"
        )


@dataclass(frozen=True, slots=True)
class Callback:
    """What is kept of a callback, without its body."""

    size_bytes: int
    digest: bytes
    is_verified: bool


class Inbox:
    """Takes callbacks, by the part of their `webhook-id` that callers can know."""

    def __init__(self, callback_secret: str) -> None:
        self.callbacks: dict[str, Callback] = {}
        self._secret = callback_secret

    def answer(self, request: Request) -> Answer:
        digest = hashlib.sha256(request.body).digest()
        callback = Callback(len(request.body), digest, verifies(request, self._secret))
        self.callbacks[without_life(request.headers["webhook-id"])] = callback
        return Answer()


class Large:
    """The three batches, on a running service."""

    def __init__(
        self,
        service: ServiceProcess,
        *,
        jobs: int = JOBS,
        callback_bytes: int = MAX_CALLBACK_BYTES,
    ) -> None:
        where = service.where()
        self._worker_pids = where["workerPids"]
        self._service = LiveService(where, _HTTP_SECONDS)
        self._jobs = [_job(number) for number in range(jobs)]
        self._callback_bytes = callback_bytes
        self._inbox = Inbox(where["callbackSecret"])

    def stories(self) -> Iterator[Story]:
        """Yield each outcome when its batch has ended."""
        with self._service, HttpServer(self._inbox.answer, name="inbox") as inbox:
            for tell in (self._many, self._heavy, self._cancelled):
                story = Story(name=tell.__name__.strip("_"))
                try:
                    tell(story, inbox.address)
                except (DidNotHappen, CallFailed, requests.RequestException) as error:
                    story.faults.append(str(error))
                yield story

    def worker_peak_bytes(self) -> int:
        """The peak memory of all worker processes; 0 if the system does not report it."""
        return max(map(peak_bytes, self._worker_pids), default=0)

    def _many(self, story: Story, callback_url: str) -> None:
        self._service.tell("platform", {})
        id = self._submit(story, callback_url)
        self._wait_for_callback(story, id)
        self._check(story, id, _is_answer)

    def _heavy(self, story: Story, callback_url: str) -> None:
        each = (self._callback_bytes - _BRACKETS) // len(self._jobs) - _RESULT_BYTES
        self._service.tell("platform", {"namespace": "event", "bytes": each})
        id = self._submit(story, callback_url)
        self._wait_for_callback(story, id)
        self._check(story, id, lambda _, response: len(_dump(response)) == each)
        if not 0.95 * self._callback_bytes < story.callback_bytes <= self._callback_bytes:
            story.faults.append("the callback is not as large as intended")

    def _cancelled(self, story: Story, callback_url: str) -> None:
        self._service.tell("platform", {"namespace": "event", "sleepMs": _SLOW_MS})
        id = self._submit(story, callback_url)
        self._until(lambda: self._service.is_calling(id), "calling the platform")
        self._service.client.cancel(id)
        self._wait_for_callback(story, id)
        self._check(story, id, lambda n, found: found == _CANCELLED or _is_answer(n, found))
        if self._service.client.progress(id)["status"] != "cancelled":
            story.faults.append("it did not end by being cancelled")
        self._service.tell("platform", {})
        self._service.client.restart(id)
        self._wait_for_callback(story, id, round=2)
        self._check(story, id, _is_answer, round=2)

    def _submit(self, story: Story, callback_url: str) -> str:
        began_at = time.monotonic()
        id = self._service.client.run(self._jobs, callback_url)["asyncId"]
        story.accepted_seconds = time.monotonic() - began_at
        return id

    def _wait_for_callback(self, story: Story, id: str, *, round: int = 1) -> None:
        began_at = time.monotonic()
        self._until(lambda: self._has_called_back(id, round), "called back")
        story.seconds += time.monotonic() - began_at

    def _has_called_back(self, id: str, round: int) -> bool:
        callback = self._service.client.progress(id)["callback"]
        if callback["status"] == "failed":
            raise DidNotHappen(f"its callback failed: {callback['lastError']}")
        return callback["status"] == "delivered" and f"{id}-{round}" in self._inbox.callbacks

    def _until(self, holds: Callable[[], object], what: str) -> None:
        until(holds, what, _PATIENCE_SECONDS)

    def _check(self, story: Story, id: str, is_right: IsRight, *, round: int = 1) -> None:
        """Check that the callback and the pages of results are the same."""
        callback = self._inbox.callbacks[f"{id}-{round}"]
        story.callback_bytes = callback.size_bytes
        story.page_bytes.clear()
        begin = f'{{"asyncId":"{id}","results":['.encode()
        whole = hashlib.sha256(begin)
        number = 0
        while number < len(self._jobs):
            page = self._page(id, number)
            story.page_bytes.append(len(page))
            whole.update(b"," * bool(number) + page[len(begin) : page.rindex(b'],"meta":')])
            results = json.loads(page)["results"]
            story.faults += self._faults(results, number, is_right)
            number += len(results) or len(self._jobs)
        whole.update(b"]}")
        if not callback.is_verified or callback.digest != whole.digest():
            story.faults.append("the callback is not signed, or differs from results")

    def _faults(self, results: list[Any], first: int, is_right: IsRight) -> Iterator[str]:
        """Describe the first wrong result."""
        for number, result in enumerate(results, first):
            job = {name: result[name] for name in ("namespace", "action")}
            if job | {"params": result["request"]} != self._jobs[number]:
                yield f"result {number} is not that of its job"
            elif not is_right(number, result["response"]):
                yield f"job {number} has the answer {_dump(result['response'])[:100]}"
            else:
                continue
            return

    def _page(self, id: str, start: int) -> bytes:
        answer = self._service.results(id, start=start)
        answer.raise_for_status()
        return answer.content


def main() -> int:
    """Return the exit status: 0 if every batch went as expected."""
    faults = 0
    with (
        tempfile.TemporaryDirectory(prefix="batchback-large-") as folder,
        ServiceProcess(Path(folder), *OPTIONS, variables=VARIABLES) as service,
    ):
        large = Large(service)
        for story in large.stories():
            print(f"large: {JOBS} jobs, {story}", flush=True)
            faults += len(story.faults)
        held = large.worker_peak_bytes() / _MEGABYTE
        print(f"large: a worker held {held:.0f} MB at most, {faults} faults")
        if faults:
            print(service.said(), file=sys.stderr)
    return 1 if faults else 0


def _job(number: int) -> Job:
    """A job of JOB_BYTES; no two are alike."""
    params: dict[str, Any] = {"event": 1, "contacts": [number], "note": ""}
    job: Job = {"namespace": "event", "action": "inviteContacts", "params": params}
    noise = hashlib.shake_256(b"%d" % number).hexdigest(JOB_BYTES)
    params["note"] = noise[: JOB_BYTES - len(_dump(job))]
    return job


def _is_answer(number: int, response: Any) -> bool:
    """Whether the response is the demonstration platform's answer to this job."""
    return [each["contact"] for each in response.get("results", [])] == [number]


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    sys.exit(main())
