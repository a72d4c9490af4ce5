"""Measure our own CPU and memory, and how they grow with the batch.

Each of submit, run_jobs and call_back has a process; the platform and AWS are in other processes
and answer immediately. The CPU is that of each process with all its threads, from the first batch
to the last callback, without Python's start and a warm-up batch: what Lambda would run of our code,
with the few calls of its runtime. Memory is the peak resident size.
"""

from collections.abc import Iterator
from typing import Any

from benchmarks import payloads
from benchmarks.functions import API, CALL_BACK, RUN_JOBS
from benchmarks.processes import StubbedService, stub_platform, stubbed_service

#: The function that runs each step.
STEPS = {"submit": API, "run_jobs": RUN_JOBS, "call_back": CALL_BACK}
#: The batches and jobs that the goals compare: 10,000 jobs either way.
MANY_SMALL, ONE_LARGE = (50, 200), (1, 10_000)

_QUICK = (MANY_SMALL, ONE_LARGE)
#: Concurrent batches, and jobs in each.
_FULL = ((1, 200), (10, 200), MANY_SMALL, (1, 1_000), (1, 2_000), (1, 5_000), ONE_LARGE)
_WARM_UP_JOBS = 100
#: The least number of jobs to measure: smaller runs are repeated.
_JOBS_AT_LEAST = 10_000


def measure(*, full: bool) -> dict[str, Any]:
    """Measure each step's CPU per job and peak memory, for each number of batches and jobs."""
    with stub_platform() as platform:
        platform.behave(latency_ms=0, answer_bytes=payloads.HEADLINE.answer)
        rows = []
        for batches, jobs in _FULL if full else _QUICK:
            with stubbed_service(platform) as service:
                rows.append(_row(service, batches, jobs))
    return {"rows": rows}


def _row(service: StubbedService, batches: int, jobs: int) -> dict[str, Any]:
    _run(service, 1, _WARM_UP_JOBS)
    at_first = service.usage()
    rounds = -(-_JOBS_AT_LEAST // (batches * jobs))
    for _ in range(rounds):
        _run(service, batches, jobs)
    usage = service.usage()
    total = rounds * batches * jobs
    return {
        "batches_at_once": batches,
        "jobs": jobs,
        "jobs_in_all": total,
        "cpu_ms_per_job": {
            step: usage[function]["cpu_ms"] / total for step, function in STEPS.items()
        },
        "peak_bytes": {step: usage[function]["peak_bytes"] for step, function in STEPS.items()},
        "peak_bytes_at_first": {
            step: at_first[function]["peak_bytes"] for step, function in STEPS.items()
        },
    }


def _run(service: StubbedService, batches: int, jobs: int) -> None:
    for seed in range(batches):
        service.submit(payloads.jobs(jobs, payloads.HEADLINE, seed))
    for _ in range(batches):
        service.platform.next_callback(jobs)


def row_of(rows: list[dict[str, Any]], shape: tuple[int, int]) -> dict[str, Any]:
    """Return the row for a number of batches and jobs."""
    return next(_rows_of(rows, shape))


def _rows_of(rows: list[dict[str, Any]], shape: tuple[int, int]) -> Iterator[dict[str, Any]]:
    return (row for row in rows if (row["batches_at_once"], row["jobs"]) == shape)
