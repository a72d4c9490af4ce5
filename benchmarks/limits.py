"""Compute from the counts how fast one batch, and all batches together, can run.

A partition of DynamoDB takes 1,000 write units a second, and so does each of an index.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.adapters.items import DUE_BUCKETS

UNITS_PER_SECOND = 1_000


def jobs_per_second(counted: Mapping[str, Any]) -> float:
    """Return how many jobs of one batch can end per second: all its items are in one partition."""
    of_partition: float = counted["write_units_per_job"] - counted["index_write_units_per_job"]
    return UNITS_PER_SECOND / of_partition


def batches_per_second(headline: Mapping[str, Any]) -> float:
    """Return how many batches a second the index `due` can handle with its partitions. One of a
    batch's index writes goes to the index of accounts instead."""
    of_alarms: float = headline["index_write_units_per_job"] * headline["jobs"] - 1
    return UNITS_PER_SECOND * DUE_BUCKETS / of_alarms
