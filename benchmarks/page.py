"""Write docs/performance.md: all tables of a full run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from batchback_ops import project
from benchmarks import cost, cpu, limits, prices, scale
from benchmarks.functions import API, FUNCTIONS, given
from benchmarks.report import GOALS, Results, goal_row
from benchmarks.tuning import JOBS
from pictures import gallery

_PAGE = project.root() / "docs" / "performance.md"
_HEAD = (
    "# Performance\n\n"
    "What a job costs on AWS, and the CPU and memory it takes. "
    "[The benchmark](../benchmarks/README.md) writes this page, so don't edit it. Its README "
    "explains how everything is measured.\n\n"
    "Counts and dollars hold on any machine. CPU and times don't: compare their ratios. "
    "To measure again:"
)


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
                "## Limits",
                _limits(results["counts"]["headline"]["warm"]),
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
        f"({machine['system']}), with a load of {machine['load_before']} before the run. "
        f"Versions: {versions}."
    )


def _counts(rows: Iterable[Mapping[str, Any]]) -> str:
    head = ["concurrent batches", "jobs in each"]
    head += ["write units", "of them in indexes", "read units", "requests", "SQS"]
    head += ["jobs per second"]
    return (
        "DynamoDB bills writes in units of 1 KB, and reads in units of 4 KB. *Requests* are all "
        "those to AWS, *SQS* those that SQS bills. Per job:\n\n"
        + _by_sizes(
            head,
            rows,
            lambda row: [str(row["batches_at_once"]), f"{row['jobs']:,}", *_counted(row)],
        )
    )


def _by_sizes(
    head: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    cells: Callable[[Mapping[str, Any]], Sequence[str]],
) -> str:
    """A table for each size of jobs and answers."""
    return "\n\n".join(
        f"Jobs of {job:,} B, answers of {answer:,} B:\n\n{_markdown(head, map(cells, same))}"
        for (job, answer), same in groupby(rows, itemgetter("job_bytes", "answer_bytes"))
    )


def _counted(row: Mapping[str, Any]) -> list[str]:
    if row["status"] != 200:
        return [f"refused: HTTP {row['status']}", "", "", "", "", ""]
    sqs = row["sqs_requests_per_job"] + row["poller_requests_per_job"]
    names = ("write_units", "index_write_units", "read_units", "requests")
    counts = [*(f"{row[f'{name}_per_job']:.3f}" for name in names), f"{sqs:.3f}"]
    is_alone = row["batches_at_once"] == 1
    return [*counts, f"{limits.jobs_per_second(row):,.0f}" if is_alone else ""]


def _cost(dollars: Mapping[str, float]) -> str:
    rows = [[name, f"${each:.3f}"] for name, each in dollars.items()]
    return "A million jobs in batches of 200:\n\n" + _markdown(
        ["", ""], [*rows, ["**total**", f"**${sum(dollars.values()):.2f}**"]]
    )


def _hosted(services: Iterable[Mapping[str, Any]]) -> str:
    return "Hosted services that do part of the work:\n\n" + _markdown(
        ["list price of", "per million jobs", "counted", "not included"],
        [
            [each["name"], f"${each['dollars_per_million_jobs']:.2f}", each["how"], each["without"]]
            for each in services
        ],
    )


def _prices() -> str:
    """The list prices behind all dollar figures."""
    return (
        "All of this is computed from list prices in us-east-1, without free tiers and discounts:"
        "\n\n"
        + _markdown(
            ["list price", "for", "read on"],
            [
                [
                    f"${price.dollars:g}",
                    f"{price.per:,.0f} [{price.unit}]({price.source})",
                    price.as_of,
                ]
                for price in prices.ALL
            ],
        )
    )


def _field(field: Mapping[str, Any]) -> str:
    about = (
        f"A batch of {field['jobs']:,} jobs. `threads` and `asyncio` are scripts without a queue, "
        "which lose their jobs when they die. `batchback` sends its calls unsigned, as the "
        "libraries do; `batchback, signing` is the default. The libraries' tasks "
        "[do less](../benchmarks/README.md#the-comparison-with-queue-libraries)."
    )
    tables = [_of_latency(latency, rows) for latency, rows in field["by_latency"].items()]
    skipped = [f"{name} was skipped: {why}." for name, why in field["skipped"].items()]
    return "\n\n".join([about, *tables, *skipped])


def _of_latency(latency: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    at_once = max(row["at_once"] for row in rows.values())
    return (
        f"If the platform answers in {latency} ms, with {at_once} concurrent calls:\n\n"
        + _markdown(
            ["", "CPU per job, ms", "jobs per second", "memory, MB"],
            [
                [
                    name,
                    f"{row['cpu_ms_per_job']:.2f}",
                    f"{row['jobs_per_second']:,.0f}",
                    f"{row['memory_bytes'] / 2**20:.0f}",
                ]
                for name, row in sorted(rows.items(), key=lambda each: each[1]["cpu_ms_per_job"])
            ],
        )
    )


def _cpu(rows: Iterable[Mapping[str, Any]]) -> str:
    steps = list(cpu.STEPS)
    head = ["concurrent batches", "jobs in each"]
    head += [f"{step}, ms per job" for step in steps] + [f"{step}, peak MB" for step in steps]
    return "CPU and peak memory of the process that runs each function:\n\n" + _markdown(
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
    head = ["concurrent batches", "jobs in each", "write units", "requests", "CPU of run_jobs"]
    rows = scale.growth(results["counts"]["table"], results["cpu"]["rows"])
    return (
        "Per job, relative to a batch of 200 (for CPU, to 50 concurrent batches of 200):\n\n"
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
        f"A batch of {JOBS:,} jobs on ten workers of {cost.MEMORY_MB} MB, by `JOBS_PER_MESSAGE`, "
        "`JOBS_SIDE_BY_SIDE` and the platform's answer time. Cells with dollars show the cost of a "
        "million jobs and the duration of the batch:\n\n"
        + _by_latency(tuning["messages"])
        + "\n\nBy memory, if the platform takes 100 ms:\n\n"
        + _by_memory(tuning["messages"])
        + "\n\nBy `FLUSH_SECONDS`, if the platform takes 0.2 to 2 s, per job:\n\n"
        + _markdown(
            ["answers stored every", "write units", "requests"],
            [
                [
                    f"{row['flush_seconds']:g} s",
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


def _limits(headline: Mapping[str, Any]) -> str:
    return (
        "All items of a batch are in one DynamoDB partition, which takes 1,000 write units a "
        "second. That limits the *jobs per second* of one batch, as in the tables above. The index "
        f"`due` limits all batches together to {limits.batches_per_second(headline):,.0f} batches "
        "a second."
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
    sizes = (
        f"{rows[0]['jobs']:,} jobs of {rows[0]['job_bytes']:,} B in one batch. Above 50 MB its "
        "callback fails, and callers read the results in pages:\n\n"
    )
    return sizes + _markdown(["", "limit", *about], lines)


def _each(rows: Iterable[Mapping[str, Any]], key: str, shown: Callable[[Any], str]) -> list[str]:
    return [shown(row[key]) for row in rows]


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


def _cold_start(found: Mapping[str, Any]) -> str:
    functions = _markdown(
        ["imports of", "compiled, ms", "ratio", "not compiled, ms", "ratio"],
        [
            [
                name,
                *(
                    text
                    for way in ("compiled", "sources")
                    for text in (
                        f"{found[way][name]['ms']:.0f}",
                        f"{found[way][name]['ratio']:.2f}",
                    )
                ),
            ]
            for name in found["compiled"]
        ],
    )
    top = _markdown(
        ["what run_jobs imports", "ms"],
        [[each["package"], f"{each['ms']:.0f}"] for each in found["top"]],
    )
    return (
        "What each function imports before its first answer, relative to the minimum: Chalice, "
        "two botocore clients and requests. `make package` compiles the code; Chalice alone does "
        f"not.\n\n{functions}\n\n{top}"
    )


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
