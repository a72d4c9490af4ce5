"""Dollars follow from counts."""

import math
from dataclasses import replace

import pytest

from benchmarks import cost, limits, prices
from benchmarks.cost import Usage

NOTHING = Usage(
    jobs=200,
    write_units=0,
    read_units=0,
    sqs_requests=0,
    invocations=0,
    gb_seconds=0,
    api_requests=0,
    log_bytes=0,
    stored_bytes=0,
)


@pytest.mark.parametrize(
    ("used", "dollars"),
    [
        ({"write_units": 70}, 0.35 * 0.625),
        ({"read_units": 32}, 0.16 * 0.125),
        ({"sqs_requests": 20}, 0.1 * 0.40),
        ({"invocations": 10}, 0.05 * 0.20),
        ({"gb_seconds": 1}, 5_000 * 0.0000133334),
        ({"api_requests": 1}, 0.005 * 3.50),
        ({"log_bytes": 200_000}, 0.5),
    ],
)
def test_each_billed_resource_has_its_price(used: dict[str, float], dollars: float) -> None:
    """1,000 bytes of log for each job are a GB for a million, and so on."""
    found = cost.dollars_per_million_jobs(replace(NOTHING, **used))  # type: ignore[arg-type]
    assert math.isclose(sum(found.values()), dollars)
    assert len([each for each in found.values() if each]) == 1


def test_nothing_used_costs_nothing() -> None:
    assert {*cost.dollars_per_million_jobs(NOTHING).values()} == {0}


def test_a_small_function_has_a_part_of_a_core() -> None:
    """10 ms of CPU on a core are 34.6 ms at 512 MB; each round trip is 4 ms more."""
    billed = cost.billed_ms(wall_ms=120, cpu_ms=10, round_trips=4)
    assert math.isclose(billed, 120 + 10 * (1769 / 512 - 1) + 16)


def test_the_hosted_services_cost_what_their_price_lists_say() -> None:
    found = {each.name: each.dollars_per_million_jobs for each in cost.hosted(200)}
    assert math.isclose(found["QStash"], 10)
    assert math.isclose(found["Cloud Tasks"], 0.8)
    child_for_each = found["Step Functions Distributed Map, one child per job"]
    express = 1 + 1_000_000 * 0.1 * 64 / 1024 * 0.06 / 3600
    assert math.isclose(child_for_each, 25 * 1.015 + express)


def test_every_price_has_a_source_and_a_day() -> None:
    assert len(prices.ALL) == 14
    assert all(price.source.startswith("https://") and price.as_of for price in prices.ALL)


def test_a_batch_ends_as_fast_as_its_partition_takes_writes() -> None:
    counted = {"write_units_per_job": 0.26, "index_write_units_per_job": 0.01}
    assert math.isclose(limits.jobs_per_second(counted), 4_000)
