"""What JOBS_PER_MESSAGE, JOBS_SIDE_BY_SIDE and the memory of functions cost, and how long a batch
takes with them, on platforms of three speeds.

    python -m benchmarks.tuning      some five minutes: two tables, in Markdown

Requests and units are counted on moto with a platform that takes its time, so that what is recorded
in several parts because calls are slow is counted so; durations are measured on the stubs, and
billed by the model of `cost`. A batch takes as long as its longest chain of invocations, where ten
workers are free and no start is cold.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest.mock import patch

from benchmarks import cost, counts, payloads
from benchmarks.functions import ADVANCE_BATCH, API, RUN_JOBS
from benchmarks.in_process import service_on_moto

#: Enough for messages of a hundred.
JOBS = 400
WORKERS = 10
LATENCIES_MS = (20, 100, 1000)
#: Jobs in a message, and side by side.
CHOICES = ((10, 10), (25, 25), (50, 25), (50, 50), (100, 25), (100, 100))
MEMORIES_MB = (256, 512, 1024)

Durations = Mapping[str, Sequence[Mapping[str, float]]]


def main() -> None:
    print(_row("jobs in a message", "side by side", *(f"{ms} ms" for ms in LATENCIES_MS)))
    print(_row(*["---"] * (2 + len(LATENCIES_MS))))
    measured = {}
    for choice in CHOICES:
        measured[choice] = {ms: _measure(*choice, ms) for ms in LATENCIES_MS}
        cells = (_told(*found, cost.MEMORY_MB) for found in measured[choice].values())
        print(_row(*choice, *cells), flush=True)
    print()
    print(_row("memory", *(f"{ms} ms" for ms in LATENCIES_MS)))
    print(_row(*["---"] * (1 + len(LATENCIES_MS))))
    for memory in MEMORIES_MB:
        cells = (_told(*found, memory) for found in measured[50, 25].values())
        print(_row(f"{memory} MB", *cells))


def _measure(per_message: int, side_by_side: int, latency_ms: int) -> tuple[Any, Durations]:
    settings = {
        "JOBS_PER_MESSAGE": str(per_message),
        "JOBS_SIDE_BY_SIDE": str(side_by_side),
    }
    with (
        patch.dict(os.environ, settings),
        service_on_moto(payloads.HEADLINE.answer, latency_ms=latency_ms) as service,
    ):
        counted = counts.row(service, payloads.HEADLINE, 1, JOBS)
    durations = cost.measure_durations(batches=2, jobs=JOBS, latency_ms=latency_ms, **settings)
    return counted, durations


def _told(counted: Mapping[str, Any], durations: Durations, memory_mb: int) -> str:
    """Dollars for a million jobs, and seconds for a batch."""
    usage = cost.usage_of(counted, durations, memory_mb)
    dollars = sum(cost.dollars_per_million_jobs(usage).values())
    seconds = sum(_chain_ms(counted, durations, memory_mb)) / 1000
    return f"${dollars:.2f}, {seconds:.1f} s"


def _chain_ms(counted: Mapping[str, Any], durations: Durations, memory_mb: int) -> Iterator[float]:
    for function in (API, RUN_JOBS, ADVANCE_BATCH):
        invocations = counted["invocations"][function]
        in_a_row = math.ceil(invocations / WORKERS) if function == RUN_JOBS else 1
        billed = cost.median_billed_ms(counted, function, durations[function], memory_mb)
        yield in_a_row * billed


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
