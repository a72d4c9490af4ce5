"""Any request gets an answer that the contract knows, at little cost."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.description import faults_of
from tests.hostile.__main__ import Outcome
from tests.hostile.vectors import Vector, vectors

ROOT = Path(__file__).parents[2]
#: The most memory that one request may take. The function has twice as much.
MOST_MEMORY_MB = 256
#: In CPU time: a multiple of the cost of the largest ordinary request, about 0.3 s. If the machine
#: does other work in between, either may seem to cost more, so the lowest of a few measurements
#: counts.
MOST_CPU_TIMES = 12
MOST_TRIES = 5
ORDINARY = "10,000 jobs in 3,500,000 bytes"
#: No error repeats more of a request than this.
LONGEST_ERROR_BYTES = 5_000


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """The outcome of each vector, each run in its own process."""
    return sent()


def test_every_hostile_request_is_answered_by_the_contract(outcomes: dict[str, Outcome]) -> None:
    faults = {vector.name: faults_with(vector, outcomes[vector.name]) for vector in vectors()}
    assert {name: found for name, found in faults.items() if found} == {}


def test_no_hostile_request_takes_much_longer_than_the_largest_ordinary_one(
    outcomes: dict[str, Outcome],
) -> None:
    seconds = {name: outcome.cpu_seconds for name, outcome in outcomes.items()}
    for _ in range(MOST_TRIES - 1):
        if not too_long(seconds):
            break
        again = sent()
        seconds = {name: min(seconds[name], again[name].cpu_seconds) for name in seconds}
    assert too_long(seconds) == {}


def too_long(seconds: dict[str, float]) -> dict[str, float]:
    most = MOST_CPU_TIMES * seconds[ORDINARY]
    return {name: each for name, each in seconds.items() if each > most}


@pytest.mark.parametrize("jobs", ["10,000 jobs", "200 jobs"])
def test_the_largest_valid_bodies_are_included(jobs: str) -> None:
    found = [each for each in vectors() if each.name.startswith(jobs) and each.status == 200]
    assert 3_400_000 < max(len(each.event["body"].encode()) for each in found) <= 3_500_000


def sent() -> dict[str, Outcome]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = [Outcome(**json.loads(line)) for line in done.stdout.splitlines()]
    return {outcome.name: outcome for outcome in outcomes}


def faults_with(vector: Vector, outcome: Outcome) -> list[str]:
    body = outcome.body.encode()
    faults = faults_of(vector.method, vector.path, outcome.status, outcome.headers, body)
    code = json.loads(body).get("specificCode", 0)
    if (outcome.status, code) != (vector.status, vector.code):
        faults.append(f"answered {outcome.status} / {code}: {outcome.body[:500]}")
    if outcome.status != 200 and len(body) > LONGEST_ERROR_BYTES:
        faults.append(f"an error of {len(body)} bytes")
    if outcome.peak_mb > MOST_MEMORY_MB:
        faults.append(f"{outcome.peak_mb:.0f} MB, from {outcome.base_mb:.0f} MB")
    return faults
