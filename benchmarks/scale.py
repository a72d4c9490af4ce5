"""How the cost of a job changes with the size of its batch and the number of concurrent batches."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import cpu, payloads
from benchmarks.functions import RUN_JOBS

Row = Mapping[str, Any]

_COUNTED = ("write_units_per_job", "requests_per_job")
#: The batches and jobs that everything is compared with. For CPU there are more batches, so that
#: there is enough to measure.
_JOBS = 200
_COUNTS_OF = (1, _JOBS)


def growth(counted: Sequence[Row], measured: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what a job takes as a multiple of what it takes in batches of 200: write units,
    requests, then the CPU of run_jobs, or None if that was not measured. There is a row for each
    number of batches and of at least 200 jobs that was counted with small payloads or measured."""
    counts = {_shape(row): row for row in counted if _is_comparable(row)}
    cpus = {_shape(row): row["cpu_ms_per_job"] for row in measured}
    return [
        {
            "batches_at_once": shape[0],
            "jobs": shape[1],
            "ratios": [
                *(_ratio(counts, shape, _COUNTS_OF, name) for name in _COUNTED),
                _ratio(cpus, shape, cpu.MANY_SMALL, RUN_JOBS),
            ],
        }
        for shape in sorted({*counts, *cpus}, key=lambda shape: (shape[1], shape[0]))
    ]


def _ratio(
    rows: Mapping[tuple[int, int], Row], shape: tuple[int, int], base: tuple[int, int], name: str
) -> float | None:
    if shape not in rows or base not in rows:
        return None
    ratio: float = rows[shape][name] / rows[base][name]
    return ratio


def _shape(row: Row) -> tuple[int, int]:
    return row["batches_at_once"], row["jobs"]


def _is_comparable(row: Row) -> bool:
    is_small = (row["status"], row["job_bytes"]) == (200, payloads.SMALL.job)
    return is_small and row["jobs"] >= _JOBS
