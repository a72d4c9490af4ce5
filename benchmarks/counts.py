"""Count every AWS request and unit of a batch at the client, for batches of many sizes.

Nothing here depends on the speed of the machine.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks import payloads
from benchmarks.counting import Tally
from benchmarks.functions import API, FUNCTIONS
from benchmarks.in_process import POLLERS, ServiceOnMoto, service_on_moto
from benchmarks.payloads import Sizes
from chalicelib import settings
from chalicelib.adapters import items

HEADLINE_JOBS = 200
#: Runs before anything is counted, so that queues and keys are cached as in a warm container.
_WARM_UP_JOBS = 10

#: Concurrent batches, and jobs in each.
_QUICK = (
    (payloads.SMALL, ((1, 1), (1, 10), (1, 200), (10, 200), (1, 2_000))),
    (payloads.LARGE, ((1, 1), (1, 10), (1, 200))),
)
_FULL = (
    (
        payloads.SMALL,
        (
            *((1, 1), (1, 10), (1, 200), (10, 200), (50, 200)),
            *((1, 1_000), (1, 2_000), (1, 5_000), (1, 10_000)),
        ),
    ),
    (payloads.LARGE, ((1, 1), (1, 10), (1, 200), (1, 2_000), (1, 10_000))),
)


def measure(*, full: bool) -> dict[str, Any]:
    """Count the headline batch, warm and with every container cold, and the table of all sizes."""
    shapes = _FULL if full else _QUICK
    return {
        "headline": _headline(),
        "table": [row for sizes, batches in shapes for row in _rows(sizes, batches)],
    }


def _headline() -> dict[str, Any]:
    with service_on_moto(payloads.HEADLINE.answer) as service:
        warm = count(service, payloads.HEADLINE, 1, HEADLINE_JOBS)
        service.starts_cold = True
        cold = count(service, payloads.HEADLINE, 1, HEADLINE_JOBS)
    return {"warm": warm, "cold": cold}


def _rows(sizes: Sizes, shapes: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    with service_on_moto(sizes.answer) as service:
        return [count(service, sizes, batches, jobs) for batches, jobs in shapes]


def count(service: ServiceOnMoto, sizes: Sizes, batches: int, jobs: int) -> dict[str, Any]:
    """Count concurrent batches of one size. A refused batch has only its status; any other fault
    ends the benchmark, because the numbers of a failed batch mean nothing."""
    service.submit(payloads.jobs(_WARM_UP_JOBS, sizes))
    service.work_off()
    service.forget()
    sent = [service.submit(payloads.jobs(jobs, sizes, seed)) for seed in range(batches)]
    about = {
        "batches_at_once": batches,
        "jobs": jobs,
        "job_bytes": sizes.job,
        "answer_bytes": sizes.answer,
        "status": max(sent),
    }
    if about["status"] != 200:
        return about
    called_back = service.work_off()
    if called_back != [jobs] * batches:
        raise RuntimeError(
            f"{batches} batches of {jobs} jobs called back with {called_back} results"
        )
    accepted = {"accept_round_trips": service.counter.tallies[API].in_series / batches}
    return about | accepted | _counted(service, batches * jobs)


def _counted(service: ServiceOnMoto, total: int) -> dict[str, Any]:
    tallies = service.counter.tallies
    ours = [tallies[function] for function in FUNCTIONS]
    heads = service.counter.sizes_of(settings.names().batches_table, items.HEAD)
    return {
        "write_units_per_job": sum(tally.write_units for tally in ours) / total,
        "index_write_units_per_job": sum(tally.index_write_units for tally in ours) / total,
        "read_units_per_job": sum(tally.read_units for tally in ours) / total,
        "requests_per_job": sum(tally.total_requests for tally in ours) / total,
        "sqs_requests_per_job": sum(tally.sqs_requests for tally in ours) / total,
        "poller_requests_per_job": tallies[POLLERS].sqs_requests / total,
        "stored_bytes_per_job": sum(tally.stored_bytes for tally in ours) / total,
        "log_bytes_per_job": sum(service.log_bytes.values()) / total,
        "invocations": dict(service.invocations),
        "head_bytes": max(heads),
        "by_function": {function: _told(tallies[function]) for function in FUNCTIONS},
    }


def _told(tally: Tally) -> dict[str, Any]:
    return {
        "requests": dict(tally.requests),
        "write_units": tally.write_units,
        "index_write_units": tally.index_write_units,
        "read_units": tally.read_units,
        "failed_conditions": tally.failed_conditions,
    }
