"""Compute from the counts how fast one batch, and all batches together, can run.

A partition of DynamoDB takes 1,000 write units a second, and so does each of an index.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import units
from chalicelib.adapters.items import DUE_BUCKETS
from chalicelib.domain.batch import chunk_size
from chalicelib.settings import VARIABLES

UNITS_PER_SECOND = 1_000
_JOBS_PER_MESSAGE = next(
    int(each.default) for each in VARIABLES if each.name == "JOBS_PER_MESSAGE" and each.default
)


def of_batches(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how many jobs a second the partition of each counted batch can handle. All items of a
    batch are in one partition, and each finished chunk updates the head, which grows with its set
    of finished chunks."""
    return [_of_batch(row) for row in rows if row["status"] == 200 and row["batches_at_once"] == 1]


def _of_batch(row: Mapping[str, Any]) -> dict[str, Any]:
    of_partition = row["write_units_per_job"] - row["index_write_units_per_job"]
    return {
        "jobs": row["jobs"],
        "job_bytes": row["job_bytes"],
        "answer_bytes": row["answer_bytes"],
        "jobs_per_chunk": chunk_size(row["jobs"], _JOBS_PER_MESSAGE),
        "head_bytes": row["head_bytes"],
        "head_units": units.write_units(row["head_bytes"]),
        "partition_units_per_job": of_partition,
        "jobs_per_second": UNITS_PER_SECOND / of_partition,
    }


def batches_per_second(headline: Mapping[str, Any]) -> float:
    """Return how many batches a second the index `due` can handle with its partitions. One of a
    batch's index writes goes to the index of accounts instead."""
    of_alarms: float = headline["index_write_units_per_job"] * headline["jobs"] - 1
    return UNITS_PER_SECOND * DUE_BUCKETS / of_alarms
