"""Whatever is sent, the answer is one that the contract knows, and it costs little."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.description import faults_of
from tests.hostile.__main__ import Outcome
from tests.hostile.vectors import Vector, vectors

ROOT = Path(__file__).parents[2]
#: What the function may take for one request. It is given twice the memory.
MOST_MEMORY_MB = 256
#: In CPU time it is so many times what the largest ordinary request takes, 0.3 s, on any machine.
MOST_CPU_TIMES = 12
ORDINARY = "10,000 jobs in 3,500,000 bytes"
#: No error repeats much of what was sent.
LONGEST_ERROR_BYTES = 5_000


def test_every_hostile_request_is_answered_by_the_contract_and_costs_little() -> None:
    """All in one test: each is sent once, in a process of its own, by one that is made for it."""
    outcomes = {outcome.name: outcome for outcome in sent()}
    most_cpu_seconds = MOST_CPU_TIMES * outcomes[ORDINARY].cpu_seconds
    faults = {
        vector.name: faults_with(vector, outcomes[vector.name], most_cpu_seconds)
        for vector in vectors()
    }
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize("jobs", ["10,000 jobs", "200 jobs"])
def test_valid_bodies_as_large_as_they_may_be_are_among_them(jobs: str) -> None:
    found = [each for each in vectors() if each.name.startswith(jobs) and each.status == 200]
    assert 3_400_000 < max(len(each.event["body"].encode()) for each in found) <= 3_500_000


def sent() -> list[Outcome]:
    """What came of each vector."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Outcome(**json.loads(line)) for line in done.stdout.splitlines()]


def faults_with(vector: Vector, outcome: Outcome, most_cpu_seconds: float) -> list[str]:
    body = outcome.body.encode()
    faults = faults_of(vector.method, vector.path, outcome.status, outcome.headers, body)
    code = json.loads(body).get("specificCode", 0)
    if (outcome.status, code) != (vector.status, vector.code):
        faults.append(f"answered {outcome.status} / {code}: {outcome.body[:500]}")
    if outcome.status != 200 and len(body) > LONGEST_ERROR_BYTES:
        faults.append(f"an error of {len(body)} bytes")
    if outcome.peak_mb > MOST_MEMORY_MB:
        faults.append(f"{outcome.peak_mb:.0f} MB, from {outcome.base_mb:.0f} MB")
    if outcome.cpu_seconds > most_cpu_seconds:
        faults.append(f"{outcome.cpu_seconds:.2f} s of CPU")
    return faults
