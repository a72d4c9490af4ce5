"""Settings in, adapters in their places, operations out: made lazily, once per warm container.

A function makes only what it uses: the workers never import the front door and its pydantic.
"""

import random
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING

from chalicelib import settings
from chalicelib.adapters import aws
from chalicelib.adapters.clock import SystemClock
from chalicelib.adapters.dynamodb import DynamoBatchStore, DynamoKeyStore
from chalicelib.adapters.http import HttpPlatform, HttpReceiver
from chalicelib.adapters.journal import JsonJournal
from chalicelib.adapters.sqs import SqsQueue
from chalicelib.adapters.ssm import SsmHeader
from chalicelib.adapters.threads import ConcurrentThreads
from chalicelib.domain.account import WORKERS_REMEMBER_SECONDS, Header, PlatformAuth
from chalicelib.domain.address import AddressPolicy, why_not_url
from chalicelib.domain.limits import Limits
from chalicelib.operations.admit_batch import AdmitBatch
from chalicelib.operations.advance_batch import AdvanceBatch
from chalicelib.operations.bury_jobs import BuryJobs
from chalicelib.operations.deliver_callback import DeliverCallback
from chalicelib.operations.ports import (
    BatchStore,
    Clock,
    Concurrent,
    KeyStore,
    Platform,
    Queue,
    Receiver,
)
from chalicelib.operations.record_answers import RecordAnswers
from chalicelib.operations.run_jobs import RunJobs
from chalicelib.operations.sweep import Sweep
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from chalicelib.api import Api
    from chalicelib.operations.read_batch import ReadBatch
    from chalicelib.operations.rerun_batch import RerunBatch
    from chalicelib.operations.submit_batch import SubmitBatch


#: How many requests to one service of AWS are on their way together: fewer than the connections
#: that its client keeps, which are ten.
REQUESTS_AT_ONCE = 8


@cache
def service() -> "Service":
    """The service of this process, configured from its environment."""
    return Service(settings.read())


class Service:
    """Every operation, ready to use. The adapters are attributes, so that tests can put others in
    their places before the first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock: Clock = SystemClock()
        self.journal = JsonJournal(self.clock, settings.stage)

    @cached_property
    def store(self) -> BatchStore:
        return DynamoBatchStore(
            aws.dynamodb(),
            self.settings.names.batches_table,
            concurrent=self.concurrent_requests,
        )

    @cached_property
    def keys(self) -> KeyStore:
        """For the front door: asks each time, so that it refuses a revoked key at once."""
        return DynamoKeyStore(aws.dynamodb(), self.settings.names.keys_table, self.clock)

    @cached_property
    def cached_keys(self) -> KeyStore:
        """For the workers."""
        return DynamoKeyStore(
            aws.dynamodb(), self.settings.names.keys_table, self.clock, WORKERS_REMEMBER_SECONDS
        )

    @cached_property
    def queue(self) -> Queue:
        names = self.settings.names
        return SqsQueue(
            aws.sqs(),
            jobs_queue=names.jobs_queue,
            batches_queue=names.batches_queue,
            concurrent=self.concurrent_requests,
        )

    @cached_property
    def concurrent_requests(self) -> Concurrent:
        """For the many requests of a large batch, each of which only waits."""
        return ConcurrentThreads(REQUESTS_AT_ONCE, flush_seconds=1)

    @cached_property
    def platform(self) -> Platform:
        return HttpPlatform(
            address=self.settings.platform_address,
            auth=self.settings.platform_auth,
            header=self.platform_header,
            timeout_seconds=self.settings.job_timeout_seconds,
            clock=self.clock,
            connections=self.settings.jobs_side_by_side,
        )

    @cached_property
    def platform_header(self) -> Callable[[], Header | None]:
        header = self.settings.platform_header
        if self.settings.platform_auth is not PlatformAuth.HEADER:
            return lambda: None
        if header == "ssm":
            return SsmHeader(
                aws.ssm(), self.settings.names.platform_header, self.clock, self.journal
            )
        return lambda: header

    @cached_property
    def receiver(self) -> Receiver:
        return HttpReceiver(policy=self.address_policy)

    @cached_property
    def address_policy(self) -> AddressPolicy:
        return AddressPolicy(allowed_networks=self.settings.allowed_callback_networks)

    # The workers start without what these four import.

    @cached_property
    def api(self) -> "Api":
        from chalicelib.api import Api
        from chalicelib.operations.authenticate import Authenticate

        return Api(
            authenticate=Authenticate(
                keys=self.keys, clock=self.clock, allow_basic=self.settings.basic_auth
            ),
            submit_batch=self.submit_batch,
            read_batch=self.read_batch,
            rerun_batch=self.rerun_batch,
            clock=self.clock,
            journal=self.journal,
            max_jobs=self.settings.max_jobs_per_batch,
            callback_required=self.settings.callback_required,
            why_not_url=partial(why_not_url, policy=self.address_policy),
        )

    @cached_property
    def submit_batch(self) -> "SubmitBatch":
        from chalicelib.domain.batch import chunk_size
        from chalicelib.operations.submit_batch import SubmitBatch

        return SubmitBatch(
            admit=self.admit_batch,
            store=self.store,
            queue=self.queue,
            clock=self.clock,
            journal=self.journal,
            new_id=_new_id,
            chunk_size=partial(chunk_size, jobs_per_message=self.settings.jobs_per_message),
            deadline=timedelta(hours=self.settings.deadline_hours),
            expiry=timedelta(hours=self.settings.expiry_hours),
        )

    @cached_property
    def read_batch(self) -> "ReadBatch":
        from chalicelib.operations.read_batch import ReadBatch

        return ReadBatch(
            store=self.store,
            clock=self.clock,
            expiry=timedelta(hours=self.settings.expiry_hours),
        )

    @cached_property
    def rerun_batch(self) -> "RerunBatch":
        from chalicelib.operations.rerun_batch import RerunBatch

        return RerunBatch(
            admit=self.admit_batch,
            store=self.store,
            queue=self.queue,
            clock=self.clock,
            journal=self.journal,
            new_id=_new_id,
            deadline=timedelta(hours=self.settings.deadline_hours),
        )

    @cached_property
    def admit_batch(self) -> AdmitBatch:
        return AdmitBatch(
            store=self.store,
            journal=self.journal,
            limits=Limits(
                open_batches=self.settings.max_open_batches,
                jobs_per_minute=self.settings.max_jobs_per_minute,
            ),
        )

    @cached_property
    def record(self) -> RecordAnswers:
        return RecordAnswers(store=self.store, queue=self.queue)

    @cached_property
    def bury_jobs(self) -> BuryJobs:
        return BuryJobs(
            store=self.store, record=self.record, clock=self.clock, journal=self.journal
        )

    @cached_property
    def sweep(self) -> Sweep:
        return Sweep(store=self.store, queue=self.queue, clock=self.clock, journal=self.journal)

    @cached_property
    def run_jobs(self) -> RunJobs:
        return RunJobs(
            store=self.store,
            keys=self.cached_keys,
            queue=self.queue,
            platform=self.platform,
            record=self.record,
            concurrent=ConcurrentThreads(
                self.settings.jobs_side_by_side, self.settings.flush_seconds
            ),
            clock=self.clock,
            journal=self.journal,
            random_unit=random.random,
            job_timeout_seconds=self.settings.job_timeout_seconds,
            job_retry_seconds=self.settings.job_retry_seconds,
        )

    @cached_property
    def advance_batch(self) -> AdvanceBatch:
        return AdvanceBatch(
            store=self.store,
            queue=self.queue,
            record=self.record,
            clock=self.clock,
            journal=self.journal,
            admit=self.admit_batch,
            deliver=DeliverCallback(
                store=self.store,
                keys=self.cached_keys,
                queue=self.queue,
                receiver=self.receiver,
                clock=self.clock,
                journal=self.journal,
                random_unit=random.random,
                new_id=_new_id,
            ),
        )


def _new_id() -> str:
    return uuid.uuid4().hex
