"""What it costs to leave the page open on a stage, computed from the requests that it makes."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import pytest

from batchback_console.server import POLL_SECONDS
from batchback_local.aws.resources import create_resources
from batchback_ops.stage import Stage
from benchmarks import prices
from benchmarks.counting import RequestCounter, Tally
from benchmarks.prices import Price
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain.batch import Answer, AnswersPart, Batch, Counts, Job, LastCall, Verdict
from chalicelib.settings import Names
from tests.console.asking import Page, console_of
from tests.fakes.clock import START, FakeClock
from tests.markdown import page
from tests.operations.world import World
from tests.samples import PLAIN_TERMS, a_batch

STAGE = "watched"
POLLS_AN_HOUR = 3600 / POLL_SECONDS[False]
METRICS = Price(
    dollars=0.01,
    per=1_000,
    unit="metrics that GetMetricData is asked for",
    source="https://aws.amazon.com/cloudwatch/pricing/",
    as_of="2026-11-30",
)
#: One of them is the largest possible batch, half done.
OPEN_BATCHES, JOBS_IN_EACH = 10, 20
HALF_DONE = a_batch(
    10_000,
    batch_id="f" * 32,
    done=frozenset(range(100)),
    counts=Counts(succeeded=5_000),
    next_check_at=START + timedelta(minutes=30),
    due_at=START + timedelta(minutes=30),
)
#: The paths that the page polls while a view is open, and the number of polls after which all of
#: them are repeated.
VIEWS = {
    "the list, with 10 open batches": (["/batches"], 1),
    "a running batch of 10,000 jobs": (
        [
            f"/batches/{HALF_DONE.batch_id}",
            f"/batches/{HALF_DONE.batch_id}/jobs",
            f"/batches/{HALF_DONE.batch_id}/callback",
        ],
        1,
    ),
    "the stage": (["/stage"], 12),
}


@dataclass
class Watched:
    """A stage on moto whose requests are counted."""

    page: Page
    clock: FakeClock
    counter: RequestCounter
    #: Requests to SQS and CloudWatch, and metrics of CloudWatch.
    others: Counter[str] = field(default_factory=Counter)

    def an_hour_of(self, paths: Sequence[str], polls: int) -> "Hour":
        """What an hour costs, estimated from this many polls after the first one."""
        self._poll(paths)
        self.others.clear()
        with self.counter.by(paths[0]) as tally:
            for _ in range(polls):
                self.clock.advance(seconds=POLL_SECONDS[False])
                self._poll(paths)
        return Hour.of(tally, self.others, POLLS_AN_HOUR / polls)

    def _poll(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.page.gets(path)


@dataclass(frozen=True, kw_only=True)
class Hour:
    requests: float
    dollars: float

    @classmethod
    def of(cls, tally: Tally, others: Counter[str], times: float) -> "Hour":
        assert tally.write_units == 0
        dollars = (
            prices.READ_UNITS.of(tally.read_units)
            + prices.SQS_REQUESTS.of(others["sqs"])
            + METRICS.of(others["metrics"])
        )
        requests = tally.total_requests + others["sqs"] + others["cloudwatch"]
        return cls(requests=requests * times, dollars=dollars * times)

    @property
    def as_documented(self) -> tuple[str, str]:
        """Dollars are rounded up."""
        return f"{self.requests:,.0f}", f"${math.ceil(self.dollars * 1000) / 1000:g}"


@pytest.fixture(scope="module")
def watched(aws: None) -> Iterator[Watched]:  # noqa: ARG001 - moto must be up
    create_resources(STAGE)
    clients: dict[str, Any] = {
        "dynamodb": boto3.client("dynamodb"),
        "sqs": boto3.client("sqs"),
        "cloudwatch": boto3.client("cloudwatch"),
    }
    store = DynamoBatchStore(clients["dynamodb"], Names(STAGE).batches_table)
    for number in range(OPEN_BATCHES - 1):
        save(store, a_batch(JOBS_IN_EACH, batch_id=f"{number:032x}", label="nightly import"))
    save(store, HALF_DONE)
    record_answers(store, HALF_DONE)
    counter = RequestCounter()
    counter.watch(clients["dynamodb"])
    world = World()
    world.clock.advance(minutes=2)
    world.store = store  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stage, "client", lambda _, service: clients[service])
        stage = Stage(name=STAGE, variables={}, environ={})
        shown = Page(console_of(world, stage=stage))
        watched = Watched(page=shown, clock=world.clock, counter=counter)
        count_others(clients, watched.others)
        yield watched


def save(store: DynamoBatchStore, batch: Batch) -> None:
    jobs = [
        Job(n, "event", "inviteContacts", json.dumps({"text": text(n)}), f"row-{n}")
        for n in range(batch.total)
    ]
    store.save_jobs(batch, PLAIN_TERMS, jobs)
    assert store.commit(batch, START)


def text(number: int) -> str:
    """A text of 200 characters that compresses to half its size."""
    return hashlib.shake_128(str(number).encode()).hexdigest(100)


def record_answers(store: DynamoBatchStore, batch: Batch) -> None:
    call = LastCall(http_status=200, attempts=1, took_ms=80)
    for chunk in batch.done:
        answers = {
            n: Answer(Verdict.SUCCEEDED, json.dumps({"text": text(n)}), call)
            for n in batch.indexes(chunk)
        }
        store.record(batch, chunk, AnswersPart(round=1, number=0, answers=answers))


def count_others(clients: dict[str, Any], others: Counter[str]) -> None:
    def metrics(params: Any, **_: Any) -> None:
        others["metrics"] += len(params["MetricDataQueries"])

    for service in ("sqs", "cloudwatch"):
        events = clients[service].meta.events
        events.register(
            f"request-created.{service}", lambda service=service, **_: others.update([service])
        )
    clients["cloudwatch"].meta.events.register(
        "provide-client-params.cloudwatch.GetMetricData", metrics
    )


def test_the_page_of_the_documentation_says_what_it_costs(watched: Watched) -> None:
    hours = {name: watched.an_hour_of(*view) for name, view in VIEWS.items()}
    assert documented() == {name: hour.as_documented for name, hour in hours.items()}


def test_the_view_of_the_stage_says_what_it_costs(watched: Watched) -> None:
    _, dollars = documented()["the stage"]
    assert f"about {dollars} an hour" in watched.page.gets("/stage")["cost"]


def documented() -> dict[str, tuple[str, str]]:
    """Requests and dollars an hour, by what is open."""
    lines = [
        line
        for line in page("docs/console.md").splitlines()
        if line.startswith(("| the ", "| a running"))
    ]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {name: (requests, dollars) for name, requests, dollars in cells}
