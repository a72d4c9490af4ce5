"""`make bench`: measure everything, print one table, and write the results."""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmarks import (
    cold_start,
    cost,
    counts,
    cpu,
    field,
    largest,
    machine,
    package,
    page,
    report,
    tuning,
)
from benchmarks.environments import NotMade

Results = dict[str, Any]


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that child processes end too
    options = _parser().parse_args()
    parts = _parts(full=options.full)
    if options.only:
        return _measure_only(options.only, parts)
    results: Results = {**_about(full=options.full), "full": options.full}
    for name, measure in parts.items():
        results[name] = _timed(name, measure)
    results["cost"] = _cost(results)
    results["hosted"] = [asdict(each) for each in cost.hosted()]
    results = {**report.headline(results), **results}
    path = report.write_results(results)
    print(report.table(results))
    print(f"\nAll results are in benchmarks/{path.name}.")
    if options.full:
        print(f"Wrote docs/{page.write_page(results).name}.")
    return 0


def _parts(*, full: bool) -> dict[str, Callable[[], Any]]:
    """Return the measurements, in order."""
    return {
        "counts": lambda: counts.measure(full=full),
        "durations": lambda: cost.measure_durations(batches=20 if full else 5),
        "cpu": lambda: cpu.measure(full=full),
        "largest": lambda: largest.measure(full=full),
        "field": lambda: field.measure(jobs=1_000, latencies_ms=(0, 20), repeats=5 if full else 1),
        "cold_start": lambda: cold_start.measure(repeats=10 if full else 2),
        "package": _package,
        "tuning": lambda: tuning.measure() if full else None,
    }


def _cost(results: Results) -> Results:
    usage = cost.usage_of(results["counts"]["headline"]["warm"], results["durations"])
    return {
        "usage_of_a_batch": asdict(usage),
        "dollars_per_million_jobs": cost.dollars_per_million_jobs(usage),
    }


def _package() -> Results:
    try:
        return {"zip_bytes": package.zip_bytes()}
    except NotMade as reason:
        _say(f"Could not make the deployment package: {reason}")
        return {"zip_bytes": None, "skipped": str(reason)}


def _measure_only(name: str, parts: dict[str, Callable[[], Any]]) -> int:
    """Show one part as JSON; write nothing."""
    print(report.as_json(_timed(name, parts[name])))
    return 0


def _timed(name: str, measure: Callable[[], Any]) -> Any:
    started_at = time.monotonic()
    _say(f"{name} ...")
    found = measure()
    _say(f"{name}: {time.monotonic() - started_at:.0f} s")
    return found


def _about(*, full: bool) -> Results:
    return machine.about("make bench FULL=1" if full else "make bench")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--full",
        action="store_true",
        help="measure everything (about 20 minutes) and write docs/performance.md",
    )
    parser.add_argument(
        "--only", choices=[*_parts(full=False)], help="measure one part and show it as JSON"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
