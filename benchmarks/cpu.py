"""Our own CPU and memory, and how they grow: submit, run_jobs and call_back in a process each,
against a platform and an AWS in other processes that answer at once.

Counted is the CPU of each process, all its threads, from the first of the batches to the last
callback, Python's start and the first batch not included: what Lambda would run of ours, with the
few calls of its runtime in it. Memory is the most that was ever resident.
"""

from collections.abc import Iterator
from typing import Any

from benchmarks import payloads
from benchmarks.functions import API, CALL_BACK, RUN_JOBS
from benchmarks.processes import StubbedService, stub_platform, stubbed_service

#: The function that each of our steps runs in.
STEPS = {"submit": API, "run_jobs": RUN_JOBS, "call_back": CALL_BACK}
#: The batches and jobs of the two that the goals speak of: 10,000 jobs either way.
MANY_SMALL, ONE_LARGE = (50, 200), (1, 10_000)

_QUICK = (MANY_SMALL, ONE_LARGE)
#: How many at once, and of how many jobs each.
_FULL = ((1, 200), (10, 200), MANY_SMALL, (1, 1_000), (1, 2_000), (1, 5_000), ONE_LARGE)
_WARM_UP_JOBS = 100
#: What is measured at least, in jobs: what is less is done again and again.
_JOBS_AT_LEAST = 10_000


def measure(*, full: bool) -> dict[str, Any]:
    """CPU per job and peak memory of each step, for each number of batches and of jobs."""
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
    """The row of so many batches of so many jobs."""
    return next(_rows_of(rows, shape))


def _rows_of(rows: list[dict[str, Any]], shape: tuple[int, int]) -> Iterator[dict[str, Any]]:
    return (row for row in rows if (row["batches_at_once"], row["jobs"]) == shape)
