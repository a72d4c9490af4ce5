"""Dollars per million jobs: ours from the counts, and the list prices of hosted services.

How long a function runs in Lambda is modeled from what was measured here on a core of its own:

    billed = wall time, if the platform answers in 100 ms and the stub AWS immediately
           + CPU time x (1769 / memory - 1)      512 MB is 0.29 of a core; 1,769 MB is one
           + requests to AWS, one after the other, x 4 ms

https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import payloads, prices
from benchmarks.functions import FUNCTIONS
from benchmarks.processes import stub_platform, stubbed_service

MEMORY_MB = 512
PLATFORM_MS = 100
AWS_ROUND_TRIP_MS = 4
#: How long a batch and its results are kept.
_KEPT_MONTHS = 60 / 730

FULL_CORE_MB = 1769
#: START, END and REPORT of each invocation, with CloudWatch's 26 bytes for each line.
_LAMBDA_LOG_BYTES = 400
_MILLION = 1_000_000
_JOBS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one batch uses of each billed resource."""

    jobs: int
    write_units: float
    read_units: float
    #: Our own and those of Lambda's pollers.
    sqs_requests: float
    invocations: float
    gb_seconds: float
    api_requests: float
    log_bytes: float
    stored_bytes: float


def measure_durations(
    *, batches: int, jobs: int = _JOBS, latency_ms: int = PLATFORM_MS, **settings: str
) -> dict[str, list[dict[str, float]]]:
    """Return each function's invocations, with their wall and CPU time, for batches that run one
    after another."""
    with stub_platform() as platform:
        platform.behave(latency_ms=latency_ms, answer_bytes=payloads.HEADLINE.answer)
        with stubbed_service(platform, **settings) as service:
            for number in range(batches + 1):
                if number == 1:
                    service.usage()  # the first one only warmed up
                service.submit(payloads.jobs(jobs, payloads.HEADLINE, seed=number))
                platform.next_callback(jobs)
            usage = service.usage()
    return {
        function: [
            {"wall_ms": wall, "cpu_ms": cpu}
            for wall, cpu in usage[function]["invocations"][function]
        ]
        for function in FUNCTIONS
    }


def billed_ms(
    *, wall_ms: float, cpu_ms: float, round_trips: float, memory_mb: int = MEMORY_MB
) -> float:
    """Return an invocation's duration in Lambda, by the model above."""
    slower = FULL_CORE_MB / memory_mb - 1
    return wall_ms + cpu_ms * slower + round_trips * AWS_ROUND_TRIP_MS


def usage_of(
    counted: Mapping[str, Any],
    durations: Mapping[str, Sequence[Mapping[str, float]]],
    memory_mb: int = MEMORY_MB,
) -> Usage:
    """Return what the headline batch uses, from its counts and the durations of its functions."""
    jobs = counted["jobs"]
    invocations = counted["invocations"]
    billed = {
        function: median_billed_ms(counted, function, durations[function], memory_mb)
        for function in FUNCTIONS
    }
    seconds = sum(invocations[function] * billed[function] for function in FUNCTIONS) / 1000
    total = sum(invocations.values())
    return Usage(
        jobs=jobs,
        write_units=counted["write_units_per_job"] * jobs,
        read_units=counted["read_units_per_job"] * jobs,
        sqs_requests=(counted["sqs_requests_per_job"] + counted["poller_requests_per_job"]) * jobs,
        invocations=total,
        gb_seconds=seconds * memory_mb / 1024,
        api_requests=1,
        log_bytes=counted["log_bytes_per_job"] * jobs + total * _LAMBDA_LOG_BYTES,
        stored_bytes=counted["stored_bytes_per_job"] * jobs,
    )


def median_billed_ms(
    counted: Mapping[str, Any],
    function: str,
    durations: Sequence[Mapping[str, float]],
    memory_mb: int = MEMORY_MB,
) -> float:
    """Return the median duration of a function's invocations in Lambda."""
    requests = sum(counted["by_function"][function]["requests"].values())
    round_trips = requests / counted["invocations"][function]
    return statistics.median(
        billed_ms(**each, round_trips=round_trips, memory_mb=memory_mb) for each in durations
    )


def dollars_per_million_jobs(usage: Usage) -> dict[str, float]:
    """Return the dollars for each billed resource; their sum is the cost."""
    stored_gb_months = usage.stored_bytes / 1e9 * _KEPT_MONTHS
    of_a_batch = {
        "DynamoDB writes": prices.WRITE_UNITS.of(usage.write_units),
        "DynamoDB reads": prices.READ_UNITS.of(usage.read_units),
        "DynamoDB storage": prices.STORAGE.of(stored_gb_months)
        + prices.BACKUP.of(stored_gb_months),
        "SQS requests": prices.SQS_REQUESTS.of(usage.sqs_requests),
        "Lambda requests": prices.LAMBDA_REQUESTS.of(usage.invocations),
        "Lambda duration": prices.LAMBDA_GB_SECONDS.of(usage.gb_seconds),
        "API Gateway": prices.API_REQUESTS.of(usage.api_requests),
        "CloudWatch logs": prices.LOGS.of(usage.log_bytes),
    }
    return {name: dollars * _MILLION / usage.jobs for name, dollars in of_a_batch.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A hosted service that does this work, or a part of it."""

    name: str
    dollars_per_million_jobs: float
    #: What the price counts.
    how: str
    #: What Batchback does and the price does not include.
    without: str


def hosted(jobs_per_batch: int = _JOBS) -> list[Hosted]:
    """Return the list prices for a million jobs in batches."""
    return [
        Hosted(
            name="Step Functions Distributed Map, one child per job",
            dollars_per_million_jobs=_distributed_map(1, jobs_per_batch),
            how="for each job a state transition and an Express workflow of 100 ms and 64 MB; "
            "for each batch 3 transitions",
            without="accepting batches, signing as the caller, storing the results",
        ),
        Hosted(
            name="Step Functions Distributed Map, 25 jobs per child",
            dollars_per_million_jobs=_distributed_map(25, jobs_per_batch),
            how="the same for every 25 jobs, which an inline Map in the child runs concurrently in "
            "200 ms",
            without="as above",
        ),
        Hosted(
            name="QStash",
            dollars_per_million_jobs=prices.QSTASH_MESSAGES.of(_MILLION),
            how="one message per job",
            without="collecting the answers in order, and one callback (a callback per job would "
            "be one more message)",
        ),
        Hosted(
            name="Cloud Tasks",
            dollars_per_million_jobs=prices.CLOUD_TASKS_OPERATIONS.of(2 * _MILLION),
            how="two operations per job: create and push",
            without="a service that calls the platform, and collecting and storing the answers",
        ),
    ]


def _distributed_map(jobs_per_child: int, jobs_per_batch: int) -> float:
    children = _MILLION / jobs_per_child
    seconds = 0.1 if jobs_per_child == 1 else 0.2
    transitions = children + 3 * _MILLION / jobs_per_batch
    return (
        prices.STEP_FUNCTIONS_TRANSITIONS.of(transitions)
        + prices.STEP_FUNCTIONS_REQUESTS.of(children)
        + prices.STEP_FUNCTIONS_GB_SECONDS.of(children * seconds * 64 / 1024)
    )
