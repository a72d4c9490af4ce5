"""Measure what each function needs for the largest possible batch, and compare it with its limits.

The batch has 10,000 jobs in a request of almost the maximum size: with short answers, with answers
that make the largest callback, and with answers that fit no callback and are only readable as
pages. Sizes are those of Lambda events: JSON in JSON. Times are those of the longest invocation,
its CPU time stretched to the function's memory as in `cost`, if platform, receiver and AWS answer
immediately. Memory is the peak resident size.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import payloads
from benchmarks.cost import FULL_CORE_MB
from benchmarks.functions import API, FUNCTIONS, gateway_event, given
from benchmarks.payloads import Sizes
from benchmarks.processes import StubbedService, stub_platform, stubbed_service

JOBS = 10_000
#: 10,000 of these make a request of 3.46 MB; the limit is 3.5 MB.
_JOB_BYTES = 345
#: 10,000 of these make a callback of 49.7 MB; the limit is 50 MB.
_HEAVY_BYTES = 4_600

_QUICK = (_HEAVY_BYTES,)
_FULL = (500, _HEAVY_BYTES, 50_000)


def measure(*, full: bool) -> list[dict[str, Any]]:
    return [_row(Sizes(job=_JOB_BYTES, answer=size)) for size in (_FULL if full else _QUICK)]


def heaviest_callback(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the row of the largest callback that is sent."""
    return next(row for row in rows if row["answer_bytes"] == _HEAVY_BYTES)


def _row(sizes: Sizes) -> dict[str, Any]:
    with stub_platform() as platform:
        platform.behave(latency_ms=0, answer_bytes=sizes.answer)
        with stubbed_service(platform) as service:
            jobs = payloads.jobs(JOBS, sizes)
            id = service.submit(jobs)
            usage = service.usage()
            callback = json.loads(service.ask("progress", {"async": id})["body"])["callback"]
            pages = _pages(service, id)
            reading = service.usage()[API]
    return {
        "jobs": JOBS,
        "job_bytes": sizes.job,
        "answer_bytes": sizes.answer,
        "request_event_bytes": len(json.dumps(gateway_event("run", {"jobs": jobs}))),
        "callback": callback["status"],
        "callback_error": callback["lastError"],
        "pages": len(pages),
        "page_event_bytes": max(pages),
        "page_seconds": _seconds(API, reading),
        "peak_bytes": {
            function: max(usage[function]["peak_bytes"], _peak(function, reading))
            for function in FUNCTIONS
        },
        "seconds": {function: _seconds(function, usage[function]) for function in FUNCTIONS},
    }


def _pages(service: StubbedService, id: str) -> list[int]:
    """Return the sizes of all pages of the results."""
    sizes: list[int] = []
    start: int | None = 0
    while start is not None:
        answer = service.ask("results", {"async": id, "start": start})
        sizes.append(len(json.dumps(answer)))
        start = json.loads(answer["body"])["meta"]["next"]
    return sizes


def _peak(function: str, reading: Mapping[str, Any]) -> int:
    return int(reading["peak_bytes"]) if function == API else 0


def _seconds(function: str, usage: Mapping[str, Any]) -> float:
    """Return the longest of a function's invocations."""
    slower = FULL_CORE_MB / given(function).memory_mb - 1
    longest: float = max(wall + cpu * slower for wall, cpu in usage["invocations"][function])
    return longest / 1000
