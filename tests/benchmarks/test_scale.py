"""How the cost of a job grows, as a ratio of counts and measurements."""

from typing import Any

from benchmarks import payloads, scale
from benchmarks.payloads import Sizes


def counted(
    batches: int, jobs: int, units: float, sizes: Sizes = payloads.SMALL, status: int = 200
) -> dict[str, Any]:
    return {
        "batches_at_once": batches,
        "jobs": jobs,
        "job_bytes": sizes.job,
        "status": status,
        "write_units_per_job": units,
        "requests_per_job": 0.1,
    }


def measured(batches: int, jobs: int, ms: float) -> dict[str, Any]:
    steps = {"submit": 0.1, "run_jobs": ms, "call_back": 0.1}
    return {"batches_at_once": batches, "jobs": jobs, "cpu_ms_per_job": steps}


def test_everything_is_compared_with_batches_of_two_hundred() -> None:
    rows = scale.growth(
        [counted(1, 200, 0.4), counted(50, 200, 0.4), counted(1, 10_000, 0.5)],
        [measured(50, 200, 2.0), measured(1, 10_000, 3.0)],
    )
    assert [(row["batches_at_once"], row["jobs"], row["ratios"]) for row in rows] == [
        (1, 200, [1, 1, None]),
        (50, 200, [1, 1, 1]),
        (1, 10_000, [1.25, 1, 1.5]),
    ]


def test_large_payloads_small_batches_and_refused_ones_are_left_out() -> None:
    rows = scale.growth(
        [
            counted(1, 10, 4.0),
            counted(1, 200, 0.4),
            counted(1, 200, 9.0, sizes=payloads.LARGE),
            counted(1, 10_000, 0.4, status=413),
        ],
        [],
    )
    assert [row["ratios"] for row in rows] == [[1, 1, None]]
