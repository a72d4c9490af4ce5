"""`python -m tests.hostile` sends every request of the vectors and shows the costliest ones; with
`--json` it prints all of them, one per line.

Each request runs in a process of its own, forked from one whose API is warm, with the real adapters
over an AWS that accepts everything. Memory is the peak of the process as the system counts it,
including all of Python; CPU time is user plus system time of the request alone."""

import io
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from tests.hostile.vectors import Vector, vectors

_ENVIRONMENT = {
    "STAGE": "local",
    "PLATFORM_ADDRESS": "http://127.0.0.1:9",
    "MAX_JOBS_PER_BATCH": "10000",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}
_SHOWN = 20

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a vector."""

    name: str
    status: int
    headers: dict[str, str]
    body: str
    #: The peak before the request and with it.
    base_mb: float
    peak_mb: float
    cpu_seconds: float


def main(*options: str) -> int:
    """Return the exit status: 1 if a process died."""
    handler = _warm_handler()
    outcomes = []
    for vector in vectors():
        outcome = _in_a_process_of_its_own(handler, vector)
        if outcome is None:
            print(f"{vector.name}: the process died", file=sys.stderr)
            return 1
        outcomes.append(outcome)
    lines = map(_as_json, outcomes) if "--json" in options else _costliest(outcomes)
    print("\n".join(lines))
    return 0


def _warm_handler() -> Handler:
    """The function as it is after its first request."""
    os.environ.update(_ENVIRONMENT)
    import app
    from chalicelib import settings, wiring
    from chalicelib.adapters import aws
    from chalicelib.adapters.journal import JsonJournal
    from chalicelib.service import Service
    from tests.fakes.aws import take_everything
    from tests.fakes.clock import FakeClock
    from tests.fakes.dynamodb import FakeKeyStore
    from tests.samples import DEMO_ACCOUNT, DEMO_KEY

    clock = FakeClock()
    ports = wiring.connect(
        settings.read(), clock=clock, journal=JsonJournal(clock, "local", io.StringIO())
    )
    keys = FakeKeyStore([DEMO_KEY], [DEMO_ACCOUNT])
    service = Service(settings.read(), replace(ports, keys=keys))
    wiring.service = lambda: service  # type: ignore[assignment]
    for client in (aws.dynamodb(), aws.sqs()):
        take_everything(client)
    job = '{"namespace":"a","action":"b"}'
    body = f'{{"jobs":[{job}],"callbackUrl":"https://example.com/"}}'
    assert app.app(Vector(name="", status=200, body=body).event, None)["statusCode"] == 200
    handler: Handler = app.app
    return handler


def _in_a_process_of_its_own(handler: Handler, vector: Vector) -> Outcome | None:
    """None if the process died."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        with os.fdopen(write, "w") as pipe:
            pipe.write(_as_json(_run(handler, vector)))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    return Outcome(**json.loads(text)) if status == 0 else None


def _run(handler: Handler, vector: Vector) -> Outcome:
    event = vector.event
    base_mb, before = _used()
    answer = handler(event, None)
    peak_mb, after = _used()
    return Outcome(
        name=vector.name,
        status=answer["statusCode"],
        headers={**answer["headers"], **answer["multiValueHeaders"]},
        body=answer["body"],
        base_mb=base_mb,
        peak_mb=peak_mb,
        cpu_seconds=after - before,
    )


def _used() -> tuple[float, float]:
    """Peak memory in MB, CPU time in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1_000_000 if sys.platform == "darwin" else 1_000
    return used.ru_maxrss / unit, used.ru_utime + used.ru_stime


def _as_json(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome))


def _costliest(outcomes: list[Outcome]) -> Iterator[str]:
    yield f"{'CPU s':>6} {'MB':>5} {'from':>5}"
    worst = [
        *sorted(outcomes, key=lambda outcome: -outcome.cpu_seconds)[:_SHOWN],
        *sorted(outcomes, key=lambda outcome: -outcome.peak_mb)[:_SHOWN],
    ]
    yield from dict.fromkeys(map(_as_row, worst))


def _as_row(outcome: Outcome) -> str:
    cost = f"{outcome.cpu_seconds:6.2f} {outcome.peak_mb:5.0f} {outcome.base_mb:5.0f}"
    return f"{cost}  {outcome.status} {outcome.name}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
