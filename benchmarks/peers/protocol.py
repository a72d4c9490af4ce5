"""The protocol between the benchmark and a peer's submitting process. It uses only the standard
library, because it runs in each peer's own environment, with this folder on its path.

The submitter prints `ready`. Each line it reads is the path to a file of jobs: it submits these
jobs as one batch and prints how much CPU that took. It exits when its standard input ends.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REDIS = os.environ.get("BENCH_REDIS", "")
PLATFORM = os.environ.get("BENCH_PLATFORM", "")
#: The number of concurrent calls, the same for every peer.
AT_ONCE = int(os.environ.get("BENCH_AT_ONCE", "25"))
CALLBACK = f"{PLATFORM}/callback"


def url_of(job: dict[str, Any]) -> str:
    return f"{PLATFORM}/api/1.0/{job['namespace']}?action={job['action']}"


def together(answers: list[str]) -> bytes:
    """Return the body of the one POST: all answers in order, unchanged."""
    return f'{{"results":[{",".join(answers)}]}}'.encode()


def submit_as_told(submit: Callable[[list[dict[str, Any]]], object]) -> None:
    _say("ready")
    for line in sys.stdin:
        jobs = json.loads(Path(line.strip()).read_text("utf-8"))
        started_at = time.process_time()
        submit(jobs)
        _say(json.dumps({"cpu_ms": (time.process_time() - started_at) * 1000}))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
