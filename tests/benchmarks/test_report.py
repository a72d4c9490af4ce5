"""The report shows what was measured, and marks the numbers that are over their goals."""

from typing import Any

import pytest

from benchmarks import page, prices, report
from benchmarks.report import GOALS, goal_row
from pictures import charts
from pictures.drawing import LIGHT

COUNTED = {
    "batches_at_once": 1,
    "jobs": 200,
    "job_bytes": 240,
    "answer_bytes": 640,
    "status": 200,
    "write_units_per_job": 0.4,
    "index_write_units_per_job": 0.05,
    "read_units_per_job": 0.16,
    "requests_per_job": 0.22,
    "sqs_requests_per_job": 0.01,
    "poller_requests_per_job": 0.09,
    "head_bytes": 700,
    "accept_round_trips": 5,
}
REFUSED = {
    "batches_at_once": 1,
    "jobs": 10_000,
    "job_bytes": 5_000,
    "answer_bytes": 50_000,
    "status": 413,
}


def cpu_row(batches: int, jobs: int, ms: float) -> dict[str, Any]:
    steps = ("submit", "run_jobs", "call_back")
    return {
        "batches_at_once": batches,
        "jobs": jobs,
        "cpu_ms_per_job": dict.fromkeys(steps, ms),
        "peak_bytes": dict.fromkeys(steps, 60 * 2**20),
    }


LARGEST = {
    "jobs": 10_000,
    "job_bytes": 345,
    "answer_bytes": 4_600,
    "request_event_bytes": 3_900_000,
    "callback": "delivered",
    "callback_error": None,
    "pages": 15,
    "page_event_bytes": 3_800_000,
    "page_seconds": 0.25,
    "seconds": {"api": 3.0, "run_jobs": 2.0, "call_back": 0.1},
    "peak_bytes": {"api": 104_000_000, "run_jobs": 80_000_000, "call_back": 60_000_000},
}


_MODELLED = {512: {"dollars_per_million_jobs": 0.4, "seconds": 0.5}}
TUNING = {
    "messages": [
        {
            "jobs_per_message": 50,
            "side_by_side": 25,
            "write_units_per_job": 0.34,
            "requests_per_job": 0.15,
            "by_latency": {100: _MODELLED},
        }
    ],
    "flushes": [{"flush_seconds": 1, "write_units_per_job": 0.4, "requests_per_job": 0.2}],
}


def contestant(ms: float) -> dict[str, float]:
    return {
        "cpu_ms_per_job": ms,
        "jobs_per_second": 500.0,
        "wall_seconds": 2.0,
        "memory_bytes": 2**26,
        "at_once": 8,
    }


@pytest.fixture
def results() -> dict[str, Any]:
    field = {"batchback": contestant(1.4), "arq": contestant(1.5), "threads": contestant(0.9)}
    starts = {name: {"ms": 500.0, "ratio": 1.2} for name in ("minimum", "run_jobs")}
    measured = {
        "command": "make bench FULL=1",
        "date": "2026-11-24 12:00 UTC",
        "machine": {"cores": 2, "processor": "a processor", "system": "Linux", "load_before": 0.1},
        "versions": {"python": "3.11"},
        "counts": {
            "headline": {"warm": COUNTED, "cold": {**COUNTED, "requests_per_job": 0.275}},
            "table": [COUNTED, REFUSED],
        },
        "cost": {"dollars_per_million_jobs": {"DynamoDB writes": 0.25, "SQS requests": 0.04}},
        "hosted": [
            {"name": "QStash", "dollars_per_million_jobs": 10.0, "how": "that", "without": "this"}
        ],
        "cpu": {"rows": [cpu_row(50, 200, 1.0), cpu_row(1, 10_000, 1.3)]},
        "largest": [LARGEST],
        "field": {
            "jobs": 1_000,
            "by_latency": {"0": field, "20": field},
            "skipped": {"celery": "redis-server is not installed"},
        },
        "cold_start": {
            "compiled": starts,
            "sources": starts,
            "import_ratio": 1.2,
            "top": [{"package": "botocore", "ms": 200.0}],
        },
        "package": {"zip_bytes": None},
        "tuning": TUNING,
    }
    return {**report.headline(measured), **measured}


def test_every_headline_number_is_there(results: dict[str, Any]) -> None:
    wanted = {"write_units_per_job", "read_units_per_job", "requests_per_job", "import_ratio"}
    wanted |= {"dollars_per_million_jobs", "worker_cpu_ms_per_job", "zip_bytes"}
    assert wanted <= {*results}
    assert results["dollars_per_million_jobs"] == 0.29
    assert results["large_batch_ratio"] == 1.3
    assert results["largest_callback_peak_bytes"] == 60_000_000
    assert {*results["peers"]} == {"arq"}
    assert results["peers"]["arq"]["cpu_ms_per_job"] == 1.5
    assert results["peers"]["arq"]["jobs_per_second"] == 500
    assert {*results["floors"]} == {"threads"}
    assert {*results["ours_beside_peers"]} == {"batchback"}


def test_a_number_over_its_goal_is_marked(results: dict[str, Any]) -> None:
    over = {goal.key for goal in GOALS if goal_row(goal, results)[2].endswith("(over)")}
    assert over == {"write_units_per_job", "large_batch_ratio"}


def test_every_price_is_shown_with_its_source_and_day(results: dict[str, Any]) -> None:
    shown = page.page(results)
    assert [
        each.unit for each in prices.ALL if f"({each.source}) | {each.as_of}" not in shown
    ] == []


def test_a_missing_measurement_is_reported(results: dict[str, Any]) -> None:
    table = report.table(results)
    assert "not measured" in table
    assert "celery: skipped" in table


def test_the_charts_can_be_drawn_from_the_page(results: dict[str, Any]) -> None:
    text = page.page(results)
    found = charts.of_page(text)
    assert all(chart.draw(LIGHT) for chart in found.values())
    assert all(f"<!-- picture: {name} -->" in text for name in found)


def test_the_page_has_every_table(results: dict[str, Any]) -> None:
    text = page.page(results)
    assert text.startswith("# Performance\n")
    assert "make bench FULL=1" in text
    assert "Jobs of 240 B, answers of 640 B:\n\n| concurrent batches |" in text
    assert "| 1 | 200 | 0.400 | 0.050 | 0.160 | 0.220 | 0.100 | 2,857 |" in text
    assert "| 1 | 10,000 | refused: HTTP 413 |" in text
    assert "| arq | 1.50 | 500 | 64 |" in text
    assert "| request, as a Lambda event | 6 MB | 3.9 MB |" in text
    assert "| `run_jobs`, time | 60 s | 2.0 s |" in text
    assert "| `api`, memory | 1024 MB | 104.0 MB |" in text
    assert "celery was skipped: redis-server is not installed." in text
    assert "## During failures\n\n`make load` counts these figures" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
