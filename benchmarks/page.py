"""Write docs/performance.md: all tables of a full run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from batchback_ops import project
from benchmarks import cost, cpu, limits, prices, scale
from benchmarks.functions import API, FUNCTIONS, given
from benchmarks.report import GOALS, Results, goal_row
from benchmarks.tuning import JOBS
from pictures import gallery

_PAGE = project.root() / "docs" / "performance.md"
_HEAD = """# Performance

The benchmark writes this page; do not edit it.
[benchmarks/README.md](../benchmarks/README.md) explains what is counted and how."""


def write_page(results: Results) -> Path:
    """Write the page and its charts."""
    _PAGE.write_text(page(results))
    gallery.redraw()
    return _PAGE


def page(results: Results) -> str:
    """Return the page, still without its charts."""
    return (
        "\n\n".join(
            [
                _HEAD,
                f"```sh\n{results['command']}\n```",
                _about(results),
                "## Goals",
                _markdown(["", "now", "goal"], [goal_row(goal, results) for goal in GOALS]),
                "## Requests and units",
                _counts(results["counts"]["table"]),
                "## Cost",
                _picture("cost"),
                _cost(results["cost"]["dollars_per_million_jobs"]),
                _hosted(results["hosted"]),
                _prices(),
                "## Compared with queue libraries",
                _picture("cpu"),
                _field(results["field"]),
                "## CPU and memory",
                _cpu(results["cpu"]["rows"]),
                "## Scale",
                _picture("growth"),
                _scale(results),
                "## A worker's settings",
                _tuning(results["tuning"]),
                "## Limits",
                _limits(results),
                "## The largest batch",
                _largest(results["largest"]),
                "## Cold start",
                _cold_start(results["cold_start"]),
                "## During failures",
                _kept("## During failures"),
            ]
        )
        + "\n"
    )


def _picture(name: str) -> str:
    """Mark the place of a chart, which is drawn from the tables once they are written."""
    return f"<!-- picture: {name} -->"


def _kept(heading: str) -> str:
    """Keep the page's text under a heading whose figures come from another program."""
    _, _, section = _PAGE.read_text().partition(f"{heading}\n")
    return section.partition("\n## ")[0].strip()


def _about(results: Results) -> str:
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return (
        f"Measured on {results['date']}, on {machine['cores']} cores of {machine['processor']} "
        f"({machine['system']}). The load before was {machine['load_before']}. "
        f"Versions: {versions}."
    )


def _counts(rows: Iterable[Mapping[str, Any]]) -> str:
    head = ["concurrent batches", "jobs in each", "job, answer"]
    head += ["write units", "of them in indexes", "read units", "requests", "SQS"]
    return "Per job, by the number and size of the batches:\n\n" + _markdown(
        head,
        [
            [
                str(row["batches_at_once"]),
                f"{row['jobs']:,}",
                f"{row['job_bytes']:,} B, {row['answer_bytes']:,} B",
                *_counted(row),
            ]
            for row in rows
        ],
    )


def _counted(row: Mapping[str, Any]) -> list[str]:
    if row["status"] != 200:
        return [f"refused: HTTP {row['status']}", "", "", "", ""]
    sqs = row["sqs_requests_per_job"] + row["poller_requests_per_job"]
    names = ("write_units", "index_write_units", "read_units", "requests")
    return [*(f"{row[f'{name}_per_job']:.3f}" for name in names), f"{sqs:.3f}"]


def _cost(dollars: Mapping[str, float]) -> str:
    rows = [[name, f"${each:.3f}"] for name, each in dollars.items()]
    return "Dollars per million jobs, in batches of 200:\n\n" + _markdown(
        ["", ""], [*rows, ["**total**", f"**${sum(dollars.values()):.2f}**"]]
    )


def _hosted(services: Iterable[Mapping[str, Any]]) -> str:
    return _markdown(
        ["list price of", "per million jobs", "counted", "not included"],
        [
            [each["name"], f"${each['dollars_per_million_jobs']:.2f}", each["how"], each["without"]]
            for each in services
        ],
    )


def _prices() -> str:
    """The list prices behind all dollar figures."""
    return _markdown(
        ["list price", "of", "read on"],
        [
            [
                f"${price.dollars:g} for {price.per:,.0f}",
                f"[{price.unit}]({price.source})",
                price.as_of,
            ]
            for price in prices.ALL
        ],
    )


def _field(field: Mapping[str, Any]) -> str:
    head = ["", "CPU per job", "jobs per second", "wall time", "memory", "concurrent calls"]
    tables = [
        f"{field['jobs']:,} jobs; the platform answers in {latency} ms:\n\n"
        + _markdown(
            head,
            [
                [
                    name,
                    f"{row['cpu_ms_per_job']:.2f} ms",
                    f"{row['jobs_per_second']:,.0f}",
                    f"{row['wall_seconds']:.2f} s",
                    f"{row['memory_bytes'] / 2**20:.0f} MB",
                    str(row["at_once"]),
                ]
                for name, row in sorted(rows.items(), key=lambda each: each[1]["cpu_ms_per_job"])
            ],
        )
        for latency, rows in field["by_latency"].items()
    ]
    skipped = [f"{name} was skipped: {why}." for name, why in field["skipped"].items()]
    return "\n\n".join(tables + skipped)


def _cpu(rows: Iterable[Mapping[str, Any]]) -> str:
    steps = list(cpu.STEPS)
    head = ["concurrent batches", "jobs in each"]
    head += [f"{step}, ms per job" for step in steps] + [f"{step}, peak MB" for step in steps]
    return _markdown(
        head,
        [
            [
                str(row["batches_at_once"]),
                f"{row['jobs']:,}",
                *(f"{row['cpu_ms_per_job'][step]:.3f}" for step in steps),
                *(f"{row['peak_bytes'][step] / 2**20:.0f}" for step in steps),
            ]
            for row in rows
        ],
    )


def _scale(results: Results) -> str:
    head = ["concurrent batches", "jobs in each", "write units", "read units", "requests"]
    head += [f"CPU of {step}" for step in cpu.STEPS]
    rows = scale.growth(results["counts"]["table"], results["cpu"]["rows"])
    return (
        "Per job, as a multiple of what a job takes in a batch of 200 (for CPU: in 50 concurrent "
        "batches of 200):\n\n"
        + _markdown(
            head,
            [
                [
                    str(row["batches_at_once"]),
                    f"{row['jobs']:,}",
                    *("" if each is None else f"{each:.2f}" for each in row["ratios"]),
                ]
                for row in rows
            ],
        )
    )


def _tuning(tuning: Mapping[str, Any]) -> str:
    return (
        f"A batch of {JOBS:,} jobs, with ten workers of {cost.MEMORY_MB} MB: dollars per million "
        "jobs and seconds per batch, by how long the platform takes for a call:\n\n"
        + _by_latency(tuning["messages"])
        + "\n\nThe same by memory, if the platform takes 100 ms:\n\n"
        + _by_memory(tuning["messages"])
        + "\n\nPer job, by how often answers are stored, if the platform takes 0.2 to 2 s:\n\n"
        + _markdown(
            ["stored every (s)", "write units", "requests"],
            [
                [
                    f"{row['flush_seconds']:g}",
                    f"{row['write_units_per_job']:.3f}",
                    f"{row['requests_per_job']:.3f}",
                ]
                for row in tuning["flushes"]
            ],
        )
    )


def _by_latency(rows: Sequence[Mapping[str, Any]]) -> str:
    latencies = list(rows[0]["by_latency"])
    head = ["jobs per message", "concurrent jobs", "write units", "requests"]
    return _markdown(
        [*head, *(f"{latency} ms" for latency in latencies)],
        [
            [
                *_divided(row),
                f"{row['write_units_per_job']:.3f}",
                f"{row['requests_per_job']:.3f}",
                *(_modelled(row["by_latency"][each][cost.MEMORY_MB]) for each in latencies),
            ]
            for row in rows
        ],
    )


def _by_memory(rows: Sequence[Mapping[str, Any]]) -> str:
    memories = list(rows[0]["by_latency"][cost.PLATFORM_MS])
    return _markdown(
        ["jobs per message", "concurrent jobs", *(f"{memory:,} MB" for memory in memories)],
        [
            [
                *_divided(row),
                *(_modelled(row["by_latency"][cost.PLATFORM_MS][each]) for each in memories),
            ]
            for row in rows
        ],
    )


def _divided(row: Mapping[str, Any]) -> list[str]:
    return [str(row["jobs_per_message"]), str(row["side_by_side"])]


def _modelled(row: Mapping[str, float]) -> str:
    return f"${row['dollars_per_million_jobs']:.2f}, {row['seconds']:.1f} s"


def _limits(results: Results) -> str:
    rows = limits.of_batches(results["counts"]["table"])
    per_second = limits.batches_per_second(results["counts"]["headline"]["warm"])
    head = ["jobs", "job, answer", "jobs per chunk", "head"]
    head += ["units per finished chunk", "jobs per second"]
    return (
        "All items of a batch are in one DynamoDB partition, which takes 1,000 write units a "
        "second. That limits how many jobs of one batch can end per second:\n\n"
        + _markdown(
            head,
            [
                [
                    f"{row['jobs']:,}",
                    f"{row['job_bytes']:,} B, {row['answer_bytes']:,} B",
                    str(row["jobs_per_chunk"]),
                    f"{row['head_bytes']:,} B",
                    str(row["head_units"]),
                    f"{row['jobs_per_second']:,.0f}",
                ]
                for row in rows
            ],
        )
        + f"\n\nThe index `due` limits all batches together to {per_second:,.0f} batches a second."
    )


def _largest(rows: Sequence[Mapping[str, Any]]) -> str:
    """A column for each batch; a row for each measure, with the limit next to it."""
    about = [f"answers of {row['answer_bytes']:,} B" for row in rows]
    lines = [
        ["request, as a Lambda event", "6 MB", *_each(rows, "request_event_bytes", _mb)],
        ["callback", "", *_each(rows, "callback", str)],
        ["pages of `results`", "", *_each(rows, "pages", str)],
        ["largest page, as Lambda returns it", "6 MB", *_each(rows, "page_event_bytes", _mb)],
        ["slowest page", f"{given(API).seconds} s", *_each(rows, "page_seconds", _seconds)],
    ]
    for function in FUNCTIONS:
        has = given(function)
        seconds = [_seconds(row["seconds"][function]) for row in rows]
        peaks = [_mb(row["peak_bytes"][function]) for row in rows]
        lines += [
            [f"`{function}`, time", f"{has.seconds} s", *seconds],
            [f"`{function}`, memory", f"{has.memory_mb} MB", *peaks],
        ]
    sizes = f"{rows[0]['jobs']:,} jobs of {rows[0]['job_bytes']:,} B in one batch:\n\n"
    return sizes + _markdown(["", "limit", *about], lines)


def _each(rows: Iterable[Mapping[str, Any]], key: str, shown: Callable[[Any], str]) -> list[str]:
    return [shown(row[key]) for row in rows]


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _cold_start(found: Mapping[str, Any]) -> str:
    names = list(found["compiled"])
    functions = _markdown(
        ["imports of", "compiled", "vs. minimum", "as Chalice zips it", "vs. minimum"],
        [
            [
                name,
                *(
                    text
                    for way in ("compiled", "sources")
                    for text in (
                        f"{found[way][name]['ms']:.0f} ms",
                        f"{found[way][name]['ratio']:.2f}",
                    )
                ),
            ]
            for name in names
        ],
    )
    top = _markdown(
        ["what run_jobs imports", "ms"],
        [[each["package"], f"{each['ms']:.0f}"] for each in found["top"]],
    )
    return f"{functions}\n\n{top}"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
