"""Measure how a worker's settings change the cost of a job and the time of a batch. The defaults in
docs/settings.md were chosen from these figures.

The batch has 1,000 jobs, so that the settings decide how it is divided into messages. Requests and
units are counted as in `counts`; durations (of batches of four messages) and dollars are modeled as
in `cost`. The time of a batch is that of its workers, which run in waves of ten; nothing waits for
SQS, and no container is cold. Memory changes a function's share of a core and its price.
"""

from typing import Any

from benchmarks import cost, counts, payloads
from benchmarks.functions import RUN_JOBS
from benchmarks.in_process import service_on_moto
from chalicelib.domain.batch import CHUNKS_WHILE_FEW

JOBS = 1_000
#: The default of MAX_CONCURRENT_WORKERS.
_WORKERS = 10
#: Jobs per message, concurrent jobs.
_MESSAGES = ((10, 10), (25, 25), (50, 25), (50, 50), (100, 25), (100, 100))
_LATENCIES_MS = (20, 100, 1_000)
_MEMORY_MB = (256, 512, 1_024)
_FLUSH_SECONDS = (0.2, 1, 5)
#: The range of the platform's answer times; each job has its own.
_SLOW_SECONDS = (0.2, 2.0)


def measure() -> dict[str, Any]:
    return {
        "messages": [_messages(jobs, at_once) for jobs, at_once in _MESSAGES],
        "flushes": [_flushes(seconds) for seconds in _FLUSH_SECONDS],
    }


def _messages(jobs_per_message: int, side_by_side: int) -> dict[str, Any]:
    """Measure one way to divide a batch: dollars and seconds by the platform's latency and the
    memory."""
    settings = {"JOBS_PER_MESSAGE": str(jobs_per_message), "JOBS_SIDE_BY_SIDE": str(side_by_side)}
    with service_on_moto(payloads.HEADLINE.answer, **settings) as service:
        counted = counts.count(service, payloads.HEADLINE, 1, JOBS)
    return {
        "jobs_per_message": jobs_per_message,
        "side_by_side": side_by_side,
        "write_units_per_job": counted["write_units_per_job"],
        "requests_per_job": counted["requests_per_job"],
        "by_latency": {
            latency: _by_memory(
                counted,
                cost.measure_durations(
                    batches=1,
                    jobs=jobs_per_message * CHUNKS_WHILE_FEW,
                    latency_ms=latency,
                    **settings,
                ),
            )
            for latency in _LATENCIES_MS
        },
    }


def _by_memory(counted: dict[str, Any], durations: Any) -> dict[int, dict[str, float]]:
    waves = -(-counted["invocations"][RUN_JOBS] // _WORKERS)
    return {
        memory: {
            "dollars_per_million_jobs": sum(
                cost.dollars_per_million_jobs(cost.usage_of(counted, durations, memory)).values()
            ),
            "seconds": waves
            * cost.median_billed_ms(counted, RUN_JOBS, durations[RUN_JOBS], memory)
            / 1000,
        }
        for memory in _MEMORY_MB
    }


def _flushes(seconds: float) -> dict[str, Any]:
    """Measure one interval: what is written if the platform is slow."""
    with service_on_moto(payloads.HEADLINE.answer, FLUSH_SECONDS=str(seconds)) as service:
        service.slow_down(*_SLOW_SECONDS)
        counted = counts.count(service, payloads.HEADLINE, 1, counts.HEADLINE_JOBS)
    return {
        "flush_seconds": seconds,
        "write_units_per_job": counted["write_units_per_job"],
        "requests_per_job": counted["requests_per_job"],
    }
