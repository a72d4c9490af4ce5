"""Compare the CPU of Batchback and queue libraries: same jobs, same stub platform, same run.

Each runs the same batch with the same number of concurrent calls, collects all answers in order,
and POSTs them once. The CPU is that of the worker processes from the moment a batch is submitted
until its callback arrives, without Redis, the stub platform and the submitter. A first batch warms
each of them up. peers/*/peer.py explains each configuration.
"""

import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import psutil

from batchback_local.live.waiting import until
from benchmarks import environments, payloads
from benchmarks.environments import PEERS, NotMade
from benchmarks.functions import API, CALL_BACK, RUN_JOBS
from benchmarks.processes import (
    StubPlatform,
    child,
    read_line,
    stub_platform,
    stubbed_service,
    write_line,
)

_WARM_UP_JOBS = 100
#: Concurrent calls, by the platform's latency. If the platform answers immediately, more calls only
#: contend for the interpreter, which doubles the CPU of threads.
_AT_ONCE = {0: 8, 20: 25}
_PATIENCE_SECONDS = 10

#: Batchback sends jobs unsigned as the others do, and signed as it does by default.
OURS, OURS_SIGNING = "batchback", "batchback, signing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A queue library, or a script that needs none."""

    name: str
    #: Its folder under peers/.
    folder: str
    #: The worker's command in its environment; if empty, the submitting process does the work.
    worker: tuple[str, ...] = ()
    submitter: tuple[str, ...] = ("python", "peer.py", "submit")

    @property
    def is_floor(self) -> bool:
        return not self.worker


FIELD = (
    Peer(
        name="celery",
        folder="celery",
        worker=(
            *("celery", "-A", "peer", "worker", "-P", "threads", "-c", "{at_once}"),
            *("-l", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        ),
    ),
    Peer(
        name="dramatiq",
        folder="dramatiq",
        worker=("dramatiq", "peer", "--processes", "1", "--threads", "{at_once}"),
    ),
    Peer(
        name="dramatiq, hash",
        folder="dramatiq",
        worker=("dramatiq", "hashed", "--processes", "1", "--threads", "{at_once}"),
        submitter=("python", "hashed.py", "submit"),
    ),
    Peer(
        name="taskiq",
        folder="taskiq",
        worker=(
            *("taskiq", "worker", "peer:broker", "--workers", "1", "--log-level", "ERROR"),
            *("--max-async-tasks", "{at_once}", "--max-prefetch", "{at_once}"),
        ),
    ),
    Peer(name="arq", folder="arq", worker=("python", "peer.py", "work")),
    Peer(name="rq", folder="rq", worker=("python", "peer.py", "work")),
    Peer(name="threads", folder="threads"),
    Peer(name="asyncio", folder="asyncio"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One batch of one contestant."""

    wall_seconds: float
    cpu_ms: float
    submit_cpu_ms: float
    memory_bytes: int


#: Runs a file of jobs and returns what it took.
Contestant = Callable[[Path, int], Run]


def measure(*, jobs: int, latencies_ms: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """Return the median of the repeats for each contestant, ours included, and each latency of the
    platform."""
    found: dict[str, Any] = {"jobs": jobs, "by_latency": {}, "skipped": {}}
    with stub_platform() as platform:
        for latency in latencies_ms:
            platform.behave(latency_ms=latency, answer_bytes=payloads.PEERS.answer)
            everybody = _everybody(platform, _AT_ONCE[latency], found["skipped"])
            found["by_latency"][str(latency)] = {
                name: _summary(contestant, jobs, repeats) | {"at_once": _AT_ONCE[latency]}
                for name, contestant in everybody
            }
    return found


def _everybody(
    platform: StubPlatform, at_once: int, skipped: dict[str, str]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Return every contestant that this machine can run, ready to start."""
    yield OURS, partial(_ours, platform, at_once, PLATFORM_AUTH="none")
    yield OURS_SIGNING, partial(_ours, platform, at_once)
    with ExitStack() as stack:
        redis = _redis(stack)
        for peer in FIELD:
            if not peer.is_floor and redis is None:
                skipped[peer.name] = "redis-server is not installed"
                continue
            try:
                binaries = environments.binaries(peer.folder)
            except NotMade as reason:
                skipped[peer.name] = f"could not make its environment: {reason}"
                continue
            yield peer.name, partial(_theirs, peer, binaries, platform, at_once, redis or "")


def _summary(contestant: Callable[[], Any], jobs: int, repeats: int) -> dict[str, float]:
    with contestant() as run:
        run(_jobs_file(_WARM_UP_JOBS), _WARM_UP_JOBS)
        runs: list[Run] = [run(_jobs_file(jobs), jobs) for _ in range(repeats)]
    return {
        "cpu_ms_per_job": statistics.median(run.cpu_ms for run in runs) / jobs,
        "submit_cpu_ms_per_job": statistics.median(run.submit_cpu_ms for run in runs) / jobs,
        "jobs_per_second": jobs / statistics.median(run.wall_seconds for run in runs),
        "wall_seconds": statistics.median(run.wall_seconds for run in runs),
        "memory_bytes": max(run.memory_bytes for run in runs),
    }


def _jobs_file(total: int) -> Path:
    file = environments.build_folder() / f"jobs-{total}.json"
    file.write_text(json.dumps(payloads.jobs(total, payloads.PEERS)))
    return file


@contextmanager
def _ours(platform: StubPlatform, at_once: int, **settings: str) -> Iterator[Contestant]:
    """Batchback: one worker process for run_jobs and one for call_back."""
    with stubbed_service(platform, JOBS_SIDE_BY_SIDE=str(at_once), **settings) as service:
        workers = [service.workers[name].process.pid for name in (RUN_JOBS, CALL_BACK)]
        processes = [psutil.Process(pid) for pid in workers]

        def run(file: Path, jobs: int) -> Run:
            service.usage()
            before, started_at = _cpu_ms(processes), time.perf_counter()
            service.submit(json.loads(file.read_text("utf-8")))
            platform.next_callback(jobs)
            wall_seconds = time.perf_counter() - started_at
            submitting = service.usage()[API]
            return Run(
                wall_seconds=wall_seconds,
                cpu_ms=_cpu_ms(processes) - before,
                submit_cpu_ms=submitting["cpu_ms"],
                memory_bytes=_memory_bytes(processes),
            )

        yield run


@contextmanager
def _theirs(
    peer: Peer, binaries: Path, platform: StubPlatform, at_once: int, redis: str
) -> Iterator[Contestant]:
    environment = {
        "BENCH_REDIS": redis,
        "BENCH_PLATFORM": platform.address,
        "BENCH_AT_ONCE": str(at_once),
        "PYTHONPATH": str(PEERS),
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }
    with ExitStack() as stack:
        log = stack.enter_context(_log(peer.name))
        start = partial(child, environment=environment, folder=PEERS / peer.folder, log=log)
        submitter = stack.enter_context(start(_command(binaries, peer.submitter, at_once)))
        read_line(submitter)
        worker = submitter
        if peer.worker:
            worker = stack.enter_context(start(_command(binaries, peer.worker, at_once)))

        def run(file: Path, jobs: int) -> Run:
            processes = _family(worker.pid)
            before, started_at = _cpu_ms(processes), time.perf_counter()
            write_line(submitter, str(file))
            platform.next_callback(jobs)
            wall_seconds = time.perf_counter() - started_at
            submitted = json.loads(read_line(submitter))
            _wait_until_still(processes)
            return Run(
                wall_seconds=wall_seconds,
                cpu_ms=_cpu_ms(processes) - before,
                submit_cpu_ms=0 if peer.is_floor else submitted["cpu_ms"],
                memory_bytes=_memory_bytes(_family(worker.pid)),
            )

        yield run


def _command(binaries: Path, words: tuple[str, ...], at_once: int) -> list[str]:
    return [str(binaries / words[0]), *(word.format(at_once=at_once) for word in words[1:])]


def _log(name: str) -> TextIO:
    """The log file of a worker, for finding out why something does not work."""
    return (environments.build_folder() / f"{name}.log").open("w")


def _redis(stack: ExitStack) -> str | None:
    """Start a Redis for this run, in memory only, on a private socket; None if there is no
    redis-server."""
    binary = shutil.which("redis-server")
    if binary is None:
        return None
    folder = stack.enter_context(TemporaryDirectory(prefix="bench-"))
    socket = Path(folder) / "redis.sock"
    command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", ""]
    command += ["--dir", folder, "--loglevel", "warning"]
    stack.enter_context(child(command, log=stack.enter_context(_log("redis"))))
    until(socket.exists, "up: redis-server", _PATIENCE_SECONDS)
    return f"unix://{socket}"


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_ms(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times) * 1000


def _memory_bytes(processes: list[psutil.Process]) -> int:
    """Return the resident memory; pages that several processes share count once for each."""
    return sum(process.memory_info().rss for process in processes)


def _wait_until_still(processes: list[psutil.Process]) -> None:
    """Wait until the workers have finished what comes after the callback."""
    give_up_at = time.monotonic() + 1
    before = -1.0
    while (now := _cpu_ms(processes)) - before > 20 and time.monotonic() < give_up_at:
        before = now
        time.sleep(0.1)
