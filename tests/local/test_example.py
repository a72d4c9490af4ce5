"""The batch that the console offers to send first."""

import json

from batchback_local.demonstration.example import one_job_a_line, varied_batch

BATCH = varied_batch("http://127.0.0.1:8003")


def test_its_text_is_the_batch() -> None:
    assert json.loads(one_job_a_line(BATCH)) == BATCH


def test_each_job_has_one_line() -> None:
    lines = one_job_a_line(BATCH).splitlines()
    jobs = [json.loads(line.removesuffix(",")) for line in lines if line.startswith("    {")]
    assert jobs == BATCH["jobs"]
