"""`make soak`: test the promises on real processes, with every kind of trouble at the same time.

    workers       are killed mid-job, at random moments
    platform      fails one call in five, and takes its time
    receiver      refuses the first callback of each batch

Even so, all batches complete, all call back, and the results are right: each job's own answer, in
order, the same bytes in every callback of a round and in `results`. A seed determines which worker
is killed when and which calls fail; the timing of the processes varies.

What a killed worker leaves behind comes back later: a message after LOCAL_VISIBILITY_SECONDS, a
delivery after its lease of 150 s. That is why workers are killed early and batches may take
long."""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from batchback import CallFailed

from batchback_local.live.process import ServiceProcess, is_alive
from batchback_local.live.service import LiveService
from batchback_local.live.waiting import DidNotHappen, tries, until
from chalicelib.domain import wire_time
from tests.samples import without_life

_TICK_SECONDS = 0.2
#: If a callback's next attempt is later than any lease, its near attempts are used up: the receiver
#: was down too long, and its owner must repost it.
_FAR_SECONDS = 180
_HTTP_SECONDS = 30
_ROUND_SECONDS = 0.5
_SUBMITTERS = 4
#: The errorCode of a job whose call never got an answer.
_GAVE_UP = 461


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done to the service."""

    seed: int
    batches: int = 50
    jobs: int = 20
    workers: int = 4
    kills: int = 14
    #: The shortest and the longest pause before a kill.
    pause_seconds: tuple[float, float] = (0.5, 2.0)
    #: How long a killed worker's message stays hidden. Twice this time is longer than all the kills
    #: take: a message that loses three workers is dead, and its batch waits half an hour for a
    #: check.
    visibility_seconds: int = 16
    #: How long a call takes.
    call_ms: int = 1_200
    #: How likely a call is to fail, and how often that happens at most.
    failing: float = 0.2
    failures: int = 1_000_000
    #: After this time the soak has failed.
    patience_seconds: float = 225

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the service."""
        return {
            "LOCAL_VISIBILITY_SECONDS": str(self.visibility_seconds),
            "LOCAL_SWEEP_SECONDS": "3",
        }

    @property
    def options(self) -> list[str]:
        return ["--worker-processes", str(self.workers)]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What happened during the soak."""

    kills: int = 0
    calls: int = 0
    calls_failed: int = 0
    posts: int = 0
    reposted: int = 0
    restarted: int = 0
    faults: list[str] = field(default_factory=list)


def main() -> int:
    """Return the exit status: 0 if every promise was kept."""
    plan = _plan()
    started_at = time.monotonic()
    print(f"soak: seed {plan.seed}, {plan.batches} batches of {plan.jobs} jobs", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="batchback-soak-"))
    tally = _soak(plan, folder)
    for fault in tally.faults:
        print(f"soak: {fault}", file=sys.stderr)
    print(describe(plan, tally, time.monotonic() - started_at))
    if tally.faults:
        print(f"soak: the output of the service is in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def describe(plan: Plan, tally: Tally, seconds: float) -> str:
    """The summary, in one line."""
    verdict = f"{len(tally.faults)} FAULTS" if tally.faults else "all right"
    return (
        f"soak: {plan.batches} batches of {plan.jobs} jobs, {tally.kills} workers killed, "
        f"{tally.calls} calls ({tally.calls_failed} failed), "
        f"{tally.posts} callbacks (the first of each batch refused), "
        f"{tally.reposted} reposted, {tally.restarted} restarted, "
        f"{seconds:.0f} s, seed {plan.seed}: {verdict}"
    )


def _soak(plan: Plan, folder: Path) -> Tally:
    with ServiceProcess(folder, *plan.options, variables=plan.variables) as process:
        tally = Soak(plan, process).run()
        left = [process.pid, *process.where()["workerPids"]]
        status = process.stop()
        if status:
            tally.faults.append(f"the service ended with status {status}")
        tally.faults += [f"process {pid} is left behind" for pid in left if is_alive(pid)]
    return tally


class Soak:
    """A soak of a running service, with the plan's options and variables."""

    def __init__(self, plan: Plan, process: ServiceProcess) -> None:
        self._plan = plan
        self._process = process
        self._chance = random.Random(plan.seed)
        self._tally = Tally()
        where = process.where()
        self._receiver = where["receiver"]
        self._service = LiveService(where, _HTTP_SECONDS)
        #: The batches by their number.
        self._ids: dict[int, str] = {}

    def run(self) -> Tally:
        with self._service:
            try:
                self._live()
            except (DidNotHappen, CallFailed, requests.RequestException) as error:
                self._tally.faults.append(str(error))
        return self._tally

    def _live(self) -> None:
        give_up_at = time.monotonic() + self._plan.patience_seconds
        self._trouble_the_platform()
        with ThreadPoolExecutor(_SUBMITTERS) as submitters:
            submitted = submitters.map(self._submit, range(self._plan.batches))
            self._trouble_the_service()
            self._ids = dict(submitted)
        self._wait_for_all(give_up_at)
        self._service.tell("platform", {})
        self._check_round(1)
        self._restart_what_gave_up(give_up_at)
        self._check_calls()

    def _trouble_the_platform(self) -> None:
        job = {"namespace": "event", "action": "inviteContacts"}
        self._service.tell("platform", {"namespace": "event", "sleepMs": self._plan.call_ms})
        failing = {"status": 503, "times": self._plan.failures, "seed": self._plan.seed}
        self._service.tell("platform", {**job, **failing, "probability": self._plan.failing})

    def _submit(self, number: int) -> tuple[int, str]:
        path = f"/callback/{number}"
        self._service.tell("receiver", {"path": path, "status": 503, "times": 1})
        answer = self._service.client.run(
            [
                {"namespace": "event", "action": "inviteContacts", "params": params}
                for params in self._params(number)
            ],
            f"{self._receiver}{path}",
            f"soak-{self._plan.seed}-{number}",
        )
        return number, answer["asyncId"]

    def _params(self, number: int) -> list[dict[str, Any]]:
        """Different params for every job."""
        return [
            {"event": number, "contacts": [number * 1_000_000 + job]}
            for job in range(self._plan.jobs)
        ]

    def _trouble_the_service(self) -> None:
        """Kill workers once there is work for them."""
        until(lambda: self._service.get("platform", "/calls"), "calling", _HTTP_SECONDS)
        for _ in tries("all kills done", self._plan.patience_seconds, _TICK_SECONDS):
            time.sleep(self._chance.uniform(*self._plan.pause_seconds))
            self._kill_one()
            if self._tally.kills == self._plan.kills:
                return

    def _kill_one(self) -> None:
        """Kill a worker. If the ready file names one that is already dead, it does not count as a
        kill."""
        pid = self._chance.choice(self._process.where()["workerPids"])
        if is_alive(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self._tally.kills += 1

    def _wait_for_all(self, give_up_at: float) -> None:
        """Wait until every batch has ended and called back."""
        waiting = set(self._ids.values())
        with suppress(DidNotHappen):
            for _ in tries("called back", give_up_at - time.monotonic(), _ROUND_SECONDS):
                waiting = {id for id in waiting if not self._has_called_back(id)}
                if not waiting:
                    return
        self._tally.faults += [
            f"batch {id} is not called back: {json.dumps(self._service.client.progress(id))}"
            for id in waiting
        ]

    def _has_called_back(self, id: str) -> bool:
        progress = self._service.client.progress(id)
        callback = progress["callback"]
        if progress["status"] == "completed" and callback["status"] == "failed":
            raise DidNotHappen(f"batch {id}: its callback failed: {callback['lastError']}")
        if progress["status"] == "completed" and _is_far(callback["nextAttemptAt"]):
            self._service.client.repost(id)
            self._tally.reposted += 1
        return progress["status"] == "completed" and callback["status"] == "delivered"

    def _check_round(self, round: int, *, all_right: bool = False) -> None:
        """Check the results and the callbacks of a round, in all batches that had it."""
        posts = self._posts()
        self._tally.posts = sum(map(len, posts.values()))
        for number, id in self._ids.items():
            of_round = posts[f"{id}-{round}"]
            if round > 1 and not of_round:
                continue
            results = self._service.results(id).content
            self._tally.faults += [
                f"batch {number} ({id}), round {round}: {fault}"
                for fault in [
                    *_wrong_posts(of_round, results, at_least=2 if round == 1 else 1),
                    *_wrong_results(self._params(number), results, all_right=all_right),
                ]
            ]

    def _restart_what_gave_up(self, give_up_at: float) -> None:
        """Restart the batches with failed jobs. A job that failed five times, or whose worker was
        killed three times, has its failure recorded; after a restart, with a working platform, it
        has its answer."""
        unlucky = [
            id for id in self._ids.values() if _holds_gave_up(self._service.results(id).content)
        ]
        for id in unlucky:
            self._service.client.restart(id)
        self._tally.restarted = len(unlucky)
        self._wait_for_all(give_up_at)
        self._check_round(2, all_right=True)

    def _check_calls(self) -> None:
        calls = self._service.get("platform", "/calls")
        self._tally.calls = len(calls)
        self._tally.calls_failed = sum(call["status"] == 503 for call in calls)
        made = {without_life(call["idempotencyKey"]) for call in calls}
        wanted = {f"{id}-{job}" for id in self._ids.values() for job in range(self._plan.jobs)}
        if not wanted <= made:
            self._tally.faults.append(f"{len(wanted - made)} jobs were never called")

    def _posts(self) -> dict[str, list[dict[str, Any]]]:
        """The posts that the receiver got, by their webhook-id."""
        posts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for post in self._service.get("receiver", "/received"):
            posts[without_life(post["headers"]["webhook-id"])].append(post)
        return posts


def _wrong_posts(posts: list[dict[str, Any]], results: bytes, *, at_least: int) -> Iterator[str]:
    if len(posts) < at_least:
        yield f"{len(posts)} callbacks came, not {at_least}"
    if not all(post["verified"] for post in posts):
        yield "a callback's signature does not verify"
    if any(post["raw"].encode() != results for post in posts):
        yield "a callback differs from results"


def _wrong_results(params: list[dict[str, Any]], body: bytes, *, all_right: bool) -> Iterator[str]:
    """Describe the wrong results. Each job must have its own answer, in order, or the failure of a
    job that was given up."""
    results = json.loads(body).get("results", [])
    if [result["request"] for result in results] != params:
        yield f"the results are not those of its jobs: {body[:200]!r}"
        return
    for index, result in enumerate(results):
        response = result["response"]
        contacts = [invited["contact"] for invited in response.get("results", [])]
        unanswered = response.get("errorCode") == _GAVE_UP and not all_right
        if contacts != result["request"]["contacts"] and not unanswered:
            yield f"job {index} has the answer {json.dumps(response)[:200]}"


def _holds_gave_up(body: bytes) -> bool:
    results = json.loads(body).get("results", [])
    return any(result["response"].get("errorCode") == _GAVE_UP for result in results)


def _is_far(next_attempt_at: str | None) -> bool:
    if next_attempt_at is None:
        return False
    moment = wire_time.parse(next_attempt_at)
    return (moment - datetime.now(UTC)).total_seconds() > _FAR_SECONDS


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m tests.trials.soak")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    for name in ("batches", "jobs", "workers", "kills"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Plan(seed=0), name))
    return Plan(**vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
