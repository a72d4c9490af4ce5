"""The headline numbers and their goals, the table for the terminal, and benchmarks/results.json."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchback_ops import project
from benchmarks import cpu, largest
from benchmarks.field import FIELD, OURS, OURS_SIGNING
from benchmarks.functions import CALL_BACK

Results = dict[str, Any]

_FLOORS = {peer.name for peer in FIELD if peer.is_floor}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A number in the results, and the most it may be."""

    what: str
    key: str
    most: float
    form: str = "{:.3f}"


GOALS = (
    Goal(what="write units per job", key="write_units_per_job", most=0.32),
    Goal(what="AWS requests per job", key="requests_per_job", most=0.25),
    Goal(
        what="dollars per million jobs",
        key="dollars_per_million_jobs",
        most=0.34,
        form="{:.2f}",
    ),
    Goal(
        what="CPU per job in run_jobs, ms",
        key="worker_cpu_ms_per_job",
        most=1.2,
        form="{:.2f}",
    ),
    Goal(
        what="CPU per job in a batch of 10,000, relative to batches of 200",
        key="large_batch_ratio",
        most=1.2,
        form="{:.2f}",
    ),
    Goal(
        what="sequential AWS round trips to accept 200 jobs",
        key="accept_round_trips",
        most=5,
        form="{:.0f}",
    ),
    Goal(
        what="import time of run_jobs, relative to the minimum",
        key="import_ratio",
        most=1.2,
        form="{:.2f}",
    ),
    Goal(what="deployment zip, bytes", key="zip_bytes", most=10_000_000, form="{:,.0f}"),
)
#: Also measured, without a goal.
_BESIDE = (
    Goal(what="read units per job", key="read_units_per_job", most=0),
    Goal(what="AWS requests per job, every container cold", key="requests_per_job_cold", most=0),
    Goal(
        what="memory of call_back for the largest callback, bytes",
        key="largest_callback_peak_bytes",
        most=0,
        form="{:,.0f}",
    ),
)


def headline(results: Results) -> Results:
    """Pick the headline numbers from everything that was measured."""
    warm, cold = results["counts"]["headline"]["warm"], results["counts"]["headline"]["cold"]
    rows = results["cpu"]["rows"]
    small = cpu.row_of(rows, cpu.MANY_SMALL)["cpu_ms_per_job"]["run_jobs"]
    large = cpu.row_of(rows, cpu.ONE_LARGE)["cpu_ms_per_job"]["run_jobs"]
    return {
        "write_units_per_job": warm["write_units_per_job"],
        "read_units_per_job": warm["read_units_per_job"],
        "requests_per_job": warm["requests_per_job"],
        "requests_per_job_cold": cold["requests_per_job"],
        "accept_round_trips": warm["accept_round_trips"],
        "dollars_per_million_jobs": sum(results["cost"]["dollars_per_million_jobs"].values()),
        "worker_cpu_ms_per_job": small,
        "large_batch_ratio": large / small,
        "largest_callback_peak_bytes": largest.heaviest_callback(results["largest"])["peak_bytes"][
            CALL_BACK
        ],
        "import_ratio": results["cold_start"]["import_ratio"],
        "zip_bytes": results["package"]["zip_bytes"],
        **_of_the_field(results["field"]["by_latency"]),
    }


def _of_the_field(by_latency: Mapping[str, Mapping[str, Any]]) -> Results:
    """What each library needs if the platform answers immediately: ours, peers and floors."""
    at_once, *_ = by_latency.values()
    found = {
        name: {
            "cpu_ms_per_job": row["cpu_ms_per_job"],
            "jobs_per_second": row["jobs_per_second"],
            "by_latency": {latency: rows.get(name) for latency, rows in by_latency.items()},
        }
        for name, row in at_once.items()
    }
    ours = {OURS, OURS_SIGNING}
    return {
        "ours_beside_peers": {name: row for name, row in found.items() if name in ours},
        "peers": {name: row for name, row in found.items() if name not in ours | _FLOORS},
        "floors": {name: row for name, row in found.items() if name in _FLOORS},
    }


def write_results(results: Results) -> Path:
    path = project.root() / "benchmarks" / "results.json"
    path.write_text(as_json(results) + "\n")
    return path


def as_json(value: object) -> str:
    return json.dumps(value, indent=1)


def table(results: Results) -> str:
    """The table for the terminal."""
    rows = [["measure", "now", "goal"]]
    rows += [goal_row(goal, results) for goal in GOALS]
    rows += [[goal.what, _shown(goal, results[goal.key]), ""] for goal in _BESIDE]
    rows += [
        [f"  {name}", f"${dollars:.3f}", ""]
        for name, dollars in results["cost"]["dollars_per_million_jobs"].items()
    ]
    rows += [
        [f"list price: {each['name']}", f"${each['dollars_per_million_jobs']:.2f}", ""]
        for each in results["hosted"]
    ]
    for latency, field in results["field"]["by_latency"].items():
        rows += [
            [
                f"{name}, if the platform answers in {latency} ms",
                f"{row['cpu_ms_per_job']:.2f} ms CPU",
                f"{row['jobs_per_second']:,.0f} jobs/s, {row['memory_bytes'] / 2**20:.0f} MB",
            ]
            for name, row in field.items()
        ]
    rows += [[f"{name}: skipped", why, ""] for name, why in results["field"]["skipped"].items()]
    return _aligned(rows)


def goal_row(goal: Goal, results: Results) -> list[str]:
    value = results[goal.key]
    is_over = value is not None and value > goal.most
    return [goal.what, _shown(goal, value), f"{goal.most:,.9g}{' (over)' if is_over else ''}"]


def _shown(goal: Goal, value: float | None) -> str:
    return "not measured" if value is None else goal.form.format(value)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
