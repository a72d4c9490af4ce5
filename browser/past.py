"""Batches with a past, for what no test can wait for.

The service's own operations make them in the tables of the running service, with a clock, a
platform and a receiver that say what a test wants. Ten thousand jobs take seconds, and the ids and
answers are the same in each run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import boto3

from chalicelib import service
from chalicelib.adapters.batch_store import DynamoBatchStore
from chalicelib.domain import run_request
from chalicelib.domain.account import Account, Caller, Key, Secret
from chalicelib.domain.batch import Counts
from chalicelib.domain.outcome import NoReply, Reply
from chalicelib.domain.states import BatchState, CallbackState
from tests.fakes.clock import FakeClock
from tests.fakes.dynamodb import FakeKeyStore
from tests.fakes.http import Call
from tests.fakes.ports import SETTINGS, InMemory
from tests.samples import ALLOWANCE, WEBHOOK_SECRET, a_batch

_CALLER = Caller(account="demo", key="demo")
_PLENTY = 60.0

#: No two pasts have an id in common.
_NUMBERS = count(1)

Answer = Callable[[Call], Reply | NoReply]


class Past:
    """A past that begins this long before now."""

    def __init__(
        self, where: Mapping[str, Any], *, jobs_per_message: int = 50, **ago: float
    ) -> None:
        """`where` is the ready file of the service."""
        settings = replace(SETTINGS, jobs_per_message=jobs_per_message)
        self.world = InMemory(clock=FakeClock(datetime.now(UTC) - timedelta(**ago)))
        client = boto3.client(
            "dynamodb",
            endpoint_url=where["awsEndpoint"],
            region_name=where["region"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.store = DynamoBatchStore(client, where["tables"]["batches"])
        keys = FakeKeyStore(
            [Key(key="demo", account="demo", secrets=(Secret(value="demo-secret"),))],
            [Account(account="demo", callback_secrets=(Secret(value=WEBHOOK_SECRET),))],
        )
        ports = replace(
            self.world.ports,
            store=self.store,
            keys=keys,
            cached_keys=keys,
            new_id=_new_id,
        )
        self._service = service.Service(settings, ports)

    def submit(self, jobs: Sequence[Mapping[str, Any]], **options: Any) -> str:
        """Submit a batch whose jobs nobody calls yet. Options are those of the API."""
        submission = run_request.parse({"jobs": [*jobs], **options}, ALLOWANCE)
        return self._service.submitter.submit_batch(_CALLER, submission, b"").batch_id

    def ended(self, labels: Sequence[str]) -> None:
        """Make ended batches of one job, one a second, with only what the list shows of them."""
        for label in labels:
            now = self.world.clock.now()
            self.store.commit(
                a_batch(
                    1,
                    batch_id=_new_id(),
                    label=label,
                    account=_CALLER.account,
                    state=BatchState.COMPLETED,
                    created_at=now,
                    completed_at=now,
                    expires_at=now + timedelta(days=1),
                    done=frozenset({0}),
                    counts=Counts(succeeded=1),
                    next_check_at=None,
                    due_at=None,
                    callback=CallbackState.DELIVERED,
                ),
                now,
            )
            self.world.clock.advance(seconds=1)

    def run(self, answer: Answer, messages: int | None = None) -> None:
        """Call the jobs of the next messages, or of all messages and their retries. The clock moves
        to each."""
        self.world.platform.answer = answer
        for message, delay in self._messages(messages):
            self.world.clock.advance(seconds=delay)
            self._service.runner.run_jobs(message, receive_count=1, seconds_left=lambda: _PLENTY)

    def _messages(self, most: int | None) -> Iterator[Any]:
        for _ in count() if most is None else range(most):
            if not self.world.queue.jobs:
                return
            yield self.world.queue.jobs.pop(0)

    def call_back(self, *answers: Reply | NoReply) -> None:
        """Make an attempt for each answer. The clock moves to each."""
        self.world.receiver.answers += answers
        for _ in answers:
            message, delay = self.world.queue.callbacks.pop(0)
            self.world.clock.advance(seconds=delay)
            self._service.delivery.call_back(message, lambda: _PLENTY)


def _new_id() -> str:
    """An id that looks like the service's. The first is always the same, and so is the second."""
    return f"{next(_NUMBERS) * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128:032x}"
